"""All settings of a run: what a file of `configs/` says, as typed and checked dataclasses.

    config = read("configs/tiny.py", ["--config.steps=500"])
    config.data.height, config.optimizer.learning_rate

A setting is declared here (those of `data` in `data_pipelines/`, of `model` in `checkpoints/`),
gets its value in `configs/paper.py`, and is read where it has its effect.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from data_pipelines.config import DataConfig
from ranet_jax.checkpoints.checkpoint import PRECISIONS
from ranet_jax.checkpoints.settings import MAX_STEPS, ModelConfig
from ranet_jax.errors import InputError
from ranet_jax.evaluation.davis import Dataset
from ranet_jax.io.paths import as_path
from ranet_jax.io.settings import Settings, choice, flag, names, number, setting, text, whole
from ranet_jax.models import ranet


def _is_scale(value: Any) -> bool:
    def positive(x: Any) -> bool:
        return isinstance(x, (int, float)) and not isinstance(x, bool) and 0 < x <= 100

    pair = isinstance(value, tuple) and len(value) == 2
    return pair and all(map(positive, value)) and value[0] <= value[1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentConfig(Settings, section="augment"):
    """Strengths of the augmentation (see `augment.augment_each`); the defaults change nothing."""

    warp: float = number(
        0,
        1,
        "largest shift of a spline's control point, fraction of the image",
        default=0.0,
    )
    rotation: float = number(0, 180, "largest angle, degrees", default=0.0)
    scale: tuple[float, float] = setting(
        _is_scale,
        "the smallest and the largest magnification, such as (0.75, 1.25)",
        "smallest and largest magnification",
        default=(1.0, 1.0),
    )
    crop: float = number(
        0, 1, "largest fraction of the sides that a crop leaves out", below_high=True, default=0.0
    )
    flip: float = number(0, 1, "probability of mirroring left and right", default=0.0)
    color: float = number(
        0, 1, "strength of the changes of brightness and color", below_high=True, default=0.0
    )
    previous_warp: float = number(
        0, 1, "largest shift of the second warp, of an image's previous mask", default=0.0
    )
    coarsening: float = number(
        0,
        1,
        "how much previous masks are coarsened, fraction of the width",
        below_high=True,
        default=0.0,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerConfig(Settings, section="optimizer"):
    """Adam, and what becomes of the weights."""

    learning_rate: float = number(0, 100, "the largest rate", above_low=True)
    warmup_steps: int = whole(0, MAX_STEPS, "the rate grows over so many steps", default=0)
    schedule: str = choice(("constant", "cosine"), "of the rate after that", default="constant")
    clip_norm: float = number(0, 1e9, "largest joint norm of the gradients; 0: any", default=0.0)
    backbone_lr_multiplier: float = number(
        0, 1000, "rate of the backbone relative to the others'; 0 freezes it", default=1.0
    )
    through_time: bool = flag(
        "True: the gradient of a frame of a clip reaches the frames before it", default=False
    )
    grad_accum_steps: int = whole(
        1, 65_536, "microbatches that a batch is computed in, to save memory", default=1
    )
    ema_decay: float = number(
        0, 1, "decay of the running mean of the weights; 0: none", below_high=True, default=0.0
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalConfig(Settings, section="eval"):
    """Evaluation on videos that are not trained on."""

    dataset: Dataset = choice(get_args(Dataset), "whose lists and protocol to use")
    root: str = text("folder of the DAVIS package; may hold {root}")
    split: str = text("name of a split, or path of a list of sequences")
    sequences: tuple[str, ...] = names("sequences of the split to evaluate on; (): all")
    frames: int = whole(0, MAX_STEPS, "frames of each sequence, from the first on; 0: all")
    every: int = whole(0, MAX_STEPS, "steps between two evaluations; 0: never")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogConfig(Settings, section="log"):
    """What is written when, in steps."""

    every: int = whole(1, MAX_STEPS, "steps between two lines of the log")
    images: int = whole(0, MAX_STEPS, "steps between two sheets of predictions; 0: never")
    checkpoint: int = whole(1, MAX_STEPS, "steps between two checkpoints")
    keep: int = whole(1, 100_000, "checkpoints to keep beside the best")


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnlineConfig(Settings, section="online"):
    """RANet+: learning on the first frame of every video that is evaluated (paper 4.1)."""

    iterations: int = whole(0, 1_000_000, "of learning on each first frame; 0: none")
    learning_rate: float = number(0, 100, "of these iterations", above_low=True)
    batch_size: int = whole(1, 1024, "views of the frame in an iteration")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(Settings):
    """A run."""

    name: str = text("of the experiment")
    seed: int = whole(0, 2**32 - 1, "of everything random")
    steps: int = whole(1, MAX_STEPS, "length of the run")
    stage: str = choice(("static", "video"), "static images, or videos")
    init_from: str = text(
        "what to start from: nothing, a ResNet of ImageNet, checkpoints, or `default`", empty=True
    )
    precision: str = choice(tuple(PRECISIONS), "what convolutions compute in")
    remat: bool = flag("True: activations are computed twice to save memory")
    model: ModelConfig
    data: DataConfig
    augment: AugmentConfig
    optimizer: OptimizerConfig
    eval: EvalConfig
    log: LogConfig
    online: OnlineConfig

    def check_together(self) -> None:
        """Refuses settings of different sections that do not go together."""
        fitting = ("multi",) if self.model.mode == "multi" else ("merged", "sampled")
        if self.data.object_sampling not in fitting:
            raise InputError(
                f"model.mode={self.model.mode} does not go with data.object_sampling="
                f"{self.data.object_sampling}: use data.object_sampling={' or '.join(fitting)}."
            )
        if self.optimizer.warmup_steps >= self.steps:
            raise InputError(
                f"optimizer.warmup_steps is {self.optimizer.warmup_steps}, but there are only "
                f"{self.steps} steps: warm up over fewer."
            )
        self.check_batch(devices=1, processes=1)

    def check_batch(self, *, devices: int, processes: int) -> None:
        """Refuses a batch that cannot be split equally.

        Args:
            devices: of all processes together.
            processes: number of processes.

        Raises:
            InputError: the batch is no multiple of devices and microbatches.
        """
        size, microbatches = self.data.batch_size, self.optimizer.grad_accum_steps
        if size % (devices * microbatches):
            shares = [f"{devices} device{'s' * (devices > 1)}"]
            shares += [f"{processes} processes"] * (processes > 1)
            shares += [f"{microbatches} microbatches"] * (microbatches > 1)
            raise InputError(
                f"data.batch_size is {size}, which cannot be shared equally among "
                f"{' and '.join(shares)}: choose a multiple of {devices * microbatches}."
            )

    def network(self) -> ranet.RANet:
        """The network, computing in the config's precision."""
        return ranet.RANet(
            **dataclasses.asdict(self.model), dtype=PRECISIONS[self.precision], remat=self.remat
        )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the network's input."""
        return self.data.height, self.data.width

    @property
    def augmentation(self) -> dict[str, Any]:
        """Arguments of `augment.augment`."""
        return dataclasses.asdict(self.augment) | {"frame_scale": self.data.frame_scale}

    @property
    def eval_root(self) -> Path:
        """Folder of the DAVIS package to evaluate on."""
        return as_path(self.data.in_root(self.eval.root))


def read(config: str | Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """The settings of a config file, see `config_file.read`, checked.

    Raises:
        InputError: there is no such config, variant or key; or a value is out of range or does not
            go with others.
    """
    from ranet_jax.training import config_file  # needs packages of the extra `train`

    return TrainConfig.read(config_file.read(config, overrides))
