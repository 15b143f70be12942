"""Every setting there is, as in the paper (section 3.5): the other configs say what they change.

No experiment by itself. Where the paper is silent, a comment says why the value is what it is.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Single-object training on whatever `data.sets` names, from ImageNet weights."""
    config = ConfigDict()
    config.name = "paper"
    config.seed = 0
    config.steps = 100_000  # not in the paper: a hundred times through its static images
    config.stage = "static"  # or "video"
    # "" (random), a ResNet of ImageNet (the backbone alone), a checkpoint, an earlier workdir, or
    # "default", the default model.
    config.init_from = "weights/resnet101.pth"  # torchvision's, under this name
    config.precision = "float32"  # of the convolutions; not in the paper
    config.remat = False  # True: less memory, a third more time

    config.model = ConfigDict()
    config.model.mode = "single"  # or "multi" (section 3.3)
    config.model.depth = 101
    config.model.width = 64
    config.model.reduction_size = 3  # as released; 1 in the paper's supplement
    config.model.ranking = "rank"  # Table 4: or "none", "max"
    config.model.correlation = True  # Table 5, -CL
    config.model.previous_mask = True  # Table 5, -PM
    config.model.score_gradient = "straight_through"  # read literally, ranking never learns
    config.model.aggregation = "softmax"
    config.model.memory = 0  # earlier frames to match with, beside the first; none in the paper
    config.model.max_gap = 0.0  # drops no part of a mask for its distance; not in the paper

    config.data = ConfigDict()
    config.data.root = "data"  # what {root} below stands for
    config.data.sets = (("ecssd", 1.0),)  # names as in docs/DATASETS.md, each with its weight
    config.data.exclude = ()  # videos to leave out, by name
    config.data.data_dir = "~/tensorflow_datasets"  # of what `ranet data build` built
    config.data.height = 480
    config.data.width = 864
    config.data.frame_scale = 1  # frames are kept at so many times this size, and crops cut out
    config.data.slots = 1  # objects an example can have
    config.data.object_sampling = "merged"  # or "sampled", "multi"
    config.data.crops = "object"  # as in testing: the box around the object, 1.5 times enlarged
    config.data.jitter = 0.1  # of that box; not in the paper
    config.data.max_frame_gap = 5  # frames between previous mask and current frame
    config.data.clip_length = 1  # current frames of an example, one after the other
    config.data.extra_region_prob = 0.0  # fraction of previous masks with background in them
    config.data.missing_region_prob = 0.0  # fraction of previous masks without a part of the object
    config.data.occlusions = 0.0  # fraction of current frames with something before the object
    config.data.min_area = 0.001  # objects below a thousandth of the frame teach nothing
    config.data.batch_size = 16  # of all devices and hosts together; not in the paper
    config.data.workers = 4
    config.data.threads = 4
    config.data.max_corrupt = 0.01

    config.augment = ConfigDict()
    config.augment.warp = 0.15  # thin-plate spline of 16 points, moved by up to 15%
    config.augment.rotation = 30.0
    config.augment.scale = (0.75, 1.25)
    config.augment.crop = 0.2  # "random cropping"; how much is not in the paper
    config.augment.flip = 0.5  # not in the paper: a mirrored object is as good an example
    config.augment.color = 0.0
    config.augment.previous_warp = 0.05  # slight, as in MaskTrack, which the paper follows
    config.augment.coarsening = 0.01

    config.optimizer = ConfigDict()  # Adam
    config.optimizer.learning_rate = 1e-5
    config.optimizer.warmup_steps = 0
    config.optimizer.schedule = "constant"  # "initial" rate in the paper, but no decay is named
    config.optimizer.clip_norm = 0.0  # 0: none
    config.optimizer.backbone_lr_multiplier = 1.0  # the backbone learns as fast as the rest
    config.optimizer.through_time = False  # of clips: the gradient stops between their frames
    config.optimizer.grad_accum_steps = 1
    config.optimizer.ema_decay = 0.0  # decay of a running mean of the weights; 0: none

    config.eval = ConfigDict()  # J on these, while training
    config.eval.dataset = "davis2016"
    config.eval.root = "{root}/DAVIS"
    config.eval.split = "val"
    config.eval.sequences = ()  # all
    config.eval.frames = 0  # all
    config.eval.every = 5_000  # steps; 0: never

    config.log = ConfigDict()
    config.log.every = 50
    config.log.images = 1_000
    config.log.checkpoint = 1_000
    config.log.keep = 2

    config.online = ConfigDict()  # RANet+: learning on the first frame of what is evaluated
    config.online.iterations = 0
    config.online.learning_rate = 1e-6
    config.online.batch_size = 1
    return config
