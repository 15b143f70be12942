"""A network with ResNet-50 for whoever has DAVIS-2016 train and ECSSD alone, in two stages.

ranet train --config configs/ranet50.py:static --workdir runs/ranet50-static
ranet train --config configs/ranet50.py:video --workdir runs/ranet50

The paper's recipe takes some 15,000 photographs and a hundred times as many steps; with a fifteenth
of them the new layers need a higher rate than the backbone, which keeps most of what it knows from
ImageNet. Six of the 30 training videos are left out of training and evaluated on.
"""

import paper

VARIANTS = ("static", "video")
HELD_OUT = ("bus", "dog-agility", "elephant", "horsejump-low", "mallard-fly", "soccerball")
PHOTOGRAPHS = "images={root}/ECSSD/images,{root}/ECSSD/ground_truth_mask"
VIDEOS = "videos={root}/DAVIS:train"


def get_config(variant="static"):
    """What differs from `paper.py`."""
    config = paper.get_config()
    config.name = f"ranet50_{variant}"
    config.stage = variant
    config.model.depth = 50
    config.precision = "bfloat16"

    if variant == "static":
        config.init_from = "weights/resnet50.pth"  # torchvision's, or an .npz of the same names
        config.steps = 10_000
        config.data.sets = ((PHOTOGRAPHS, 1.0),)
        config.optimiser.learning_rate = 1e-4
    else:
        config.init_from = "runs/ranet50-static"
        config.steps = 6_000
        # Photographs go on beside the videos: 24 videos are soon known by heart.
        config.data.sets = ((VIDEOS, 3.0), (PHOTOGRAPHS, 1.0))
        config.data.exclude = HELD_OUT
        config.optimiser.learning_rate = 5e-5

    config.augment.colour = 0.2
    config.optimiser.warmup_steps = 500
    config.optimiser.schedule = "cosine"
    config.optimiser.clip_norm = 1.0
    config.optimiser.backbone_rate = 0.1
    config.optimiser.averaging = 0.999

    config.held_out.split = "train"
    config.held_out.sequences = HELD_OUT
    config.held_out.every = 1_000
    return config
