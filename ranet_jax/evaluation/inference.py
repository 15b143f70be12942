"""Runs a segmenter over videos, several at once, and writes their label maps."""

import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from ranet_jax.errors import InputError
from ranet_jax.evaluation.davis import Dataset, Video, object_ids, read_labels
from ranet_jax.evaluation.results import Timing

Frames = list[UInt8[np.ndarray, "h w 3"] | None]
LabelMaps = list[Int[np.ndarray, "h w"] | None]

_MOST_WRITES_BEHIND = 8


class VideoSegmenter(Protocol):
    """What inference needs of `ranet_jax.Segmenter`, on several videos at once.

    Where `init` adapts the network to a video, the attribute `online_seconds` tells how long the
    latest adaptation took.
    """

    def init(self, frame: Frames, mask: LabelMaps) -> None:
        """Starts the videos from their first frames and label maps."""

    def step(self, frame: Frames) -> LabelMaps:
        """Label maps of the next frames; None for a video that has ended."""


@dataclass
class _Running:
    video: Video
    folder: Path
    seconds: float = 0.0
    timed: int = 0
    online_seconds: float = 0.0
    writes: deque[Future] = field(default_factory=deque)


def group_videos(videos: Sequence[Video], batch: int, dataset: Dataset) -> list[list[Video]]:
    """Groups videos to be segmented together: alike in their number of object slots and in length.

    Args:
        videos: in any order.
        batch: most videos of a group.
        dataset: whose protocol says what an object is.
    """

    def slots(video: Video) -> int:
        if dataset == "davis2016":
            return 1
        ids = object_ids(read_labels(video.annotations[:1], dataset)[0], dataset)
        return 1 << (max(len(ids), 1) - 1).bit_length()

    by_slots: dict[int, list[Video]] = {}
    for video in sorted(videos, key=lambda video: -len(video.stems)):
        by_slots.setdefault(slots(video), []).append(video)
    return [
        group[start : start + batch]
        for _, group in sorted(by_slots.items())
        for start in range(0, len(group), batch)
    ]


def segment_group(
    segmenter: VideoSegmenter,
    videos: Sequence[Video],
    dataset: Dataset,
    out: Path,
    *,
    on_frame: Callable[[int], None] = lambda count: None,
) -> Iterator[tuple[Video, Timing]]:
    """Segments videos side by side, and yields each as soon as its label maps are complete on disk.

    The maps of a video appear under `out / name` all at once, after its last frame; frame 1 is the
    mask that was given.

    Args:
        segmenter: is initialized here; one that has run before may be used again.
        videos: of any lengths and sizes.
        dataset: whose protocol says what the first masks mean.
        out: folder of predictions.
        on_frame: told how many frames were finished, for a progress bar.
    Raises:
        InputError: for videos without frames, frames that cannot be read, and empty first masks.
    """
    for video in videos:
        if not video.frames:
            raise InputError(
                f"{video.name} has annotations but no frames under JPEGImages to segment."
            )
    running: list[_Running | None] = [_start(video, out) for video in videos]
    # Reading ahead and writing behind keeps the accelerator from waiting for JPEGs and PNGs.
    with ThreadPoolExecutor(max_workers=max(2, min(8, len(videos)))) as pool:
        masks = [read_labels(video.annotations[:1], dataset)[0] for video in videos]
        for video, mask in zip(videos, masks, strict=True):
            if not mask.any():
                raise InputError(
                    f"{video.annotations[0]} marks no object: the first frame must show what to "
                    "follow."
                )
        segmenter.init([future.result() for future in _read(pool, running, 0)], masks)
        for state in running:
            state.online_seconds = getattr(segmenter, "online_seconds", 0.0) / len(videos)
        _write(pool, running, masks, 0)
        upcoming = _read(pool, running, 1)
        on_frame(len(videos))
        for time_step in range(1, max(len(video.frames) for video in videos) + 1):
            yield from _finish(running, time_step, out)
            if not any(running):
                return
            frames = [future and future.result() for future in upcoming]
            upcoming = _read(pool, running, time_step + 1)
            started = time.perf_counter()
            labels = segmenter.step(frames)
            elapsed = time.perf_counter() - started
            active = [state for state in running if state]
            if time_step > 1:
                for state in active:
                    state.seconds += elapsed / len(active)
                    state.timed += 1
            _write(pool, running, labels, time_step)
            on_frame(len(active))


def read_frame(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """An image as RGB.

    Raises:
        InputError: if the file is not a readable image.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except OSError as error:
        raise InputError(f"The frame {path} cannot be read as an image: {error}.") from error


def _partial(out: Path, name: str) -> Path:
    return out / f".{name}.partial"


def _start(video: Video, out: Path) -> _Running:
    folder = _partial(out, video.name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return _Running(video, folder)


def _read(
    pool: ThreadPoolExecutor, running: Sequence[_Running | None], time_step: int
) -> list[Future | None]:
    """Starts to read the frames of a step; None for videos that have none."""
    return [
        pool.submit(read_frame, state.video.frames[time_step])
        if state and time_step < len(state.video.frames)
        else None
        for state in running
    ]


def _write(
    pool: ThreadPoolExecutor, running: Sequence[_Running | None], labels: LabelMaps, time_step: int
) -> None:
    from ranet_jax.io import masks

    for state, mask in zip(running, labels, strict=True):
        if state:
            path = state.folder / f"{state.video.stems[time_step]}.png"
            state.writes.append(pool.submit(masks.write_mask, path, mask))
            if len(state.writes) > _MOST_WRITES_BEHIND:
                state.writes.popleft().result()


def _finish(
    running: list[_Running | None], time_step: int, out: Path
) -> Iterator[tuple[Video, Timing]]:
    """Puts the videos that have ended in their place, and frees their slots."""
    for slot, state in enumerate(running):
        if state and len(state.video.frames) == time_step:
            for write in state.writes:
                write.result()
            final = out / state.video.name
            shutil.rmtree(final, ignore_errors=True)
            os.replace(state.folder, final)
            running[slot] = None
            yield (
                state.video,
                Timing(state.seconds, state.timed, state.online_seconds, time_step - 1),
            )
