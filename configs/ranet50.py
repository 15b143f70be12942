"""The network that ships: ResNet-50, trained on two CPU cores from 1,150 photographs and 24 videos.

ranet train --config configs/ranet50.py:static --workdir runs/ranet50-static

and in the same way `video`, `gentle`, `larger`, `robust`, `occluded` and `balanced`, each from the
best of the one before: photographs; videos; videos warped less; a larger size; mistakes in the
previous mask; things in front of the object; and less of both, from the mean of two networks. Then
come `ranet50_finer.py` and `ranet50_wider.py`. The backbone stays what it was on ImageNet: without
its gradient a step takes half as long. Six of the 30 training videos are left out of training and
evaluated on. docs/TRAINING.md has the curve, and what to change for a GPU.
"""

import paper

VARIANTS = ("static", "video", "gentle", "larger", "robust", "occluded", "balanced")
HELD_OUT = ("bus", "dog-agility", "elephant", "horsejump-low", "mallard-fly", "soccerball")
PHOTOGRAPHS = "images={root}/ECSSD/images,{root}/ECSSD/ground_truth_mask"
INSTANCES = "images={root}/COCO128_instances/images,{root}/COCO128_instances/masks"
VIDEOS = "videos={root}/DAVIS:train"


def get_config(variant="static"):
    """What differs from `paper.py`: the stages up to this one, each changing the one before."""
    config = paper.get_config()
    config.name = f"ranet50_{variant}"
    stages = (_static, _video, _gentle, _larger, _robust, _occluded, _balanced)
    for stage in stages[: VARIANTS.index(variant) + 1]:
        stage(config)
    return config


def _static(config):
    config.init_from = "weights/resnet50.pth"  # torchvision's, or an .npz of the same names
    config.steps = 300
    config.model.depth = 50
    config.model.reduction_size = 1  # a third of the parameters, as in the paper's supplement
    config.data.update(sets=((PHOTOGRAPHS, 8.0), (INSTANCES, 1.0)), object_sampling="sampled")
    config.data.update(height=192, width=320, batch_size=4, workers=0, threads=2)
    config.augment.color = 0.2
    config.optimizer.update(learning_rate=5e-4, warmup_steps=40, clip_norm=1.0)
    config.optimizer.update(backbone_lr_multiplier=0.0, ema_decay=0.98)
    config.eval.update(split="train", sequences=HELD_OUT, frames=10, every=150)
    config.log.update(every=10, pictures=150, checkpoint=50)


def _video(config):
    config.stage = "video"
    config.init_from = "runs/ranet50-static"
    # Photographs go on beside the videos: 24 videos are soon known by heart.
    config.data.sets = ((VIDEOS, 3.0), (PHOTOGRAPHS, 1.0))
    config.data.object_sampling = "merged"
    config.data.exclude = HELD_OUT
    # After stage 1 the network trusts the previous mask too much: what it loses it never finds.
    config.data.max_frame_gap = 8
    config.augment.update(previous_warp=0.15, coarsening=0.03)
    config.optimizer.warmup_steps = 20


def _gentle(config):
    config.init_from = "runs/ranet50-video"
    config.steps = 150
    config.augment.update(warp=0.05, rotation=10.0, scale=(0.9, 1.1))
    config.optimizer.warmup_steps = 0


def _larger(config):
    config.init_from = "runs/ranet50-gentle"
    config.steps = 560
    config.data.update(height=256, width=448)
    config.data.frame_scale = 2  # at this size a frame loses details that a crop of it has room for
    config.optimizer.update(warmup_steps=20, schedule="cosine")
    config.eval.every = 80


def _robust(config):
    config.init_from = "runs/ranet50-larger"
    config.steps = 700  # the best was step 200, after which it was stopped
    # Until here the network has seen no mask with background in it, and never lets go of it.
    config.data.update(extra_region_prob=0.5, missing_region_prob=0.2)
    config.optimizer.learning_rate = 3e-4
    config.eval.update(frames=40, every=100)


def _occluded(config):
    config.init_from = "runs/ranet50-robust"
    config.steps = 180
    config.data.occlusions = 0.4  # what stands in front of the object was taken for it
    config.optimizer.update(learning_rate=2.5e-4, warmup_steps=5)
    config.eval.every = 60


def _balanced(config):
    # After `occluded` parts of an object that differ from the rest were rejected, too.
    config.init_from = "runs/ranet50-larger,runs/ranet50-occluded"
    config.steps = 300
    config.data.sets = ((VIDEOS, 2.0), (PHOTOGRAPHS, 1.0))
    config.data.update(extra_region_prob=0.25, missing_region_prob=0.1, occlusions=0.2)
    config.optimizer.learning_rate = 2e-4
    config.eval.every = 100
    config.log.update(checkpoint=100, keep=3)  # ranet50_finer.py needs the first of them
