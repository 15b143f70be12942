"""The loop over the frames of a video, and a whole video from files to files."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from ranet_jax.array_typing import HostFrame, HostMask
from ranet_jax.errors import InputError
from ranet_jax.io.atomic import make_output_folder
from ranet_jax.io.masks import read_mask
from ranet_jax.io.result_writer import result_writer
from ranet_jax.io.video_reader import NamedFrame, Video, open_video

_DEFAULT_FPS = 24.0

TrackedFrame = tuple[str, HostFrame, HostMask]
# The mask of the first frame, or masks by the names of their frames.
Masks = HostMask | Mapping[str, HostMask]


class VideoSegmenter(Protocol):
    """Follows the objects of several videos at once, as `inference.segmenter.Segmenter` does."""

    def init(self, frame: list[HostFrame], mask: list[HostMask]) -> object: ...  # noqa: D102

    def step(  # noqa: D102
        self, frame: list[HostFrame | None]
    ) -> Sequence[HostMask | None]: ...

    def add_object(self, frame: HostFrame, mask: HostMask, video: int) -> object: ...  # noqa: D102

    def probability_maps(self, video: int = 0) -> dict[int, np.ndarray]: ...  # noqa: D102


def track(
    segmenter: VideoSegmenter, frames: Iterable[NamedFrame], masks: Masks
) -> Iterator[TrackedFrame]:
    """Segments a video frame by frame.

    Args:
        segmenter: starts anew here.
        frames: names and frames, uint8 [H, W, 3].
        masks: ids [H, W] of the first frame; or masks by frame name, of which the first frame needs
            one, and a later one shows the objects that are new there.

    Yields:
        Name, frame and ids [H, W] of every frame, the first included.

    Raises:
        InputError: there is no frame, no mask of the first one, or what the segmenter refuses.
    """
    for (tracked,) in track_batch(segmenter, [frames], [masks]):
        yield tracked


def track_batch(
    segmenter: VideoSegmenter, videos: Sequence[Iterable[NamedFrame]], masks: Sequence[Masks]
) -> Iterator[list[TrackedFrame | None]]:
    """Segments videos side by side; see `track`.

    Yields:
        For every time step what `track` yields for each video; None for one that has ended.
    """
    streams = [iter(video) for video in videos]
    current = [next(stream, None) for stream in streams]
    if not all(current):
        raise InputError("A video has no frames; give one with a frame at least.")
    given = [
        mask if isinstance(mask, Mapping) else {name: mask}
        for mask, (name, _) in zip(masks, current, strict=True)
    ]
    if missing := [name for (name, _), m in zip(current, given, strict=True) if name not in m]:
        raise InputError(f"The first frame, {missing[0]}, has no mask; give one of every object.")
    labels = [m[name] for (name, _), m in zip(current, given, strict=True)]
    segmenter.init([frame for _, frame in current], labels)
    while True:
        yield [item and (*item, found) for item, found in zip(current, labels, strict=True)]
        current = [item and next(s, None) for item, s in zip(current, streams, strict=True)]
        if not any(current):
            return
        labels = list(segmenter.step([item and item[1] for item in current]))
        for index, item in enumerate(current):
            if item and item[0] in given[index]:
                added = given[index][item[0]]
                segmenter.add_object(item[1], added, index)
                labels[index] = np.where(added > 0, added, labels[index])


@dataclass(frozen=True)
class Summary:
    """How a run of `segment_video` went.

    Attributes:
        frames: How many frames were written, the first included.
        seconds: From the first frame to the last file written, compilation included.
        frames_per_second: Of the frames after the second one, so that the compilation in the first
            step is left out; None where there are none.
    """

    frames: int
    seconds: float
    frames_per_second: float | None


def segment_video(
    segmenter: VideoSegmenter,
    source: Video | Path | str,
    mask: HostMask | Path | str,
    out: Path | str,
    *,
    overlay: bool = False,
    probabilities: bool = False,
    progress: bool = True,
) -> Summary:
    """Segments a video from its first frame's mask and writes a palette PNG for every frame.

    Written to `out`: `<frame>.png`, the first being the given mask; with `overlay`, `overlay.mp4`;
    with `probabilities`, `probabilities/<id>/<frame>.png` in 8-bit gray, 255 being certain. Every
    file appears whole or not at all, and the overlay only when the run ends well.

    Args:
        segmenter: Follows the objects; see `ranet_jax.inference.segmenter.Segmenter`.
        source: An open video, a folder of frames or a video file.
        mask: Ids [H, W] of the first frame, or a mask file.
        out: Folder for the results; it is made where missing.
        overlay: Whether to write the frames with the objects tinted, as a video.
        probabilities: Whether to write each object's probability maps.
        progress: Whether to show a progress bar.

    Raises:
        InputError: The video, the mask or the output folder cannot be used.
    """
    video = source if isinstance(source, Video) else open_video(source)
    labels = read_mask(mask, first=True) if isinstance(mask, Path | str) else np.asarray(mask)
    if labels.shape != (video.height, video.width):
        given = f"mask {mask}" if isinstance(mask, Path | str) else "mask"
        raise InputError(
            f"The {given} is {labels.shape[1]}x{labels.shape[0]} pixels and the frames of "
            f"{video.path} are {video.width}x{video.height}; draw it on the first frame."
        )
    out = make_output_folder(out)
    if video.path.is_dir() and out.samefile(video.path):
        raise InputError(f"The output folder {out} holds the frames; choose another folder.")
    fps = (video.fps or _DEFAULT_FPS) if overlay else None
    start, ends = time.perf_counter(), []
    with (
        closing(iter(video)) as frames,
        tqdm(total=video.length, unit="frame", disable=not progress) as bar,
        result_writer(out, overlay_fps=fps) as writer,
    ):
        for name, frame, found in track(segmenter, frames, labels):
            maps = segmenter.probability_maps() if probabilities else {}
            writer.write(name, frame, found, maps)
            ends.append(time.perf_counter())
            bar.update()
    later = len(ends) - 2
    rate = later / (ends[-1] - ends[1]) if later > 0 else None
    return Summary(len(ends), time.perf_counter() - start, rate)
