"""What an evaluation leaves on disk: a record a sequence, the official tables, `results.json`."""

import csv
import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ranet_jax.errors import InputError
from ranet_jax.evaluation import metrics
from ranet_jax.evaluation.davis import Video
from ranet_jax.evaluation.scoring import Scores
from ranet_jax.io.atomic import write_text
from ranet_jax.io.paths import files_within, size_and_time
from ranet_jax.io.records import Record, is_line, items, line
from ranet_jax.io.settings import number, whole

GLOBAL_COLUMNS = (
    "J&F-Mean",
    "J-Mean",
    "J-Recall",
    "J-Decay",
    "F-Mean",
    "F-Recall",
    "F-Decay",
)
SEQUENCE_COLUMNS = ("Sequence", "J-Mean", "F-Mean")


def _is_id(value: Any) -> bool:
    return type(value) is int and value > 0


def _are_scores(values: Any) -> bool:
    return isinstance(values, tuple) and all(
        type(value) in (int, float) and 0 <= value <= 1 for value in values
    )


@dataclass(frozen=True)
class Timing(Record):
    """Time spent on the frames of a video after the first ones, which pay for compilation.

    Attributes:
        seconds: of wall time; a step on several videos at once counts for each in equal parts.
        frames: how many frames were timed.
        online_seconds: what adapting the network to the video took, compilation left out.
        segmented: frames of the video, without the given first one.
    """

    seconds: float = number(0, 1e9, "of wall time")
    frames: int = whole(0, 10**9, "that were timed")
    online_seconds: float = number(0, 1e9, "of adapting the network", default=0.0)
    segmented: int = whole(0, 10**9, "frames without the first", default=0)


@dataclass(frozen=True, kw_only=True)
class _ScoresRecord(Record):
    objects: tuple[int, ...] = items(_is_id, "ids", "of the objects")
    frames: tuple[str, ...] = items(is_line, "names", "of the frames that count")
    J: tuple[tuple[float, ...], ...] = items(_are_scores, "lists of numbers from 0 to 1", "region")
    F: tuple[tuple[float, ...], ...] = items(_are_scores, "lists of numbers from 0 to 1", "contour")
    inputs: str = line("fingerprint of the files that were scored")

    def check_together(self) -> None:
        """A score for every object and frame."""
        shape = [len(self.frames)] * len(self.objects)
        for name in ("J", "F"):
            if [len(row) for row in getattr(self, name)] != shape:
                raise InputError(
                    f"{name} has to have {len(shape)} lists of {len(self.frames)} numbers."
                )


def fingerprint(paths: Sequence[Path]) -> str:
    """Changes when one of the files is written anew, without reading them."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(os.fsencode("\0".join(map(str, (path, *size_and_time(path))))) + b"\n")
    return digest.hexdigest()


def hash_checkpoint(path: Path) -> str:
    """SHA-256 over the names and contents of a checkpoint's files; of its name if it has none."""
    digest = hashlib.sha256()
    if not path.exists():
        digest.update(os.fsencode(str(path)))
        return digest.hexdigest()
    files = [path] if path.is_file() else sorted(files_within(path))
    for file in files:
        name = file.relative_to(path.parent if path.is_file() else path)
        digest.update(os.fsencode(f"{name}\0"))
        with file.open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()


def scores_to_json(video: Video, scores: Scores, inputs: str) -> dict[str, Any]:
    """The record of a scored sequence."""
    return {
        "sequence": video.name,
        "objects": list(scores.objects),
        "frames": list(video.scored_stems),
        "J": scores.j,
        "F": scores.f,
        "inputs": inputs,
    }


def read_scores(path: Path, video: Video, inputs: str) -> Scores | None:
    """The scores in a record, exactly as they were; None where it is missing or of other files.

    Raises:
        InputError: it is damaged.
    """
    record = _ScoresRecord.read_file(path)
    if record is None or record.inputs != inputs or record.frames != video.scored_stems:
        return None
    shape = (len(record.objects), len(record.frames))
    j, f = (np.asarray(values, np.float64).reshape(shape) for values in (record.J, record.F))
    return Scores(record.objects, j, f)


def sequence_rows(scores: Mapping[str, Scores]) -> list[tuple[str, float, float]]:
    """(name_id, J mean, F mean) of every object, sequences in the order given."""
    return [
        (f"{name}_{label}", metrics.statistics(j).mean, metrics.statistics(f).mean)
        for name, s in scores.items()
        for label, j, f in zip(s.objects, s.j, s.f, strict=True)
    ]


def global_row(scores: Mapping[str, Scores]) -> dict[str, float]:
    """The official summary: statistics of every object, averaged over all objects of all sequences.

    Objects without a scored frame (sequences shorter than three) take no part.
    """
    per_object = np.array(
        [
            [*metrics.statistics(j), *metrics.statistics(f)]
            for s in scores.values()
            for j, f in zip(s.j, s.f, strict=True)
            if s.j.shape[1]
        ]
    ).reshape(-1, 6)
    if not len(per_object):
        raise InputError("No sequence has a frame that counts: videos need three frames or more.")
    j_mean, *j_rest, f_mean, f_recall, f_decay = per_object.mean(axis=0).tolist()
    row = ((j_mean + f_mean) / 2, j_mean, *j_rest, f_mean, f_recall, f_decay)
    return dict(zip(GLOBAL_COLUMNS, row, strict=True))


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Writes a table, numbers with six decimals."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows(
        [[f"{cell:.6f}" if isinstance(cell, float) else cell for cell in row] for row in rows]
    )
    write_text(path, text.getvalue())


def format_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table for the terminal, numbers with three decimals."""
    cells = [[f"{c:.3f}" if isinstance(c, float) else str(c) for c in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]

    def line(row: Sequence[str]) -> str:
        first, *rest = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join([first, *rest]).rstrip()

    return "\n".join([line(columns), "  ".join("-" * width for width in widths), *map(line, cells)])
