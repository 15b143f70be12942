"""Stage 2 of RANet, several objects: fine-tuning on DAVIS-2017 train (paper 3.3, 3.5; J&F 65.7).

ranet train --config configs/davis2017.py --workdir runs/davis2017

As `davis2016.py` does, on the 60 videos of the 2017 edition and from `static_multi.py`.
"""

import static_multi


def get_config():
    """What differs from `static_multi.py`."""
    config = static_multi.get_config()
    config.name = "davis2017"
    config.stage = "video"
    config.init_from = "runs/static_multi"
    config.steps = 40_000  # not in the paper: 150 times through the 4,219 frames
    config.data.sets = (("davis/2017:train", 1.0),)
    config.eval.every = 2_000
    return config
