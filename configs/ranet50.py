"""A ResNet-50 with a template memory: the paper's two stages, on two CPU cores.

ranet train --config configs/ranet50.py:static --workdir runs/ranet50-static
ranet train --config configs/ranet50.py:video --workdir runs/ranet50-video

Static images teach matching: every pair of views is warped from one image. Videos teach what moves,
hides and comes back: from a template and clips of successive frames, each segmented from the
network's own answer to the one before, with that frame in the template memory. The first stage
leaves the backbone as it was on ImageNet: without its gradient a step takes half as long. The
second lets it learn: its weights come from a network of batch norms, RANet's has instance norms.

The rate of each stage falls to zero over all of its steps: a longer stage is another run, not more
of the same. docs/TRAINING.md says what was tried of this, and what to change for a GPU.
"""

import paper

VARIANTS = ("static", "video")
# Of the validation split, at full length: none of them is trained on.
DEVELOPMENT = ("breakdance", "camel", "drift-straight", "kite-surf", "motocross-jump", "soapbox")
IMAGES = (
    ("images={root}/ECSSD/images,{root}/ECSSD/ground_truth_mask", 2.0),
    ("images={root}/DUTS_part/images,{root}/DUTS_part/masks", 1.0),
    ("images={root}/COCO_mini/images,{root}/COCO_mini/masks", 1.0),
    ("images={root}/GSC/images,{root}/GSC/masks", 0.5),
    ("images={root}/COCO128_instances/images,{root}/COCO128_instances/masks", 0.5),
)
VIDEOS = (
    ("videos={root}/DAVIS:train", 10.0),
    ("videos={root}/SegTrack:train", 1.0),
    ("videos={root}/DAVIS17_multiobject", 0.5),
    ("videos={root}/DAVIS17_first_frames", 0.5),
)


def get_config(variant="static"):
    """What differs from `paper.py`: the first stage, and what the second changes of it."""
    config = paper.get_config()
    config.name = f"ranet50_{variant}"
    _static(config)
    if variant == "video":
        _video(config)
    return config


def _static(config):
    config.init_from = "weights/resnet50.pth"  # torchvision's, or an .npz of the same names
    config.steps = 3000
    config.model.depth = 50
    config.model.reduction_size = 1  # a third of the parameters, as in the paper's supplement
    # One object of several: what looks like the object, and is not, is in the same image.
    config.data.update(sets=IMAGES, object_sampling="sampled")
    config.data.update(height=256, width=448, batch_size=4, workers=0, threads=2)
    # A crop of a frame kept at twice the size has the details that the frame would have lost.
    config.data.frame_scale = 2
    config.augment.color = 0.2
    config.optimizer.update(learning_rate=5e-4, warmup_steps=40, schedule="cosine")
    config.optimizer.update(clip_norm=1.0, backbone_lr_multiplier=0.0)
    # Of a few hundred steps take a shorter mean, 0.98: the start has to be forgotten.
    config.optimizer.ema_decay = 0.999
    # Whole videos, and seldom: what a network does wrong it passes on to itself, frame by frame.
    config.eval.update(sequences=DEVELOPMENT, every=1000)
    config.log.update(every=20, images=500, checkpoint=100)


def _video(config):
    config.stage = "video"
    config.init_from = "runs/ranet50-static"
    config.steps = 500
    config.model.memory = 1  # the frame before, as the network segmented it
    config.data.sets = VIDEOS + IMAGES  # images go on: few videos are soon known by heart
    config.data.update(batch_size=2, clip_length=3, max_frame_gap=6)
    # Only the first frame of a clip has a previous mask with made-up errors.
    config.data.update(extra_region_prob=0.2, missing_region_prob=0.1, occlusions=0.2)
    # Frames of a video differ less than the warps of the first stage.
    config.augment.update(warp=0.05, rotation=10.0, scale=(0.9, 1.1))
    config.optimizer.update(learning_rate=1e-4, warmup_steps=20, ema_decay=0.99)
    config.optimizer.backbone_lr_multiplier = 0.2
