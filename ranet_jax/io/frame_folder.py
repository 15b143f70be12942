"""Frames of a video as files of their own: for whoever needs them in another order."""

import functools
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from ranet_jax.errors import InputError
from ranet_jax.io.atomic import replacing
from ranet_jax.io.images import encode_image
from ranet_jax.io.video_reader import Video, image_frames


def frame_names(video: Video) -> list[str] | None:
    """Names of all frames, in their order; None where a video file does not tell their number."""
    if video.files is not None:
        return [file.stem for file in video.files]
    return None if video.length is None else [f"{index:05d}" for index in range(video.length)]


def extract_frames(video: Video, folder: Path, *, limit: int | None = None) -> Video:
    """The same video as PNG files, which keep every pixel; one of a folder is left as it is.

    Args:
        video: to go through once.
        folder: an existing one for the files.
        limit: of bytes that the files may take.

    Raises:
        InputError: a frame cannot be read, or the files take more than `limit`.
    """
    if video.files is not None:
        return video
    files, size = [], 0
    with closing(iter(video)) as frames:
        for name, frame in frames:
            data = encode_image(frame)
            if limit is not None and (size := size + len(data)) > limit:
                raise InputError(
                    f"The frames of {video.path.name} take more than {limit >> 20} MB; cut the "
                    "video, or make it smaller."
                )
            files.append(folder / f"{name}.png")
            with replacing(files[-1]) as temporary:
                temporary.write_bytes(data)
    video = replace(video, files=tuple(files))
    return part(video, 0, len(files))


@contextmanager
def extracted(video: Video) -> Iterator[Video]:
    """Yields the same video as files; those that were made for it are gone after the block."""
    with tempfile.TemporaryDirectory(prefix="ranet-frames-") as folder:
        yield extract_frames(video, Path(folder))


def part(video: Video, first: int, stop: int, step: int = 1) -> Video:
    """Frames of a video of files, from `first` on and before `stop`, counted from 0.

    Args:
        video: with `files`.
        first: place of a frame.
        stop: place after the last one.
        step: 1, or -1 for the same frames backwards.
    """
    files = video.files[first:stop][::step]
    decode = functools.partial(image_frames, files)
    return replace(video, length=len(files), files=files, _decode=decode)
