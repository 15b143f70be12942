"""The semi-supervised protocols of DAVIS-2016 (one object) and DAVIS-2017 (several).

Both give the mask of the first frame and score all others but the last. Objects are matched by id:
those of a sequence are 1 up to the largest id in its first annotation (DAVIS-2017), or everything
that is not background, as one (DAVIS-2016).
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int

from ranet_jax.errors import MAX_NAMES, InputError, listed
from ranet_jax.io.davis_lists import read_list
from ranet_jax.io.masks import VOID, read_ids

Dataset = Literal["davis2016", "davis2017"]
SPLITS = {
    "davis2016": ("train", "val", "trainval"),
    "davis2017": ("train", "val", "trainval", "test-dev"),
}


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
                f"The {split} split has no sequence {listed(unknown)}; it has "
                f"{listed(names, MAX_NAMES)}."
            )
        names = [name for name in names if name in set(sequences)]
    if not names:
        raise InputError(f"The {split} split of {root} names no sequence: nothing to evaluate.")
    needs_all = split in ("train", "val", "trainval")
    return [_find_video(root, name, resolution, needs_all) for name in names]


def _split_names(root: Path, dataset: Dataset, split: str, resolution: str) -> list[str]:
    if split not in SPLITS[dataset]:
        if Path(split).is_file():
            return read_list(Path(split))
        raise InputError(
            f"{dataset} has no split {split!r}: give one of {', '.join(SPLITS[dataset])}, or the "
            "path of a text file of sequence names."
        )
    folders = ("480p", "2016", resolution) if dataset == "davis2016" else ("2017",)
    candidates = [root / "ImageSets" / folder / f"{split}.txt" for folder in folders]
    for path in candidates:
        if path.is_file():
            return read_list(path)
    if split == "trainval":
        parts = [_split_names(root, dataset, part, resolution) for part in ("train", "val")]
        return list(dict.fromkeys(name for part in parts for name in part))
    looked = ", ".join(str(path.relative_to(root)) for path in dict.fromkeys(candidates))
    raise InputError(
        f"{root} has no list of the {dataset} {split} split (looked for {looked}): complete the "
        "package, or give as split the path of a text file of sequence names."
    )


def _find_video(root: Path, name: str, resolution: str, needs_all: bool) -> Video:
    images = root / "JPEGImages" / resolution / name
    labels = root / "Annotations" / resolution / name
    frames = find_files(images, (".jpg", ".jpeg", ".png"))
    annotations = find_files(labels, (".png",))
    if not annotations:
        raise InputError(f"{labels} holds no annotation (PNG): the first frame's mask is needed.")
    stems = _stems(frames, images) if frames else _stems(annotations, labels)
    _check_complete(images if frames else labels, "frames", _skipped(stems), stems)
    known = dict(zip(_stems(annotations, labels), annotations, strict=True))
    if not needs_all and list(known) == stems[:1]:
        return Video(name, tuple(frames), tuple(annotations), tuple(stems))
    _check_complete(labels, "annotations", [stem for stem in stems if stem not in known], stems)
    _check_complete(images, "frames", [stem for stem in known if stem not in set(stems)], known)
    return Video(name, tuple(frames), tuple(known[stem] for stem in stems), tuple(stems))


def _stems(files: Sequence[Path], folder: Path) -> list[str]:
    """Names of the frames that files are of, in order."""
    stems = [path.stem for path in files]
    if twice := [one for one, next_one in itertools.pairwise(stems) if one == next_one]:
        raise InputError(f"{folder} holds two files of the frame {twice[0]}: remove one of them.")
    return stems


def _skipped(stems: Sequence[str]) -> list[str]:
    """Names that a numbering leaves out. It may go on by more than one a frame; where more are left
    out than are there, the names are no numbering, but times, say."""
    if len(stems) < 3 or not all(stem.isascii() and stem.isdecimal() for stem in stems):
        return []
    numbers = list(map(int, stems))
    step = max(min(after - before for before, after in itertools.pairwise(numbers)), 1)
    expected = itertools.islice(range(numbers[0], numbers[-1], step), 2 * len(stems) + 1)
    missing = set(expected) - set(numbers)
    if len(missing) > len(stems):
        return []
    return [f"{number:0{len(stems[0])}d}" for number in sorted(missing)]


def _check_complete(
    folder: Path, what: str, missing: Sequence[str], frames: Sequence[str] | Mapping[str, Path]
) -> None:
    if missing:
        raise InputError(
            f"{folder} lacks the {what} of {len(missing)} of {len(frames)} frames "
            f"({listed(missing)}): complete the package."
        )


def find_files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Files of a folder with these suffixes, by the numbers in their names; none without folder."""
    if not folder.is_dir():
        return []
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    ]
    return sorted(found, key=lambda p: ([int(n) for n in re.findall(r"\d+", p.stem)], p.stem))


def read_labels(paths: Sequence[Path], dataset: Dataset) -> Int[np.ndarray, "t h w"]:
    """Reads annotations as the protocol sees them: without void, in DAVIS-2016 only 0 and 1.

    Raises:
        InputError: if one cannot be read, or if their sizes differ.
    """
    labels = [read_ids(path) for path in paths]
    for path, mask in zip(paths, labels, strict=True):
        if mask.shape != labels[0].shape:
            (height, width), (first_height, first_width) = mask.shape, labels[0].shape
            raise InputError(
                f"{path} has {width}x{height} pixels, but {paths[0].name} beside it "
                f"{first_width}x{first_height}: give the masks of a video one size."
            )
    stacked = np.stack(labels)
    if dataset == "davis2016":
        return np.not_equal(stacked, 0).astype(np.uint8)
    stacked[stacked == VOID] = 0
    return stacked


def object_ids(first: Int[np.ndarray, "h w"], dataset: Dataset) -> list[int]:
    """Ids of a sequence's objects, from its first annotation as `read_labels` gives it."""
    return [1] if dataset == "davis2016" else list(range(1, int(first.max()) + 1))
