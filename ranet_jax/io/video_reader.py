"""Frames of videos, decoded in a thread beside the network: of folders and of video files."""

import functools
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from ranet_jax.array_typing import HostFrame
from ranet_jax.errors import InputError
from ranet_jax.io.images import read_image
from ranet_jax.io.paths import local, refuse_special
from ranet_jax.io.threads import ThreadPool

_IMAGE_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_DECODED_AHEAD = 4
_MAX_FRAME_SECONDS = 0.25  # the last one is shown so long after its time
_END = object()

NamedFrame = tuple[str, HostFrame]
NamedFrames = Iterator[NamedFrame]


@dataclass(frozen=True)
class Video:
    """Frames of one size that can be gone through again and again; made by `open_video`.

    Iterating yields (name, frame): the file's name without its suffix, or a five-digit number for
    frames of a video file, and uint8 [height, width, 3] RGB, upright. A thread decodes a few frames
    ahead. Frames that cannot be read, or that differ in size, raise an `InputError`.

    Attributes:
        path: The folder or the video file.
        height: Of every frame, in pixels.
        width: Of every frame, in pixels.
        length: Number of frames; None where a video file does not tell.
        fps: Frames per second; None for a folder, or where a video file does not tell.
        files: Of a folder, its frames in their order; None for a video file.
    """

    path: Path
    height: int
    width: int
    length: int | None
    fps: float | None
    _decode: Callable[[], NamedFrames]
    files: tuple[Path, ...] | None = None

    def __iter__(self) -> NamedFrames:
        with closing(read_ahead(self._decode())) as frames:
            for name, frame in frames:
                if frame.shape[:2] != (self.height, self.width):
                    raise InputError(
                        f"Frame {name} of {self.path} is {frame.shape[1]}x{frame.shape[0]} pixels "
                        f"and the first is {self.width}x{self.height}; a video has frames of one "
                        "size."
                    )
                yield name, frame


def open_video(path: Path | str) -> Video:
    """Opens a folder of images, in the natural order of their names, or a video file.

    The orientation that a camera noted (EXIF in images, the display matrix in videos) is applied.

    Raises:
        InputError: There is nothing at the path, or nothing in it that is a frame.
    """
    path = local(path)
    if path.is_dir():
        return _open_folder(path)
    if not path.exists():
        raise InputError(f"There is no video {path}; give a folder of frames or a video file.")
    refuse_special(path)
    return _open_file(path)


def image_frames(files: Iterable[Path]) -> NamedFrames:
    """Frames of image files, named as these without their suffix; read when they are asked for.

    Raises:
        CorruptImageError: A file cannot be read.
    """
    return ((file.stem, read_image(file, f"The frame {file}")) for file in files)


def read_ahead(items: NamedFrames) -> NamedFrames:
    """The same items, with a thread working on the next few while one is used."""
    pool = ThreadPool(1, "decode")
    try:
        waiting = deque(pool.submit(next, items, _END) for _ in range(_DECODED_AHEAD))
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(pool.submit(next, items, _END))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)
        items.close()


def _open_folder(path: Path) -> Video:
    try:
        entries = list(path.iterdir())
    except OSError as error:
        raise InputError(
            f"The folder {path} cannot be read ({_reason(error)}); allow it."
        ) from error
    files = [
        file
        for file in entries
        if file.suffix.lower() in _IMAGE_SUFFIXES and not file.name.startswith(".")
    ]
    if not files:
        raise InputError(f"The folder {path} holds no frames; give one with JPEG or PNG files.")
    files.sort(key=lambda file: (natural_order(file.stem), file.name))
    stems = [file.stem for file in files]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise InputError(
            f"The folder {path} holds frame {twice} in more than one format; keep one of them."
        )
    height, width = read_image(files[0], f"The frame {files[0]}").shape[:2]

    decode = functools.partial(image_frames, files)
    return Video(path, height, width, len(files), None, decode, tuple(files))


def natural_order(name: str) -> list[str | int]:
    """A key that sorts frame2 before frame10."""
    parts = re.split(r"([0-9]+)", name.lower())
    return [int(part) if part.isdecimal() else part for part in parts]


def _open_file(path: Path) -> Video:
    try:
        with av.open(str(path)) as container:
            # FFmpeg plays any .txt file as a terminal would show it.
            if not container.streams.video or container.format.name == "tty":
                raise InputError(f"{path} has no video stream; give a video or a folder of frames.")
            stream = container.streams.video[0]
            length = stream.frames or None
            fps = float(stream.average_rate) if stream.average_rate else None
    except (av.FFmpegError, OSError) as error:
        raise InputError(
            f"{path} cannot be opened as a video ({_reason(error)}); give a video file or a folder "
            "of frames."
        ) from error
    with closing(_decode_file(path)) as frames:
        first = next(frames, None)
    if first is None:
        raise InputError(f"The video {path} has no frames; record or copy it again.")
    height, width = first[1].shape[:2]
    return Video(path, height, width, length, fps, lambda: _decode_file(path))


def _decode_file(path: Path) -> NamedFrames:
    index, packets, seen = 0, 0, 0.0
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for packet in container.demux(stream):
                packets += packet.size > 0
                for frame in packet.decode():
                    seen = max(seen, frame.time or 0.0)
                    turns = round(frame.rotation / 90) % 4
                    upright = np.rot90(frame.to_ndarray(format="rgb24"), turns)
                    yield f"{index:05d}", np.ascontiguousarray(upright)
                    index += 1
            promised, seconds = container.streams.video[0].frames, _promised_seconds(container)
        if packets < promised and _count_packets(path) < promised:
            raise InputError(
                f"The video {path} is cut off: it ends after {index} of the {promised} frames that "
                "its header promises; copy it again."
            )
        if seen < 0.95 * seconds - _MAX_FRAME_SECONDS:
            raise InputError(
                f"The video {path} is cut off: it ends after {index} frames, at {seen:.1f} of the "
                f"{seconds:.1f} seconds that its header promises; copy it again."
            )
    except (av.FFmpegError, OSError) as error:
        raise InputError(
            f"The video {path} cannot be decoded after {index} frames ({_reason(error)}); it may "
            "be cut off, so copy it again."
        ) from error


def _promised_seconds(container: av.container.InputContainer) -> float:
    """How long a Matroska or WebM file of a video alone is, by its header; else 0.

    Sound may go on longer, and other formats tell a number of frames, or guess the length.
    """
    if len(container.streams) > 1 or "matroska" not in container.format.name:
        return 0.0
    return (container.duration or 0) / av.time_base


def _count_packets(path: Path) -> int:
    """Frames that are stored, those among them that an edit list says not to show."""
    with av.open(str(path), options={"ignore_editlist": "1"}) as container:
        return sum(packet.size > 0 for packet in container.demux(container.streams.video[0]))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
