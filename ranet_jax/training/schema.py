"""Every setting of a config, and what it may be by itself.

What settings may be together is for `config.check` to say.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ranet_jax.errors import InputError
from ranet_jax.training.config_file import did_you_mean


class Rule(NamedTuple):
    """What a value has to be.

    Attributes:
        accepts: whether a value will do.
        wanted: the same in words, for "It has to be ...".
    """

    accepts: Callable[[Any], bool]
    wanted: str


def check_settings(config: Mapping[str, Any]) -> None:
    """Looks at every setting by itself.

    Raises:
        InputError: a section or a setting is unknown or missing, or a value is out of its range.
    """
    _check_names("", config, {**SETTINGS, **SECTIONS})
    for title, rules in {"": SETTINGS, **SECTIONS}.items():
        section = config[title] if title else config
        if not isinstance(section, Mapping) and not hasattr(section, "items"):
            raise InputError(f"{title} is {section!r}: it has to be a section of settings.")
        if title:
            _check_names(f"{title}.", section, rules)
        for name, rule in rules.items():
            if not rule.accepts(section[name]):
                where = f"{title}.{name}" if title else name
                raise InputError(f"{where} is {section[name]!r}: it has to be {rule.wanted}.")


def _check_names(prefix: str, section: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in section:
        if name not in known:
            raise InputError(f"There is no setting {prefix}{name}: {did_you_mean(name, known)}")
    missing = [prefix + name for name in known if name not in section]
    if missing:
        raise InputError(f"The config lacks {', '.join(missing)}: configs/paper.py has every one.")


def _whole(low: int) -> Rule:
    def accepts(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value >= low

    return Rule(accepts, f"a whole number of {low} or more")


def _number(low: float, high: float = math.inf, *, open_low=False, open_high=False) -> Rule:
    def accepts(value: Any) -> bool:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return False
        above = value > low if open_low else value >= low
        below = value < high if open_high else value <= high
        return math.isfinite(value) and above and below

    start = f"above {low:g}" if open_low else f"of {low:g} or more"
    end = f" and {'below' if open_high else 'at most'} {high:g}" if high < math.inf else ""
    return Rule(accepts, f"a number {start}{end}")


def _one_of(*choices: Any) -> Rule:
    # True equals 1, which is a choice of some settings.
    return Rule(
        lambda value: not isinstance(value, bool) and value in choices,
        f"one of {', '.join(map(str, choices))}",
    )


def _sets(value: Any) -> bool:
    if not isinstance(value, (tuple, list)) or not value:
        return False
    pairs = [pair for pair in value if isinstance(pair, (tuple, list)) and len(pair) == 2]
    weight = _number(0, open_low=True)
    return len(pairs) == len(value) and all(
        isinstance(name, str) and weight.accepts(share) for name, share in pairs
    )


def _names(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(isinstance(name, str) for name in value)


def _scale(value: Any) -> bool:
    positive = _number(0, open_low=True).accepts
    return (
        isinstance(value, (tuple, list))
        and len(value) == 2
        and all(map(positive, value))
        and value[0] <= value[1]
    )


_TEXT = Rule(lambda value: isinstance(value, str), "text")
_NAME = Rule(lambda value: isinstance(value, str) and bool(value.strip()), "text, and not empty")
_FLAG = Rule(lambda value: isinstance(value, bool), "True or False")
_NAMES = Rule(_names, "names such as ('bus', 'elephant')")
_SHARE = _number(0, 1)
_BELOW_ONE = _number(0, 1, open_high=True)
_SIDE = Rule(
    lambda value: _whole(32).accepts(value) and value % 32 == 0, "a multiple of 32, in pixels"
)

SETTINGS: dict[str, Rule] = {
    "name": _NAME,
    "seed": _whole(0),
    "steps": _whole(1),
    "stage": _one_of("static", "video"),
    "init_from": _TEXT,
    "precision": _one_of("float32", "bfloat16"),
    "remat": _FLAG,
}

SECTIONS: dict[str, dict[str, Rule]] = {
    "model": {
        "mode": _one_of("single", "multi"),
        "depth": _whole(1),
        "width": _whole(8),  # less, and layers without a channel come about
        "reduction_size": _one_of(1, 3),
        "ranking": _one_of("rank", "none", "max"),
        "correlation": _FLAG,
        "previous_mask": _FLAG,
        "score_gradient": _one_of("straight_through", "gate", "none"),
        "aggregation": _one_of("softmax", "argmax"),
    },
    "data": {
        "root": _NAME,
        "sets": Rule(_sets, "pairs of a dataset and a weight above 0, such as (('ecssd', 1.0),)"),
        "exclude": _NAMES,
        "data_dir": _NAME,
        "height": _SIDE,
        "width": _SIDE,
        "frame_scale": _whole(1),
        "slots": _whole(1),
        "objects": _one_of("merged", "sampled", "multi"),
        "crops": _one_of("object", "frame"),
        "jitter": _BELOW_ONE,
        "max_frame_gap": _whole(1),
        "min_area": _BELOW_ONE,
        "extra_region_prob": _SHARE,
        "missing_region_prob": _SHARE,
        "occlusions": _SHARE,
        "batch_size": _whole(1),
        "workers": _whole(0),
        "threads": _whole(0),
        "max_corrupt": _SHARE,
    },
    "augment": {
        "warp": _number(0),
        "rotation": _number(0, 180),
        "scale": Rule(_scale, "the smallest and the largest magnification, such as (0.75, 1.25)"),
        "crop": _BELOW_ONE,
        "flip": _SHARE,
        "color": _BELOW_ONE,
        "previous_warp": _number(0),
        "coarsening": _BELOW_ONE,
    },
    "optimizer": {
        "learning_rate": _number(0, open_low=True),
        "warmup_steps": _whole(0),
        "schedule": _one_of("constant", "cosine"),
        "clip_norm": _number(0),
        "backbone_lr_multiplier": _number(0),
        "grad_accum_steps": _whole(1),
        "ema_decay": _BELOW_ONE,
    },
    "held_out": {
        "dataset": _one_of("davis2016", "davis2017"),
        "root": _NAME,
        "split": _NAME,
        "sequences": _NAMES,
        "frames": _whole(0),
        "every": _whole(0),
    },
    "log": {
        "every": _whole(1),
        "pictures": _whole(0),
        "checkpoint": _whole(1),
        "keep": _whole(1),
    },
    "online": {
        "iterations": _whole(0),
        "learning_rate": _number(0, open_low=True),
        "batch_size": _whole(1),
    },
}
