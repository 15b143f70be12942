"""The last stage of the network that ships: more scenes, one object of several, more mistakes.

ranet train --config configs/ranet50_wider.py --workdir runs/ranet50-wider

It goes on from step 200 of `ranet50_finer.py`. What ships is the mean of that network and of this
stage after 120 and 160 steps, with a smaller bias of the logits. docs/TRAINING.md has the figures.
"""

import ranet50
import ranet50_finer


def get_config():
    """What differs from the stage before."""
    config = ranet50_finer.get_config()
    config.name = "ranet50_wider"
    config.init_from = "runs/ranet50-finer/checkpoints/200"
    config.steps = 280
    # One object of several: what looks like the object, and is not, is in the same picture.
    config.data.object_sampling = "sampled"
    # The first frames are those of DAVIS-2017's test-challenge split, which come with masks.
    config.data.sets = (
        (ranet50.VIDEOS, 2.0),
        (ranet50.PHOTOGRAPHS, 0.7),
        ("videos={root}/DAVIS17_first_frames", 0.3),
        (ranet50.INSTANCES, 0.2),
    )
    config.data.update(extra_region_prob=0.4, missing_region_prob=0.15, occlusions=0.3)
    config.eval.every = 80
    return config
