"""What each part is worth at a scale that a CPU can do: 3,000 examples a network, 128x224.

ranet train --config configs/ablation_small.py:static_full --workdir runs/small/static_full
ranet train --config configs/ablation_small.py:full --workdir runs/small/full

    full              1,500 static images, then 1,500 examples of videos
    no_ranking, maximum, no_correlation, no_previous_mask
                      the network changed as in `ablation.py`, in both stages
    no_static         all 3,000 examples of videos
    no_video          all 3,000 of static images
    clips             clips of three frames: later ones start from the network's own masks
    memory            clips, and the frame before in the template memory

The last four, and full, start from static_full or ImageNet; a changed network, as no_ranking, from
static_no_ranking. docs/TRAINING.md has the loop over variants and seeds.
"""

import ablation
import ranet50
import tiny

STATIC = ("static_full", *(f"static_{name}" for name in ablation.MODEL))
VIDEO = ("full", *ablation.MODEL, "no_static", "clips", "memory")
VARIANTS = (*STATIC, *VIDEO, "no_video")
STEPS = 375  # of four examples: half of the 3,000


def get_config(variant="full"):
    """What differs from `ranet50.py`: scale, length, and the variant's one change."""
    static = variant in STATIC or variant == "no_video"
    config = ranet50.get_config("static" if static else "video")
    config.name = f"ablation_small_{variant}"
    _scale(config)
    if not static:
        _video(config, variant)
    config.model.update(ablation.MODEL.get(variant.removeprefix("static_"), {}))
    if variant in ("no_static", "no_video"):
        config.steps = 2 * STEPS
    return config


def _scale(config):
    config.steps = STEPS
    config.data.update(height=128, width=224, batch_size=4)
    # Six more videos to evaluate on, whole networks having seen none of their frames.
    config.data.exclude = tiny.HELD_OUT
    config.optimizer.update(warmup_steps=20, ema_decay=0.98, backbone_lr_multiplier=0.0)
    config.eval.every = 0
    config.log.images = 0


def _video(config, variant):
    first = variant if variant in ablation.MODEL else "full"
    config.init_from = f"runs/small/static_{first}"
    if variant == "no_static":
        config.init_from = ranet50.get_config("static").init_from
    config.data.sets = ranet50.VIDEOS  # static images are what no_static goes without
    if variant != "memory":
        config.model.memory = 0
    if variant not in ("clips", "memory"):
        config.data.clip_length = 1
    config.optimizer.learning_rate = 2e-4
