"""RANet+: fine-tuning on the first frame of one video (paper 4.1, "online learning"; Table 6).

ranet train --config configs/online.py --workdir runs/online/horse --config.data.root=horse

The static-image recipe at a tenth of its learning rate, on the one image in `horse/image` and
its mask of the same name in `horse/mask`; the result is the network of that one video. To do the
same to every video of a split, without keeping the networks:

ranet evaluate --dataset davis2016 --root DAVIS --checkpoint runs/davis2016 --online 100 --out plus
"""

import paper


def get_config():
    """What differs from `paper.py`."""
    config = paper.get_config()
    config.name = "online"
    config.stage = "static"  # the recipe of static images
    config.init_from = "runs/davis2016"
    config.steps = 100  # Table 6 gives times, not iterations: the more, the better and the slower
    config.data.sets = (("images={root}/image,{root}/mask", 1.0),)
    config.data.batch_size = 1  # not in the paper: what fits wherever the network can be run
    config.data.workers = 0
    config.data.threads = 1
    config.optimizer.learning_rate = 1e-6
    config.eval.every = 0  # there is nothing but that frame
    config.log.every = 10
    config.log.images = 0
    config.log.checkpoint = 100
    config.log.keep = 1
    return config
