"""One interface over everything that training images come from, and plain folders.

Built TFDS datasets are in `built_sources.py`.

A source is a list of clips, a clip a list of frames with their masks; an image is a clip of one
frame. Sources hand out encoded bytes: what is decoded, and at what size, is for `examples.py` to
say.
"""

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

from ranet_jax.errors import InputError
from ranet_jax.io.davis_lists import read_list
from ranet_jax.io.paths import as_path, is_address, read_bytes

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
MASK_SUFFIXES = (".png", ".bmp", ".gif", ".webp")
_LISTS = ("2017", "2016", "480p")


class Source(Protocol):
    """Clips of frames with masks, as encoded bytes.

    Attributes:
        name: what to call the source in messages.
        lengths: the number of frames of each clip.
        videos: names of the clips of several frames.
        mask_rule: how the masks are to be read, see `decode_ids`.
    """

    name: str
    lengths: Sequence[int]
    videos: Sequence[str]
    mask_rule: str

    def frame_name(self, clip: int, frame: int) -> str:
        """What to call a frame in messages."""
        ...

    def image(self, clip: int, frame: int) -> bytes:
        """The encoded image."""
        ...

    def mask(self, clip: int, frame: int) -> bytes:
        """The encoded mask."""
        ...


@dataclasses.dataclass(frozen=True)
class FolderSource:
    """Image files and mask files: `files[clip][frame]` is a pair of paths."""

    name: str
    files: tuple[tuple[tuple[str, str], ...], ...]
    mask_rule = "auto"

    @property
    def lengths(self) -> tuple[int, ...]:
        """The number of frames of each clip."""
        return tuple(len(clip) for clip in self.files)

    @property
    def videos(self) -> tuple[str, ...]:
        """The folder names of the clips of several frames."""
        return tuple(Path(clip[0][0]).parent.name for clip in self.files if len(clip) > 1)

    def frame_name(self, clip: int, frame: int) -> str:
        """The path of the image."""
        return self.files[clip][frame][0]

    def image(self, clip: int, frame: int) -> bytes:
        """The image file."""
        return read_bytes(as_path(self.files[clip][frame][0]))

    def mask(self, clip: int, frame: int) -> bytes:
        """The mask file."""
        return read_bytes(as_path(self.files[clip][frame][1]))


def image_folder(images: str | Path, masks: str | Path) -> FolderSource:
    """Images in one folder, masks of the same names in another (or the same one).

    Images without a mask are left out: sets of instances have none where nothing was found.

    Raises:
        InputError: a folder is missing, or no image has a mask.
    """
    shared = _resolved(images) == _resolved(masks)
    image_files = _files_by_stem(images, IMAGE_SUFFIXES[:2] if shared else IMAGE_SUFFIXES)
    mask_files = _files_by_stem(masks, MASK_SUFFIXES)
    pairs = [
        ((str(path), str(mask_files[stem])),)
        for stem, path in sorted(image_files.items())
        if stem in mask_files and path != mask_files[stem]
    ]
    if not pairs:
        raise InputError(
            f"No image in {images} has a mask of the same name in {masks}: check the folders."
        )
    return FolderSource(str(images), tuple(pairs))


def video_folder(
    root: str | Path, *, split: str | None = None, exclude: Collection[str] = ()
) -> FolderSource:
    """Videos in the layout of DAVIS: `JPEGImages/RESOLUTION/NAME/*.jpg`,
    `Annotations/RESOLUTION/NAME/*.png`.

    The resolution folder may be left out. A frame without a mask is left out; a video needs one
    frame at least.

    Args:
        root: the folder that holds `JPEGImages` and `Annotations`.
        split: read only the videos of `ImageSets/YEAR/SPLIT.txt` (names, or pairs of paths), YEAR
            being the first of 2017, 2016 and 480p that has it; all of them by default.
        exclude: names of videos to leave out; a name that is not there changes nothing.

    Raises:
        InputError: a folder or the list is missing, a listed video is missing, no video is left, or
            there is no frame with a mask.
    """
    root = as_path(root)
    images, masks = (_resolution_folder(root / part) for part in ("JPEGImages", "Annotations"))
    names = sorted(path.name for path in images.iterdir() if path.is_dir())
    if split is not None:
        names = _listed_names(root / "ImageSets", f"{split}.txt")
    names = without(names, exclude, str(root))
    clips = []
    for name in names:
        if not (images / name).is_dir():
            raise InputError(
                f"{root} lists the video {name} but {images / name} is missing: unpack it again."
            )
        mask_files = _files_by_stem(masks / name, MASK_SUFFIXES) if (masks / name).is_dir() else {}
        frames = sorted(_files_by_stem(images / name, IMAGE_SUFFIXES).items())
        clip = tuple(
            (str(path), str(mask_files[stem])) for stem, path in frames if stem in mask_files
        )
        if clip:
            clips.append(clip)
    if not clips:
        raise InputError(f"No frame under {images} has a mask of the same name under {masks}.")
    return FolderSource(str(root), tuple(clips))


def without(names: Sequence[str], exclude: Collection[str], source: str) -> list[str]:
    """The names but those to leave out.

    Raises:
        InputError: none is left.
    """
    kept = [name for name in names if name not in exclude]
    if names and not kept:
        raise InputError(f"All {len(names)} videos of {source} are to be left out: keep some.")
    return kept


def _resolved(folder: str | Path) -> Path:
    path = as_path(folder)
    return path if is_address(path) else path.resolve()


def _files_by_stem(folder: str | Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    folder = as_path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: check the path.")
    found = [path for path in folder.iterdir() if path.suffix.lower() in suffixes]
    # Of two files of one name the one whose ending is listed first.
    found.sort(key=lambda path: suffixes.index(path.suffix.lower()), reverse=True)
    return {path.stem: path for path in found}


def _resolution_folder(folder: Path) -> Path:
    """`folder/480p` where there is one such folder, `folder` itself where videos lie in it
    directly."""
    if not folder.is_dir():
        raise InputError(
            f"{folder} is missing: a folder of videos needs JPEGImages and Annotations."
        )
    resolutions = [
        path for path in sorted(folder.iterdir()) if path.is_dir() and path.name.endswith("p")
    ]
    resolutions = [path for path in resolutions if path.name[:-1].isdigit()]
    if len(resolutions) > 1:
        preferred = [path for path in resolutions if path.name == "480p"]
        return (preferred or resolutions)[0]
    return resolutions[0] if resolutions else folder


def _listed_names(lists: Path, file: str) -> list[str]:
    """Video names, in order, of the first list there is."""
    paths = [lists / year / file for year in _LISTS]
    found = [path for path in paths if path.is_file()]
    if not found:
        raise InputError(
            f"{paths[0]} is missing: leave the split out to read every video, or check the name."
        )
    return read_list(found[0])
