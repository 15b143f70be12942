"""Scores predictions against annotations, and packs them for the challenge server.

Nothing is guessed about predictions that do not fit: `check` and `score` say what is wrong with
them.
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ranet_jax.array_typing import Size
from ranet_jax.errors import MAX_NAMES, InputError, listed
from ranet_jax.evaluation import metrics
from ranet_jax.evaluation.davis import (
    Dataset,
    Video,
    find_files,
    object_ids,
    read_labels,
)
from ranet_jax.io.atomic import replacing
from ranet_jax.io.images import CorruptImageError, image_size
from ranet_jax.io.masks import read_ids


@dataclass(frozen=True)
class Scores:
    """J and F of a sequence: [objects, scored frames], each in [0, 1]."""

    objects: tuple[int, ...]
    j: Float[np.ndarray, "n t"]
    f: Float[np.ndarray, "n t"]


def check(video: Video, predictions: Path, stems: Sequence[str] | None = None) -> list[str]:
    """What is wrong with the prediction files of a video, by their names, headers and checksums.

    Args:
        video: whose predictions are in `predictions / video.name`, one PNG a frame.
        predictions: folder of predictions.
        stems: frames that must be there; by default those that are scored.
    Returns:
        One phrase a problem, starting with the name of the video; empty if all is well.
    Raises:
        InputError: the first annotation cannot be read.
    """
    folder = predictions / video.name
    if not folder.is_dir():
        return [f"{video.name}: there is no folder {folder}"]
    needed = video.scored_stems if stems is None else stems
    found = find_files(folder, (".png",))
    there = {path.stem: path for path in found if path.suffix == ".png"}
    problems = []
    if missing := [f"{stem}.png" for stem in needed if stem not in there]:
        problems.append(
            f"{video.name}: {len(missing)} of {len(needed)} files are missing ({listed(missing)})"
        )
    if extra := [path.name for stem, path in there.items() if stem not in set(video.stems)]:
        problems.append(f"{video.name}: no frame belongs to {listed(extra)}")
    expected = image_size(video.annotations[0])
    for stem in needed:
        flaw = _flaw(there[stem], expected) if stem in there else None
        if flaw:
            problems.append(f"{video.name}: {stem}.png {flaw}")
            break
    return problems


def _flaw(path: Path, expected: Size) -> str | None:
    try:
        size = image_size(path)
    except CorruptImageError as error:
        return f"is not a readable image ({error.reason})"
    if size == expected:
        return None
    (height, width), (wanted_height, wanted_width) = size, expected
    wanted = f"its annotation has {wanted_width}x{wanted_height}"
    return f"is {width}x{height} pixels, {wanted}"


def score(video: Video, predictions: Path, dataset: Dataset) -> tuple[Scores | None, list[str]]:
    """Scores the predictions of a video, read from `predictions / video.name`.

    Returns:
        The scores and no problem, or None and the problems (as `check`) that prevent scoring.
    Raises:
        InputError: if an annotation itself is at fault.
    """
    problems = check(video, predictions)
    if problems:
        return None, problems
    objects = object_ids(read_labels(video.annotations[:1], dataset)[0], dataset)
    if not video.scored_stems:
        empty = np.empty((len(objects), 0))
        return Scores(tuple(objects), empty, empty), []
    ground_truth = read_labels(video.annotations[1:-1], dataset)
    paths = [predictions / video.name / f"{stem}.png" for stem in video.scored_stems]
    try:
        predicted = np.stack([read_ids(path) for path in paths])
    except InputError as error:
        return None, [f"{video.name}: {str(error).rstrip('.')}"]
    if dataset == "davis2016":
        predicted = np.not_equal(predicted, 0).astype(np.uint8)
    if int(predicted.max()) > len(objects):
        return None, [_describe_foreign(video, predicted, len(objects))]
    j, f = metrics.j_and_f(ground_truth, predicted, objects)
    return Scores(tuple(objects), j, f), []


def _unreadable(video: Video, predictions: Path) -> list[str]:
    """What is wrong with one of the predictions, decoded to its last pixel."""
    for stem in video.stems:
        try:
            read_ids(predictions / video.name / f"{stem}.png")
        except InputError as error:
            return [f"{video.name}: {str(error).rstrip('.')}"]
    return []


def _describe_foreign(video: Video, predicted: np.ndarray, objects: int) -> str:
    foreign = predicted > objects
    frame = int(foreign.any(axis=(1, 2)).argmax())
    ids = listed(map(str, np.unique(predicted[foreign])))
    has = ("no object", "object 1 alone", f"objects 1 to {objects}")[min(objects, 2)]
    return (
        f"{video.name}: ids {ids} (first in {video.scored_stems[frame]}.png) are none of its "
        f"objects (the sequence has {has})"
    )


def zip_predictions(videos: Sequence[Video], predictions: Path, archive: Path) -> None:
    """Packs predictions as the challenge server takes them: NAME/00000.png, all frames, no root.

    Raises:
        InputError: if files are missing, damaged, of a wrong size, or none of the video's.
    """
    problems = []
    for video in videos:
        wrong = check(video, predictions, video.stems)
        problems += wrong or _unreadable(video, predictions)
    if problems:
        raise InputError(describe_problems(predictions, problems))
    # PNGs are compressed already, and fixed dates make equal predictions equal archives.
    with replacing(archive) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as target:
        for video in videos:
            for stem in video.stems:
                entry = zipfile.ZipInfo(f"{video.name}/{stem}.png")
                entry.external_attr = 0o644 << 16
                target.writestr(entry, (predictions / video.name / f"{stem}.png").read_bytes())


def describe_problems(predictions: Path, problems: Sequence[str]) -> str:
    """One sentence about everything that is wrong with a folder of predictions."""
    more = f"; and {len(problems) - MAX_NAMES} more" if len(problems) > MAX_NAMES else ""
    return (
        f"The predictions in {predictions} cannot be scored: {'; '.join(problems[:MAX_NAMES])}"
        f"{more}. Complete or correct these files, or leave their sequences out."
    )
