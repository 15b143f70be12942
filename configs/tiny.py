"""A small network that learns something real in minutes, without a GPU and without downloads.

ranet train --config configs/tiny.py --workdir runs/tiny --config.data.root=data

Draws from the training videos of DAVIS-2016 in `data/DAVIS` (the official package) and from the
images in `data/ECSSD`, both at once; six of the videos are left out, and J on their first ten
frames shows whether it learns. Nothing here is the paper's: it is for seeing the machine run.
"""

import paper

HELD_OUT = ("bus", "dog-agility", "elephant", "horsejump-low", "mallard-fly", "soccerball")


def get_config():
    """What differs from `paper.py`."""
    config = paper.get_config()
    config.name = "tiny"
    config.stage = "video"
    config.init_from = ""
    config.steps = 600

    config.model.depth = 14
    config.model.width = 16

    config.data.sets = (
        ("videos={root}/DAVIS:train", 1.0),
        ("images={root}/ECSSD/images,{root}/ECSSD/ground_truth_mask", 1.0),
    )
    config.data.exclude = HELD_OUT
    config.data.height = 96
    config.data.width = 160
    config.data.batch_size = 8
    config.data.workers = 0
    config.data.threads = 2

    config.augment.warp = 0.05  # a network of this size has enough to learn without
    config.augment.rotation = 10.0
    config.augment.scale = (0.9, 1.1)

    config.optimizer.learning_rate = 1e-3
    config.optimizer.warmup_steps = 50
    config.optimizer.schedule = "cosine"
    config.optimizer.clip_norm = 1.0
    config.optimizer.ema_decay = 0.99

    config.eval.split = "train"
    config.eval.sequences = HELD_OUT
    config.eval.frames = 10
    config.eval.every = 200

    config.log.every = 20
    config.log.images = 200
    config.log.checkpoint = 200
    return config
