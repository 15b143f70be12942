"""What the section `data` of a config says: which examples, and how they are made."""

import dataclasses
import os
from typing import Any, Literal, get_args

from data_pipelines import DEFAULT_DATA_DIR
from ranet_jax.errors import InputError
from ranet_jax.io.settings import Settings, choice, names, number, setting, text, whole

ObjectSampling = Literal["merged", "sampled", "multi"]
Crops = Literal["object", "frame"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExampleSettings(Settings, section="data"):
    """How examples are made.

    Raises:
        InputError: a setting is out of range, or the slots do not go with the objects.
    """

    height: int = whole(32, 8192, "rows of the network's input", multiple_of=32, default=480)
    width: int = whole(32, 8192, "columns of the network's input", multiple_of=32, default=864)
    frame_scale: int = whole(
        1, 8, "frames are kept at so many times the input size, and crops cut out", default=1
    )
    slots: int = whole(1, 254, "object slots of an example", default=1)
    object_sampling: ObjectSampling = choice(
        get_args(ObjectSampling),
        "merged: all objects are one; sampled: one object, drawn at random, the others are "
        "background; multi: up to `slots` objects, in random order",
        default="merged",
    )
    crops: Crops = choice(
        get_args(Crops),
        "object: the box around the object, as at test time; frame: the whole frame",
        default="object",
    )
    jitter: float = number(
        0,
        1,
        "the box varies in size and place, as a fraction",
        below_high=True,
        default=0.1,
    )
    max_frame_gap: int = whole(
        1, 10_000, "largest distance from the previous mask's frame to the current one", default=5
    )
    clip_length: int = whole(
        1, 1000, "current frames of an example, one after the other (the paper's: 1)", default=1
    )
    min_area: float = number(
        0,
        1,
        "smaller objects are left out, fraction of the frame",
        below_high=True,
        default=0.001,
    )
    extra_region_prob: float = number(
        0, 1, "fraction of examples with pieces of background in the previous mask", default=0.0
    )
    missing_region_prob: float = number(
        0, 1, "fraction of examples whose previous mask lacks a part of the object", default=0.0
    )
    occlusions: float = number(
        0, 1, "fraction of examples with something in front of the object", default=0.0
    )

    def check_together(self) -> None:
        """Several slots are for several objects."""
        if self.slots > 1 and self.object_sampling != "multi":
            raise InputError(
                f"data.slots is {self.slots}, but data.object_sampling={self.object_sampling} "
                "takes one slot: use data.object_sampling=multi."
            )

    @property
    def canvas(self) -> tuple[int, int]:
        """Height and width of the canvases."""
        return self.height * self.frame_scale, self.width * self.frame_scale


def _are_sets(value: Any) -> bool:
    return bool(value) and isinstance(value, tuple) and all(map(_is_set, value))


def _is_set(pair: Any) -> bool:
    if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], str):
        return False
    weight = pair[1]
    is_number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
    return is_number and 1e-6 <= weight <= 1e6


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig(ExampleSettings, section="data"):
    """What to train on, and how examples and batches are made of it."""

    root: str = text("what {root} in other settings stands for", default="data")
    sets: tuple[tuple[str, float], ...] = setting(
        _are_sets,
        "pairs of a dataset and a weight above 0, from 1e-6 to 1e6, such as (('ecssd', 1.0),)",
        "names of datasets, each with its weight in the mixture",
    )
    exclude: tuple[str, ...] = names("videos to leave out, by name", default=())
    data_dir: str = text("where built datasets are kept", default=DEFAULT_DATA_DIR)
    batch_size: int = whole(1, 65_536, "examples of a step, on all devices together", default=1)
    workers: int = whole(0, 256, "processes that make batches; 0: none of their own", default=0)
    threads: int = whole(0, 256, "threads in each of these processes", default=4)
    max_corrupt: float = number(0, 1, "tolerated fraction of unreadable frames", default=0.01)

    def in_root(self, name: str) -> str:
        """A dataset's name, or a path, with `root` in the place of `{root}`."""
        return name.replace("{root}", os.path.expanduser(self.root))
