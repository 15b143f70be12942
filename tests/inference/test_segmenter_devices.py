import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import quick_compile

DEVICES = """
    import sys
    import jax
    import numpy as np
    from small_videos import drifting_squares
    from ranet_jax import Segmenter
    from ranet_jax.models.initialization import init_params
    from ranet_jax.models.ranet import RANet

    model = RANet(mode="multi", depth=14, width=8)
    params = init_params(model, 0)
    videos = [drifting_squares(3, ids=(1, 2), seed=s) for s in range(4)]
    maps = []
    for devices in (jax.local_devices()[:1], jax.local_devices()):
        segmenter = Segmenter(model, params, size=(96, 160), devices=devices)
        segmenter.init([v[0][0] for v in videos], [v[1][0] for v in videos])
        segmenter.step([v[0][1] for v in videos])
        assert len(segmenter._state.labels.sharding.device_set) == len(devices)
        maps.append([segmenter.probability_maps(i)[2] for i in range(4)])
        mask = np.where(videos[3][1][1] == 2, 9, 0)
        segmenter.add_object(videos[3][0][1], mask, video=3)
        results = segmenter.step([v[0][2] for v in videos])
        assert set(np.unique(results[3])) <= {0, 1, 2, 9}
    np.testing.assert_allclose(*maps, atol=1e-3)
    print("devices", len(jax.local_devices()))
"""


@pytest.mark.slow
def test_a_batch_is_shared_by_devices():
    """Four videos on two devices: split, and the same as on one."""
    here = Path(__file__).parent
    environment = os.environ | {
        "XLA_FLAGS": quick_compile.for_devices(2),
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join(map(str, [here, *here.parents[:2]])),
    }
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(DEVICES)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["devices", "2"]
