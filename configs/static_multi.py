"""Stage 1 of RANet, several objects: SOC and ILSO join the static images (paper 3.3, 3.5).

ranet train --config configs/static_multi.py --workdir runs/static_multi

Softmax cross-entropy over background and objects; an image of one object trains too.
"""

import static_single


def get_config():
    """What differs from `static_single.py`."""
    config = static_single.get_config()
    config.name = "static_multi"
    config.model.mode = "multi"
    config.data.object_sampling = "multi"
    config.data.slots = 4  # not in the paper: most videos of DAVIS-2017 have no more
    # Half of the 3,600 images of SOC's training set show no object and are never drawn.
    config.data.sets += (("soc", 1_800.0), ("ilso", 1_000.0))
    config.eval.dataset = "davis2017"
    return config
