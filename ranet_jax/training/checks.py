"""Whether what a config names is there and fits: devices, checkpoints, data."""

from collections.abc import Sequence

import jax

from data_pipelines.config import DataConfig
from data_pipelines.pipeline import open_source
from data_pipelines.sources import Source
from ranet_jax.errors import InputError, did_you_mean, listed
from ranet_jax.evaluation.davis import read_split
from ranet_jax.training import initialization
from ranet_jax.training.config import TrainConfig

Sets = Sequence[tuple[str, Source]]


def check(config: TrainConfig) -> None:
    """Refuses a config that cannot be trained here, before anything heavy is done.

    Asks JAX for its devices: of several processes, call it after they were joined.

    Raises:
        InputError: with one sentence: the batch does not fit the devices, or the data or the
            checkpoint to start from is missing or does not fit.
    """
    config.check_batch(devices=jax.device_count(), processes=jax.process_count())
    initialization.check_fits(config.network(), config.init_from)
    sets = [(name, _open_set(name, config.data)) for name, _ in config.data.sets]
    _check_stage(sets, config.stage)
    _check_excluded(sets, config.data.exclude)
    if config.eval.every:
        _check_evaluated(sets, config)


def _open_set(name: str, data: DataConfig) -> Source:
    """A training set with nothing left out."""
    filled = data.in_root(name)
    try:
        return open_source(filled, data.data_dir)
    except InputError as error:
        if filled == name:
            raise
        raise InputError(
            f"{str(error).rstrip('.')} ({{root}} is data.root={data.root}; "
            "--config.data.root=FOLDER names another)."
        ) from None


def _check_stage(sets: Sets, stage: str) -> None:
    for name, source in sets:
        if stage == "static" and source.videos:
            raise InputError(
                f"stage=static trains on static images, but {name} has videos: use stage=video."
            )
    if stage == "video" and not any(source.videos for _, source in sets):
        raise InputError(
            f"stage=video needs videos, and none of {', '.join(name for name, _ in sets)} has any: "
            "use stage=static."
        )


def _check_excluded(sets: Sets, exclude: Sequence[str]) -> None:
    """A misspelt name would leave nothing out, and what is held out would be trained on."""
    known = {video for _, source in sets for video in source.videos}
    for name in exclude:
        if known and name not in known:
            raise InputError(
                f"data.exclude names {name}, which is no training video: "
                f"{did_you_mean(name, known)}"
            )
    for name, source in sets:
        if source.videos and not set(source.videos) - set(exclude):
            raise InputError(f"data.exclude leaves no video of {name}: keep some, or drop the set.")


def _check_evaluated(sets: Sets, config: TrainConfig) -> None:
    exclude, evaluated = config.data.exclude, _evaluated(config)
    for name, source in sets:
        trained = set(source.videos) - set(exclude)
        shared = [video for video in evaluated if video in trained]
        if shared:
            raise InputError(
                f"{listed(shared)} of eval are also trained on ({name}): leave them "
                f'out with --config.data.exclude="{(*exclude, *shared)}", or evaluate on others.'
            )


def _evaluated(config: TrainConfig) -> list[str]:
    """Names of the sequences to evaluate on."""
    wanted = config.eval
    try:
        videos = read_split(
            config.eval_root, wanted.dataset, wanted.split, sequences=wanted.sequences or None
        )
    except InputError as error:
        raise InputError(
            f"{str(error).rstrip('.')}; or train without evaluating: --config.eval.every=0."
        ) from None
    return [video.name for video in videos]
