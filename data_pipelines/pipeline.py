"""From the names in a config to a loader.

A dataset is named by a string:

    ecssd                       a set that `ranet data build` built, its split `train`
    davis/2016:trainval         another split
    videos=FOLDER               a folder of videos in the layout of DAVIS
    videos=FOLDER:train         those of `ImageSets/2017/train.txt` (or of `ImageSets/2016/`)
    images=IMAGES,MASKS         a folder of photographs and one of masks of the same names

In a config `{root}` in a name stands for its `data.root`: `videos={root}/DAVIS:train`.
"""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_pipelines import DEFAULT_DATA_DIR, builders, built_sources, sources
from data_pipelines.examples import ExampleSettings
from data_pipelines.loader import Loader
from data_pipelines.sources import Source
from ranet_jax.errors import InputError
from ranet_jax.training import augment

DEFAULT_ROOT = "data"
NO_AUGMENTATION = augment.IDENTITY
_LOADER_SETTINGS = ("batch_size", "max_corrupt", "seed", "threads", "workers")


def open_source(
    name: str, data_dir: str | Path = DEFAULT_DATA_DIR, exclude: Collection[str] = ()
) -> Source:
    """The source of a name, see above.

    Args:
        name: of the dataset.
        data_dir: where built sets are kept.
        exclude: names of videos to leave out of it; photographs have no such names.

    Raises:
        InputError: the name means nothing, or what it names is not there.
    """
    kind, separator, rest = name.partition("=")
    if separator and kind == "images":
        images, comma, masks = rest.partition(",")
        if not comma:
            raise InputError(f"{name} names one folder: write images=IMAGES,MASKS.")
        return sources.image_folder(images, masks)
    if separator and kind == "videos":
        folder, _, split = rest.partition(":")
        return sources.video_folder(folder, split=split or None, exclude=exclude)
    if separator:
        raise InputError(f"{name} is no dataset: before the = goes videos or images.")
    package, _, split = name.partition(":")
    builder = builders.builder(package, Path(data_dir).expanduser())
    return built_sources.TfdsSource(builder, split or "train", exclude=exclude)


def open_loader(
    sets: Sequence[tuple[str, float]],
    *,
    batch_size: int,
    data_dir: str | Path = DEFAULT_DATA_DIR,
    exclude: Collection[str] = (),
    seed: int = 0,
    local_devices: int = 1,
    process_index: int = 0,
    process_count: int = 1,
    workers: int = 0,
    threads: int = 4,
    max_corrupt: float = 0.01,
    **settings: Any,
) -> Loader:
    """A loader of named datasets.

    Args:
        sets: name and weight of each.
        batch_size: examples in a batch of this process.
        data_dir: where built sets are kept.
        exclude: names of videos to leave out, such as those held out to evaluate on.
        seed: see `Loader`, as for all up to `max_corrupt`.
        local_devices: devices of this process.
        process_index: this process's number.
        process_count: number of processes.
        workers: processes that make batches.
        threads: threads in each.
        max_corrupt: share of unreadable frames to put up with.
        **settings: the attributes of `ExampleSettings`.

    Raises:
        InputError: a dataset is not there, or a setting is unknown or out of range.
    """
    return Loader(
        [(open_source(name, data_dir, exclude), weight) for name, weight in sets],
        example_settings(**settings),
        batch_size=batch_size,
        seed=seed,
        local_devices=local_devices,
        process_index=process_index,
        process_count=process_count,
        workers=workers,
        threads=threads,
        max_corrupt=max_corrupt,
    )


def example_settings(**settings: Any) -> ExampleSettings:
    """`ExampleSettings` that answers a misspelt name with a sentence."""
    _refuse_unknown("data", settings, ExampleSettings.__dataclass_fields__)
    return ExampleSettings(**settings)


def source_settings(section: Mapping[str, Any]) -> dict[str, Any]:
    """What the `data` section of a config says about sources and examples, `{root}` replaced.

    Raises:
        InputError: a setting is unknown.
    """
    wanted = ("sets", "data_dir", "exclude", *ExampleSettings.__dataclass_fields__)
    _refuse_unknown("data", section, (*wanted, "root", *_LOADER_SETTINGS))
    settings = {name: section[name] for name in wanted if name in section}
    if "sets" in settings:
        if any(len(pair) != 2 or isinstance(pair, str) for pair in settings["sets"]):
            raise InputError(
                f"data.sets is {settings['sets']!r}: it has to be pairs of a dataset and a weight, "
                "such as (('ecssd', 1.0),)."
            )
        root = section.get("root", DEFAULT_ROOT)
        settings["sets"] = [(in_root(name, root), weight) for name, weight in settings["sets"]]
    return settings


def loader_settings(section: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `open_loader` that the `data` section of a config has.

    Raises:
        InputError: a setting is unknown.
    """
    return source_settings(section) | {
        name: section[name] for name in _LOADER_SETTINGS if name in section
    }


def in_root(name: str, root: str | Path) -> str:
    """A dataset's name, or a path, with `root` in the place of `{root}`."""
    return name.replace("{root}", os.path.expanduser(root))


def augmentation_settings(section: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `augment.augment` from the sections `augment` and `data` of a config.

    Raises:
        InputError: a setting is unknown.
    """
    _refuse_unknown("augment", section, augment.IDENTITY)
    return {**section, "frame_scale": data.get("frame_scale", 1)}


def _refuse_unknown(title: str, section: Mapping[str, Any], known: Iterable[str]) -> None:
    unknown = sorted(set(section) - set(known))
    if unknown:
        raise InputError(
            f"There is no setting {title}.{unknown[0]}: choose from {', '.join(sorted(known))}."
        )
