"""What each part of RANet is worth: `davis2016.py` with one thing changed (paper Tables 4 and 5).

ranet train --config configs/ablation.py:no_ranking --workdir runs/no_ranking

    full              nothing changed                                               J 85.5
    no_ranking        all similarity maps in their places instead of the best       J 81.9
    maximum           the maximum over the maps, one map a stream                   J 81.1
    no_correlation    features of both frames instead of similarity maps (-CL)      J 67.5
    no_previous_mask  zeros instead of the previous mask (-PM)                      J 81.4
    no_static         no pre-training on static images (-IP)                        J 73.2
    no_video          no fine-tuning on videos (-VF): stage 1 itself                J 79.9

A changed network is pre-trained changed as well. For no_ranking, and so on for the other three:

ranet train --config configs/static_single.py --workdir runs/static_no_ranking
    --config.model.ranking=none
"""

import davis2016
import paper
import static_single

MODEL = {
    "no_ranking": {"ranking": "none"},
    "maximum": {"ranking": "max"},
    "no_correlation": {"correlation": False},
    "no_previous_mask": {"previous_mask": False},
}
VARIANTS = ("full", *MODEL, "no_static", "no_video")


def get_config(variant="full"):
    """What differs from `davis2016.py`, or for no_video from `static_single.py`."""
    config = static_single.get_config() if variant == "no_video" else davis2016.get_config()
    config.name = f"ablation_{variant}"
    if variant in MODEL:
        config.model.update(MODEL[variant])
        config.init_from = f"runs/static_{variant}"
    if variant == "no_static":
        config.init_from = paper.get_config().init_from
    return config
