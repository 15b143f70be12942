"""Checkpoints of a run in a bucket."""

import os
import subprocess
import sys
from pathlib import Path

_DAMAGED = """
import sys
import test_manager as this
from ranet_jax.io.paths import as_path
folder = as_path("gs://bucket/run")
with this.RunCheckpoints(folder, keep=3) as checkpoints:
    for step in (1, 2):
        checkpoints.save(step, this.saved(step), score=0.5)
(folder / "2" / "iterator" / "metadata").write_text("{")
with this.RunCheckpoints(folder, keep=3) as checkpoints:
    step, found = checkpoints.restore_latest(this.saved(0).params, this.saved(0).train)
    print("restored", step, checkpoints.latest)
    checkpoints.save(2, this.saved(2), score=0.5)
print("kept", sorted(path.name for path in folder.iterdir()))
"""


def test_a_damaged_checkpoint_gets_another_name_in_a_bucket(store):
    here = Path(__file__).parent
    paths = {"PYTHONPATH": f"{here}{os.pathsep}{here.parents[1]}"}
    done = subprocess.run(
        [sys.executable, "-c", _DAMAGED],
        env=os.environ | store.environment | paths,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "restored 1 1" in done.stdout
    assert "kept ['1', '2', '2.damaged']" in done.stdout
