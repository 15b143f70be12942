"""Whether the files that a config names are there and fit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_pipelines import pipeline
from data_pipelines.sources import Source
from ranet_jax.errors import InputError
from ranet_jax.evaluation import davis as protocols
from ranet_jax.training.config_file import did_you_mean

Sets = Sequence[tuple[str, Source]]


def open_sets(sets: Sequence[tuple[str, float]], data_dir: str | Path, root: str) -> Sets:
    """Name and source of every training set, nothing left out.

    Args:
        sets: name and weight of each, with `{root}` where it is to be filled in.
        data_dir: where built sets are kept.
        root: what `{root}` stands for.

    Raises:
        InputError: one is not there.
    """
    return [(name, _open_set(name, data_dir, root)) for name, _ in sets]


def _open_set(name: str, data_dir: str | Path, root: str) -> Source:
    filled = pipeline.in_root(name, root)
    try:
        return pipeline.open_source(filled, data_dir)
    except InputError as error:
        if filled == name:
            raise
        raise InputError(
            f"{str(error).rstrip('.')} ({{root}} is data.root={root}; --config.data.root=FOLDER "
            "names another)."
        ) from None


def check_data(
    sets: Sets, *, stage: str, exclude: Sequence[str], held_out: dict[str, Any] | None
) -> None:
    """Refuses training sets that do not fit the stage or that overlap with what is held out.

    Raises:
        InputError: see above, or the held-out sequences are missing.
    """
    for name, source in sets:
        if stage == "static" and source.videos:
            raise InputError(
                f"stage=static trains on photographs, but {name} has videos: use stage=video."
            )
    if stage == "video" and not any(source.videos for _, source in sets):
        raise InputError(
            f"stage=video needs videos, and none of {', '.join(name for name, _ in sets)} has any: "
            "use stage=static."
        )
    _check_excluded(sets, exclude)
    if held_out is None:
        return
    evaluated = held_out_names(held_out)
    for name, source in sets:
        trained = set(source.videos) - set(exclude)
        shared = [video for video in evaluated if video in trained]
        if shared:
            raise InputError(
                f"{protocols.listed(shared)} of held_out are also trained on ({name}): leave them "
                f'out with --config.data.exclude="{(*exclude, *shared)}", or evaluate on others.'
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


def held_out_names(held_out: dict[str, Any]) -> list[str]:
    """Names of the sequences to evaluate on.

    Raises:
        InputError: they are not there.
    """
    try:
        videos = protocols.read_split(
            held_out["root"],
            held_out["dataset"],
            held_out["split"],
            sequences=held_out["sequences"],
        )
    except InputError as error:
        raise InputError(
            f"{str(error).rstrip('.')}; or train without evaluating: --config.held_out.every=0."
        ) from None
    return [video.name for video in videos]
