"""The video of a session: frames as files, whatever it came as."""

import os
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from ranet_jax import extras
from ranet_jax.array_typing import HostFrame, HostMask
from ranet_jax.errors import InputError
from ranet_jax.inference.object_ids import describe_size
from ranet_jax.io.frame_folder import extract_frames, part
from ranet_jax.io.images import image_size, read_image
from ranet_jax.io.masks import read_mask
from ranet_jax.io.video_reader import Video, open_video

_EXAMPLE_FRAMES = 24
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Clip:
    """A video that can be looked at in any order.

    Attributes:
        video: with `files`.
        source: what `ranet segment` takes in its place; a folder of the download if None.
        truth: masks that are known, by the number of their frame.
        live: whether a camera adds frames.
    """

    video: Video
    source: str | None
    truth: Mapping[int, HostMask]
    live: bool = False

    @property
    def names(self) -> list[str]:
        """Of all frames."""
        return [file.stem for file in self.video.files]

    def with_frame(self, file: Path) -> "Clip":
        """With another frame at the end."""
        longer = replace(self.video, files=(*self.video.files, file))
        return replace(self, video=part(longer, 0, len(longer.files)))

    def with_truth(self, masks: Mapping[int, HostMask]) -> "Clip":
        """With these masks known, and no others."""
        for frame, mask in masks.items():
            if mask.shape != (self.video.height, self.video.width):
                raise InputError(
                    f"The mask of frame {frame} is {describe_size(mask.shape)} pixels and the "
                    f"frames are {self.video.width}x{self.video.height}; give one of their size."
                )
        return replace(self, truth=dict(masks))


class Budget:
    """Bytes that a session may still put on the disk."""

    def __init__(self, limit: int):
        self._limit, self.left = limit, limit
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Raises InputError where that is more than what is left."""
        with self._lock:
            self.left -= size
            if self.left < 0:
                raise InputError(
                    f"That is more than the {self._limit >> 20} MB that this page takes; cut the "
                    "video, make it smaller, or start ranet web with a larger --upload-limit."
                )


def save_uploads(files: Iterable[tuple[str, BinaryIO]], folder: Path) -> list[Path]:
    """Writes files under the last part of their names, which come from the browser.

    Raises:
        InputError: two of them have one name, or a name is none.
    """
    folder.mkdir()
    paths = []
    for name, data in files:
        path = folder / (re.split(r"[/\\]", name)[-1].lstrip(".") or "clip")
        if path.exists():
            raise InputError(f"Two files are named {path.name}; give those of one folder only.")
        with path.open("xb") as file:
            while block := data.read(_BLOCK):
                file.write(block)
        paths.append(path)
    return paths


def open_upload(paths: list[Path], work: Path, budget: Budget) -> Clip:
    """The clip of files from the browser: of one video, or of images.

    Args:
        paths: in a folder of their own.
        work: an existing folder for frames.
        budget: what the frames of a video are taken from.

    Raises:
        InputError: they are no clip; names no folder of this machine.
    """
    folder = paths[0].parent
    try:
        video = open_video(paths[0] if len(paths) == 1 else folder)
        source = paths[0].name if video.files is None else None
        return open_clip(video, source, work, budget)
    except InputError as error:
        raise InputError(_without(folder, str(error))) from error


def open_clip(video: Video, source: str | None, work: Path, budget: Budget) -> Clip:
    """The clip of a video, whose frames become files in `work` where they are none.

    Raises:
        InputError: a frame cannot be read, they differ in size, or take too much.
    """
    video = extract_frames(video, work, limit=budget.left)
    if video.files[:1] and video.files[0].parent == work:
        budget.take(sum(file.stat().st_size for file in video.files))
    for file in video.files:
        if (size := image_size(file, f"The frame {file}")) != (video.height, video.width):
            raise InputError(
                f"Frame {file.name} is {describe_size(size)} pixels and the first is "
                f"{video.width}x{video.height}; a video has frames of one size."
            )
    return Clip(video, source, {})


def example_clip(work: Path, height: int = 480, width: int = 854) -> Clip:
    """The clip of `ranet demo`, whose masks are known.

    Raises:
        InputError: scikit-image is not installed.
    """
    extras.require("demo", "The built-in example")
    from ranet_jax.demo.clip import render_clip, write_clip

    clip = render_clip(_EXAMPLE_FRAMES, height, width)
    write_clip(clip, work / "frames", work / "truth")
    truth = dict(enumerate(clip.labels.astype("int32")))
    return Clip(open_video(work / "frames"), None, truth)


def camera_clip(work: Path) -> Clip:
    """A clip without frames yet."""
    return Clip(Video(work, 0, 0, 0, None, lambda: iter(()), ()), None, {}, live=True)


def add_camera_frame(clip: Clip, data: bytes, work: Path) -> tuple[Clip, HostFrame]:
    """The clip with another frame at its end, and its pixels.

    Raises:
        InputError: it cannot be read, or has another size than the first one.
    """
    number = len(clip.video.files)
    frame = read_image(data, f"Frame {number} of the camera")
    if not number:
        video = replace(clip.video, height=frame.shape[0], width=frame.shape[1])
        clip = replace(clip, video=video)
    elif frame.shape[:2] != (clip.video.height, clip.video.width):
        raise InputError("The camera changed the size of its frames; open it again.")
    file = work / f"{number:05d}.jpg"
    file.write_bytes(data)
    return clip.with_frame(file), frame


def read_truth(paths: list[Path], names: list[str]) -> dict[int, HostMask]:
    """Known masks by the number of their frame, from files that are named as the frames.

    Raises:
        InputError: a file is no mask, or named as no frame.
    """
    masks = {}
    for path in paths:
        if path.stem not in names:
            raise InputError(
                f"The mask {path.name} is named as no frame: they are {names[0]} to {names[-1]}."
            )
        try:
            masks[names.index(path.stem)] = read_mask(path)
        except InputError as error:
            raise InputError(_without(path.parent, str(error))) from error
    return masks


def _without(folder: Path, message: str) -> str:
    return message.replace(f"{folder}{os.sep}", "").replace(str(folder), "of the files")
