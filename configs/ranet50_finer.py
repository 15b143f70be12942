"""The last stage but one of the network that ships: a larger input, for outlines.

ranet train --config configs/ranet50_finer.py --workdir runs/ranet50-finer

It starts from the mean of the networks of `ranet50.py:occluded` and `ranet50.py:balanced`, the
latter after its first 100 steps. docs/TRAINING.md has the figures.
"""

import ranet50


def get_config():
    """What differs from the last of the stages before."""
    config = ranet50.get_config("balanced")
    config.name = "ranet50_finer"
    config.init_from = "runs/ranet50-occluded,runs/ranet50-balanced/checkpoints/100"
    config.steps = 360
    config.data.update(height=384, width=672)
    # Previous masks as coarse as before would hide the outlines that the larger input is for.
    config.augment.update(previous_warp=0.05, coarsening=0.01)
    config.optimizer.warmup_steps = 20
    config.eval.every = 120
    config.log.update(checkpoint=40, keep=9)  # all: ranet50_wider.py goes on from step 200
    return config
