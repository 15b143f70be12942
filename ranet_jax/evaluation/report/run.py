"""One evaluation, as its `results.json` tells it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ranet_jax.errors import InputError
from ranet_jax.evaluation import results
from ranet_jax.evaluation.davis import SPLITS
from ranet_jax.io.json_files import read_json
from ranet_jax.io.records import Record, is_line, items, line, or_none, section
from ranet_jax.io.settings import choice, flag, number, setting, shown, whole

_ABLATION_FLAGS = ("ranking", "correlation", "previous_mask")
_STATIC_STAGES = ("static", "static_images", "stage1", "1", 1)
_VIDEO_STAGES = ("video", "stage2", "2", 2)
_RANKINGS = ("rank", "none", "max")
# Of the settings, what differs between seeds of one network.
_OF_ONE_TRAINING = ("init_from", "backbone", "step", "mean_of")


@dataclass(frozen=True)
class Run:
    """One evaluation, as its `results.json` tells it.

    Attributes:
        name: of the run.
        dataset: davis2016 or davis2017.
        split: name of the split.
        note: what keeps the run from being compared with the paper's split; empty if nothing does.
        percent: the global row, in percent; empty where there is none (test-dev).
        milliseconds: a frame, None if not measured.
        ranking: how similarity maps are ranked: rank, none or max.
        ablations: among -CL, -PM, -IP and -VF.
        iterations: of online learning.
        checkpoint: hash of the checkpoint, None if unknown.
        group: equal for runs that differ in ablations and online learning alone.
        baseline: copy or matching where no network was run; empty for one.
        scores: J&F of each video, mean over its objects, in percent.
        network: equal for runs of one network that was trained again, with another seed.
    """

    name: str
    dataset: str
    split: str
    note: str
    percent: dict[str, float]
    milliseconds: float | None
    ranking: str
    ablations: tuple[str, ...]
    iterations: int
    checkpoint: str | None
    group: str
    baseline: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    network: str = ""

    @property
    def label(self) -> str:
        """Name for a row, with what to keep in mind when comparing."""
        return self._named(self.note)

    @property
    def network_label(self) -> str:
        """Name for a row of networks that were evaluated on the same videos."""
        return self._named("")

    def _named(self, note: str) -> str:
        notes = [f"{self.baseline} baseline" if self.baseline else "", note]
        text = ", ".join(note for note in notes if note)
        return f"{self.name} ({text})" if text else self.name


@dataclass(frozen=True, kw_only=True)
class _Speed(Record, section="speed"):
    milliseconds_per_frame: float | None = or_none(number(0, 1e9, "of a frame"))


@dataclass(frozen=True, kw_only=True)
class _Checkpoint(Record, section="checkpoint"):
    sha256: str | None = or_none(line("of its files"))


@dataclass(frozen=True, kw_only=True)
class _Model(Record, section="settings.model"):
    ranking: str = choice(_RANKINGS, "how maps are ranked", default="rank")
    correlation: bool = flag("whether there are maps", default=True)
    previous_mask: bool = flag("whether it is seen", default=True)


@dataclass(frozen=True, kw_only=True)
class _Online(Record, section="settings.online"):
    iterations: int | None = or_none(whole(0, 10**9, "of online learning"))


@dataclass(frozen=True, kw_only=True)
class _Settings(Record, section="settings"):
    model: _Model = section(_Model)
    online: _Online = section(_Online)
    stage: str | int | None = or_none(
        setting(lambda value: is_line(value) or type(value) is int, "a name", "trained last")
    )
    init_from: str | None = setting(
        lambda value: value is None or is_line(value), "a name", "it started from", default=""
    )
    baseline: str | None = or_none(choice(("", "copy", "matching"), "instead of a network"))


def _is_mean(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and -1 <= value <= 1)


def _is_row(value: Any) -> bool:
    return value is None or (
        isinstance(value, dict)
        and set(value) <= set(results.GLOBAL_COLUMNS)
        and all(map(_is_mean, value.values()))
    )


def _is_object(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and is_line(value.get("Sequence"))
        and all(_is_mean(value.get(name)) for name in ("J-Mean", "F-Mean"))
    )


@dataclass(frozen=True, kw_only=True)
class _Results(Record):
    """A `results.json`."""

    name: str | None = or_none(line("of the run"))
    dataset: str = choice(tuple(SPLITS), "that was evaluated")
    split: str = line("of the dataset")
    sequences: tuple[str, ...] | None = or_none(items(is_line, "names", "that were evaluated"))
    per_sequence: tuple[dict, ...] | None = or_none(
        items(_is_object, "Sequence, J-Mean and F-Mean each", "of every object")
    )
    whole_split: bool = flag("whether these are all", default=True)
    settings: _Settings = section(_Settings)
    speed: _Speed = section(_Speed)
    checkpoint: _Checkpoint = section(_Checkpoint)


def read_run(path: Path) -> Run:
    """Reads a `results.json`.

    Raises:
        InputError: if it is not the result of `ranet evaluate`, or damaged.
    """
    file = path / "results.json" if path.is_dir() else path
    found = read_json(file)
    if not isinstance(found, dict) or not {"dataset", "split", "global"} <= set(found):
        raise InputError(f"{path} is not a results.json written by `ranet evaluate`.")
    record = _Results.parse(found, str(file))
    if not _is_row(found["global"]):
        raise InputError(
            f"{file} is damaged or was edited: global is {shown(found['global'])}, and has to be "
            f"numbers from -1 to 1 under the names {', '.join(results.GLOBAL_COLUMNS)}."
        )
    settings, model = record.settings, record.settings.model
    # As they are in the file: a later version may have settings that this one does not know.
    raw = found.get("settings") or {}
    rest = {k: v for k, v in (raw.get("model") or {}).items() if k not in _ABLATION_FLAGS}
    about = [record.dataset, record.split, record.sequences, rest]
    about += [raw.get("precision"), raw.get("aggregation")]
    repeated = {k: v for k, v in raw.items() if k not in _OF_ONE_TRAINING}
    baseline = settings.baseline or ""
    return Run(
        name=record.name or path.parent.name,
        dataset=record.dataset,
        split=record.split,
        note=_note(record),
        percent={k: 100 * v for k, v in (found["global"] or {}).items() if v is not None},
        milliseconds=record.speed.milliseconds_per_frame,
        ranking=model.ranking,
        ablations=_ablations(settings),
        iterations=settings.online.iterations or 0,
        # The checkpoint behind a baseline has results of its own.
        checkpoint=None if baseline else record.checkpoint.sha256,
        group=json.dumps(about, sort_keys=True),
        baseline=baseline,
        scores=_scores(record.per_sequence or ()),
        network=json.dumps([record.name, repeated], sort_keys=True),
    )


def _scores(objects: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """J&F of each video in percent; objects that were too short to be scored are left out."""
    found: dict[str, list[float]] = {}
    for row in objects:
        means = row.get("J-Mean"), row.get("F-Mean")
        if None not in means:
            video = row["Sequence"].rpartition("_")[0] or row["Sequence"]
            found.setdefault(video, []).append(50 * sum(means))
    return {video: sum(values) / len(values) for video, values in found.items()}


def _note(found: _Results) -> str:
    official = {"davis2016": ("val", "trainval"), "davis2017": ("val", "test-dev")}
    if not found.whole_split:
        return f"{len(found.sequences or ())} sequences of {found.split}"
    return "" if found.split in official[found.dataset] else found.split


def _ablations(settings: _Settings) -> tuple[str, ...]:
    flags = {
        "-CL": not settings.model.correlation,
        "-PM": not settings.model.previous_mask,
        "-IP": settings.stage in _VIDEO_STAGES and settings.init_from in (None, "none"),
        "-VF": settings.stage in _STATIC_STAGES,
    }
    return tuple(name for name, on in flags.items() if on)
