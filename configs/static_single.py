"""Stage 1 of RANet, one object: pre-training on static images (paper 3.5; Table 2, Table 5 "-VF").

ranet train --config configs/static_single.py --workdir runs/static_single

From one image of MSRA10K, ECSSD or HKU-IS and its mask come template and current frame, each
warped by itself; the previous mask is the current one, warped slightly once more.
"""

import paper


def get_config():
    """What differs from `paper.py`."""
    config = paper.get_config()
    config.name = "static_single"
    config.stage = "static"
    # The weights are numbers of images: every image is drawn as often as any other.
    config.data.sets = (("msra10k", 10_000.0), ("ecssd", 1_000.0), ("hku_is", 4_447.0))
    return config
