"""What a checkpoint says of its network: every field with its type and range."""

import dataclasses
from collections.abc import Mapping
from typing import Any, get_args

from ranet_jax.io.records import Record, is_line, items, line, or_none, section
from ranet_jax.io.settings import choice, flag, number, setting, whole
from ranet_jax.models import ranet
from ranet_jax.models.aggregation import Aggregation
from ranet_jax.models.ranking import ScoreGradient
from ranet_jax.models.resnet import STAGES

# What fields were called in checkpoints written before version 1.0.
_RENAMED = {"objects": "mode", "combine": "aggregation"}
MAX_STEPS = 10**9


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig(Record, section="model"):
    """The network: fields of `RANet`, with its defaults."""

    mode: ranet.Mode = choice(
        get_args(ranet.Mode),
        "one object a sample, or several at once (paper 3.3)",
        default="single",
    )
    depth: int = choice(tuple(STAGES), "layers of the ResNet", default=101)
    width: int = whole(
        8, 1024, "channels of the ResNet's stem; all others scale with it", default=64
    )
    reduction_size: int = choice((1, 3), "kernel of the encoder's reductions", default=3)
    ranking: ranet.Ranking = choice(
        get_args(ranet.Ranking),
        "the paper's ranking, all maps, or their maximum (Table 4)",
        default="rank",
    )
    correlation: bool = flag(
        "False: features instead of similarity maps (Table 5, -CL)", default=True
    )
    previous_mask: bool = flag(
        "False: zeros instead of the previous mask (Table 5, -PM)", default=True
    )
    score_gradient: ScoreGradient = choice(
        get_args(ScoreGradient), "how the ranking learns", default="straight_through"
    )
    aggregation: Aggregation = choice(
        get_args(Aggregation), "how objects become one label a pixel", default="softmax"
    )
    memory: int = whole(
        0, 64, "earlier frames to match with, beside the first (the paper's: 0)", default=0
    )
    max_gap: float = number(
        0,
        10,
        "how far apart parts of a mask may be, in square roots of its area; 0: any (the paper's)",
        default=0.0,
    )


def _is_size(value: Any) -> bool:
    def is_side(side: Any) -> bool:
        return type(side) is int and 32 <= side <= 8192 and side % 32 == 0

    return isinstance(value, tuple) and len(value) == 2 and all(map(is_side, value))


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnlineRecord(Record, section="online"):
    """Online learning that a network went through."""

    iterations: int = whole(0, MAX_STEPS, "of learning on each first frame", default=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckpointSettings(Record):
    """What is kept beside parameters, see `checkpoint.read_settings`."""

    model: ModelConfig
    trained: bool = flag("whether the whole network was trained")
    name: str = line("of the run", default="")
    stage: str = line("of the training", default="")
    init_from: str = line("the network it started from", default="")
    backbone: str = line("the backbone it started from", default="")
    step: int = whole(0, MAX_STEPS, "of the run", default=0)
    size: tuple[int, int] | None = or_none(
        setting(_is_size, "height and width, multiples of 32 from 32 to 8192", "of the input")
    )
    frame_scale: int | None = or_none(whole(1, 8, "frames are kept at so many times the size"))
    online: OnlineRecord = section(OnlineRecord)
    mean_of: tuple[str, ...] = items(is_line, "names", "checkpoints it is the mean of", default=())


def check_settings(settings: Any, source: str) -> dict[str, Any]:
    """Settings as JSON has them, under the names of today, checked.

    Raises:
        InputError: a field is missing, or has a value that is refused; `source` is what to call the
            checkpoint.
    """
    if isinstance(settings, Mapping) and isinstance(settings.get("model"), Mapping):
        model = {_RENAMED.get(name, name): v for name, v in settings["model"].items()}
        settings = {**settings, "model": model}
    CheckpointSettings.parse(settings, source)
    return dict(settings)
