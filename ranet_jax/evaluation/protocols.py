"""The semi-supervised protocols of DAVIS-2016 (one object) and DAVIS-2017 (several).

Both give the mask of the first frame and score all others but the last. Objects are matched by id: those of
a sequence are 1 up to the largest id in its first annotation (DAVIS-2017), or everything that is not
background, as one (DAVIS-2016). Nothing is guessed about predictions that do not fit: `check` and `score`
say what is wrong with them.
"""

import os
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from PIL import Image

from ranet_jax.errors import InputError
from ranet_jax.evaluation import metrics

Dataset = Literal["davis2016", "davis2017"]
SPLITS = {
    "davis2016": ("train", "val", "trainval"),
    "davis2017": ("train", "val", "trainval", "test-dev"),
}
_VOID = 255


@dataclass(frozen=True)
class Video:
    """A sequence of a split.

    Attributes:
        name: of its folder.
        frames: one image a frame, in order; empty where the root holds annotations only.
        annotations: one label map a frame, or (test-dev) that of the first frame alone.
        stems: frame names without suffix, in order.
    """

    name: str
    frames: tuple[Path, ...]
    annotations: tuple[Path, ...]
    stems: tuple[str, ...]

    @property
    def annotated(self) -> bool:
        """Whether every frame has an annotation, so that predictions can be scored."""
        return len(self.annotations) == len(self.stems)

    @property
    def scored_stems(self) -> tuple[str, ...]:
        """The frames that count: all but the first and the last."""
        return self.stems[1:-1]


@dataclass(frozen=True)
class Scores:
    """J and F of a sequence: [objects, scored frames], each in [0, 1]."""

    objects: tuple[int, ...]
    j: Float[np.ndarray, "n t"]
    f: Float[np.ndarray, "n t"]


def read_split(
    root: Path,
    dataset: Dataset,
    split: str,
    *,
    resolution: str = "480p",
    sequences: Sequence[str] | None = None,
) -> list[Video]:
    """Lists the videos of a split.

    Args:
        root: folder of a DAVIS-2016 or DAVIS-2017 package: JPEGImages, Annotations, ImageSets.
        dataset: whose lists and protocol to use.
        split: one of `SPLITS`, or the path of a text file of sequence names.
        resolution: folder name under JPEGImages and Annotations.
        sequences: if given, keep these alone.
    Raises:
        InputError: for lists, folders, frames or annotations that are missing, and unknown names.
    """
    names = _split_names(root, dataset, split, resolution)
    if sequences is not None:
        unknown = [name for name in sequences if name not in names]
        if unknown:
            raise InputError(
                f"The {split} split has no sequence {_listed(unknown)}: it has {_listed(names, 60)}."
            )
        names = [name for name in names if name in set(sequences)]
    if not names:
        raise InputError(f"The {split} split of {root} names no sequence: nothing to evaluate.")
    needs_all = split in ("train", "val", "trainval")
    return [_find_video(root, name, resolution, needs_all) for name in names]


def _split_names(root: Path, dataset: Dataset, split: str, resolution: str) -> list[str]:
    if split not in SPLITS[dataset]:
        if Path(split).is_file():
            return _read_names(Path(split))
        raise InputError(
            f"{dataset} has no split {split!r}: give one of {', '.join(SPLITS[dataset])}, or the path of a "
            "text file of sequence names."
        )
    folders = ("480p", "2016", resolution) if dataset == "davis2016" else ("2017",)
    candidates = [root / "ImageSets" / folder / f"{split}.txt" for folder in folders]
    for path in candidates:
        if path.is_file():
            return _read_names(path)
    if split == "trainval":
        parts = [_split_names(root, dataset, part, resolution) for part in ("train", "val")]
        return list(dict.fromkeys(name for part in parts for name in part))
    looked = ", ".join(str(path.relative_to(root)) for path in dict.fromkeys(candidates))
    raise InputError(
        f"{root} has no list of the {dataset} {split} split (looked for {looked}): complete the package, or "
        "give as split the path of a text file of sequence names."
    )


