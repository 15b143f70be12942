"""From the names in a config to a loader.

A dataset is named by a string:

    ecssd                       a set that `ranet data build` built, its split `train`
    davis/2016:trainval         another split
    videos=FOLDER               a folder of videos in the layout of DAVIS
    videos=FOLDER:train         those of `ImageSets/2017/train.txt` (or of `ImageSets/2016/`)
    images=IMAGES,MASKS         a folder of images and one of masks of the same names

In a config `{root}` in a name stands for its `data.root`: `videos={root}/DAVIS:train`.
"""

from collections.abc import Collection
from pathlib import Path

from data_pipelines import DEFAULT_DATA_DIR, sources
from data_pipelines.config import DataConfig
from data_pipelines.loader import Loader
from data_pipelines.sources import Source
from ranet_jax.errors import InputError
from ranet_jax.io.paths import local


def open_source(
    name: str, data_dir: str | Path = DEFAULT_DATA_DIR, exclude: Collection[str] = ()
) -> Source:
    """The source of a name, see above.

    Args:
        name: of the dataset.
        data_dir: where built sets are kept.
        exclude: names of videos to leave out of it; images have no such names.

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
        store, mark, place = rest.rpartition("://")
        folder, _, split = place.partition(":")
        folder = store + mark + folder
        return sources.video_folder(folder, split=split or None, exclude=exclude)
    if separator:
        raise InputError(f"{name} is no dataset: before the = goes videos or images.")
    package, _, split = name.partition(":")
    from data_pipelines import builders, built_sources  # TFDS is slow to import

    builder = builders.builder(package, local(data_dir).expanduser())
    return built_sources.TfdsSource(builder, split or "train", exclude=exclude)


def open_sources(data: DataConfig) -> list[tuple[Source, float]]:
    """The sources to train on, each with its weight.

    Raises:
        InputError: a dataset is not there.
    """
    return [
        (open_source(data.in_root(name), data.data_dir, data.exclude), weight)
        for name, weight in data.sets
    ]


def open_loader(
    data: DataConfig,
    *,
    seed: int,
    local_devices: int = 1,
    process_index: int = 0,
    process_count: int = 1,
) -> Loader:
    """The loader of one process; see `Loader` for the arguments.

    Raises:
        InputError: a dataset is not there, or the batch cannot be split equally.
    """
    return Loader(
        open_sources(data),
        data,
        batch_size=data.batch_size // process_count,
        seed=seed,
        local_devices=local_devices,
        process_index=process_index,
        process_count=process_count,
        workers=data.workers,
        threads=data.threads,
        max_corrupt=data.max_corrupt,
    )
