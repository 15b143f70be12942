"""Stage 2 of RANet, one object: fine-tuning on DAVIS-2016 train (paper 3.5; Table 1, J&F 85.5).

ranet train --config configs/davis2016.py --workdir runs/davis2016

Two random frames of one of the 30 videos are template and current frame; the previous mask is that
of a frame within five of the current one. Starts from `static_single.py`; evaluates on the 20
videos of val, which are never trained on.
"""

import paper


def get_config():
    """What differs from `paper.py`."""
    config = paper.get_config()
    config.name = "davis2016"
    config.stage = "video"
    config.init_from = "runs/static_single"
    config.steps = 20_000  # not in the paper: 150 times through the 2,079 frames
    config.data.sets = (("davis/2016:train", 1.0),)
    config.eval.every = 1_000
    return config