def _read_names(path: Path) -> list[str]:
    """Sequence names of a list, either of names or of `/JPEGImages/480p/NAME/00000.jpg ...` lines."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The split list {path} cannot be read as text: {error}.") from error
    entries = [line.split()[0] for line in lines if line.strip()]
    return list(dict.fromkeys(Path(e).parent.name if "/" in e else e for e in entries))


def _find_video(root: Path, name: str, resolution: str, needs_all: bool) -> Video:
    images = root / "JPEGImages" / resolution / name
    labels = root / "Annotations" / resolution / name
    frames = _files(images, (".jpg", ".jpeg", ".png"))
    annotations = _files(labels, (".png",))
    if not annotations:
        raise InputError(f"{labels} holds no annotation (PNG): the first frame's mask is needed.")
    stems = [path.stem for path in frames or annotations]
    known = {path.stem: path for path in annotations}
    if not needs_all and list(known) == stems[:1]:
        return Video(name, tuple(frames), tuple(annotations), tuple(stems))
    if missing := [stem for stem in stems if stem not in known]:
        raise InputError(
            f"{labels} lacks the annotations of {len(missing)} of {len(stems)} frames "
            f"({_listed(missing)}): complete the package."
        )
    return Video(name, tuple(frames), tuple(known[stem] for stem in stems), tuple(stems))


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if path.suffix.lower() in suffixes]
    return sorted(found, key=lambda p: ([int(n) for n in re.findall(r"\d+", p.stem)], p.stem))


def _listed(names: Iterable[str], limit: int = 5) -> str:
    names = list(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def read_labels(paths: Sequence[Path], dataset: Dataset) -> Int[np.ndarray, "t h w"]:
    """Reads annotations as the protocol sees them: void is background; DAVIS-2016 knows 0 and 1 alone.

    Raises:
        InputError: if one cannot be read, or if their sizes differ.
    """
    labels = [_read_mask(path) for path in paths]
    for path, mask in zip(paths, labels, strict=True):
        if mask.shape != labels[0].shape:
            raise InputError(
                f"{path} is {_size(mask.shape)}, but {paths[0].name} beside it is "
                f"{_size(labels[0].shape)}: the masks of a video have one size."
            )
    stacked = np.stack(labels)
    if dataset == "davis2016":
        return np.not_equal(stacked, 0).astype(np.uint8)
    stacked[stacked == _VOID] = 0
    return stacked


def _read_mask(path: Path) -> Int[np.ndarray, "h w"]:
    from ranet_jax import masks

    labels = np.asarray(masks.read_mask(path))
    # One byte a pixel, wherever it is enough, keeps a whole sequence in memory small.
    return labels.astype(np.uint8) if labels.min() >= 0 and labels.max() <= 255 else labels.copy()


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]}x{shape[0]}"


def object_ids(first: Int[np.ndarray, "h w"], dataset: Dataset) -> list[int]:
    """Ids of a sequence's objects, from its first annotation as `read_labels` gives it."""
    return [1] if dataset == "davis2016" else list(range(1, int(first.max()) + 1))


def check(video: Video, predictions: Path, stems: Sequence[str] | None = None) -> list[str]:
    """What is wrong with the prediction files of a video, by their names and headers.

    Args:
        video: whose predictions are in `predictions / video.name`, one PNG a frame.
        predictions: folder of predictions.
        stems: frames that must be there; by default those that are scored.
    Returns:
        One phrase a problem, starting with the name of the video; empty if all is well.
    """
    folder = predictions / video.name
    if not folder.is_dir():
        return [f"{video.name}: there is no folder {folder}"]
    needed = video.scored_stems if stems is None else stems
    there = {path.stem: path for path in _files(folder, (".png",))}
    problems = []
    if missing := [f"{stem}.png" for stem in needed if stem not in there]:
        problems.append(
            f"{video.name}: {len(missing)} of {len(needed)} files are missing ({_listed(missing)})"
        )
    if extra := [path.name for stem, path in there.items() if stem not in set(video.stems)]:
        problems.append(f"{video.name}: no frame belongs to {_listed(extra)}")
    expected = _image_size(video.annotations[0])
    for stem in needed:
        if stem in there and (size := _image_size(there[stem])) != expected:
            found = "not a readable image" if size is None else f"{size[0]}x{size[1]} pixels"
            wanted = f"its annotation has {expected[0]}x{expected[1]}"
            problems.append(f"{video.name}: {stem}.png is {found}, {wanted}")
            break
    return problems


def _image_size(path: Path) -> tuple[int, int] | None:
    try:
        with Image.open(path) as image:
            return image.size
    except OSError:
        return None


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
        predicted = np.stack([_read_mask(path) for path in paths])
    except InputError as error:
        return None, [f"{video.name}: {str(error).rstrip('.')}"]
    if dataset == "davis2016":
        predicted = np.not_equal(predicted, 0).astype(np.uint8)
    foreign = sorted(set(np.unique(predicted).tolist()) - {0, *objects})
    if foreign:
        return None, [_describe_foreign(video, predicted, foreign, objects)]
    j, f = metrics.j_and_f(ground_truth, predicted, objects)
    return Scores(tuple(objects), j, f), []


def _describe_foreign(
    video: Video, predicted: np.ndarray, foreign: Sequence[int], objects: Sequence[int]
) -> str:
    frame = int(np.isin(predicted, foreign).any(axis=(1, 2)).argmax())
    has = f"objects 1 to {len(objects)}" if len(objects) > 1 else "object 1 alone"
    return (
        f"{video.name}: ids {_listed(map(str, foreign))} (first in {video.scored_stems[frame]}.png) are none "
        f"of its objects (the sequence has {has})"
    )


def zip_predictions(videos: Sequence[Video], predictions: Path, archive: Path) -> None:
    """Packs predictions as the DAVIS challenge server takes them: NAME/00000.png, all frames, no root folder.

    Raises:
        InputError: if files are missing, of a wrong size, or none of the video's.
    """
    problems = [p for video in videos for p in check(video, predictions, video.stems)]
    if problems:
        raise InputError(describe_problems(predictions, problems))
    partial = archive.with_name(f".{archive.name}.partial")
    # PNGs are compressed already, and fixed dates make equal predictions equal archives.
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as target:
        for video in videos:
            for stem in video.stems:
                entry = zipfile.ZipInfo(f"{video.name}/{stem}.png")
                entry.external_attr = 0o644 << 16
                target.writestr(entry, (predictions / video.name / f"{stem}.png").read_bytes())
    os.replace(partial, archive)


def describe_problems(predictions: Path, problems: Sequence[str]) -> str:
    """One sentence about everything that is wrong with a folder of predictions."""
    return (
        f"The predictions in {predictions} cannot be scored: {'; '.join(problems)}. Complete or correct these "
        "files, or leave their sequences out."
    )
