"""Runs a segmenter over videos, several at once, and writes their label maps."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from ranet_jax.errors import InputError
from ranet_jax.evaluation.davis import Dataset, Video, object_ids, read_labels
from ranet_jax.evaluation.results import Timing
from ranet_jax.inference.object_ids import BUCKETS, bucket
from ranet_jax.inference.tracking import VideoSegmenter, track_batch
from ranet_jax.io.atomic import replacing_folder
from ranet_jax.io.result_writer import ResultWriter, result_writer
from ranet_jax.io.video_reader import image_frames, read_ahead


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
        return bucket(min(max(len(ids), 1), BUCKETS[-1]))

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
        segmenter: starts anew here. Where `init` adapts the network to a video, its attribute
            `online_seconds` tells how long that took.
        videos: of any lengths and sizes.
        dataset: whose protocol says what the first masks mean.
        out: folder of predictions.
        on_frame: told how many frames were finished, for a progress bar.
    Raises:
        InputError: for videos without frames, frames that cannot be read, and empty first masks.
    """
    masks = [_first_labels(video, dataset) for video in videos]
    timed = _Timed(segmenter)
    seconds, counts = [0.0] * len(videos), [0] * len(videos)
    with ExitStack() as stack:
        streams = [
            stack.enter_context(closing(read_ahead(image_frames(video.frames)))) for video in videos
        ]
        writers = [stack.enter_context(ExitStack()) for _ in videos]
        open_writers = [
            _open_writer(one, out / video.name) for one, video in zip(writers, videos, strict=True)
        ]
        for step, tracked in enumerate(track_batch(timed, streams, masks)):
            running = sum(item is not None for item in tracked)
            for index, (video, item) in enumerate(zip(videos, tracked, strict=True)):
                if item is None:
                    continue
                _, frame, labels = item
                open_writers[index].write(video.stems[step], frame, labels, {})
                if step > 1:
                    seconds[index] += timed.seconds / running
                    counts[index] += 1
            on_frame(running)
            for index, video in enumerate(videos):
                if step + 1 == len(video.frames):
                    writers[index].close()
                    online = getattr(segmenter, "online_seconds", 0.0) / len(videos)
                    yield video, Timing(seconds[index], counts[index], online, step)


class _Timed:
    """A segmenter that notes how long its latest step took."""

    def __init__(self, segmenter: VideoSegmenter):
        self._segmenter = segmenter
        self.init = segmenter.init

    def step(self, frame: list) -> list:
        started = time.perf_counter()
        labels = self._segmenter.step(frame)
        self.seconds = time.perf_counter() - started
        return labels


def _first_labels(video: Video, dataset: Dataset):
    if not video.frames:
        raise InputError(f"{video.name} has annotations but no frames under JPEGImages to segment.")
    (mask,) = read_labels(video.annotations[:1], dataset)
    if not mask.any():
        raise InputError(
            f"{video.annotations[0]} marks no object: the first frame must show what to follow."
        )
    return mask


def _open_writer(stack: ExitStack, folder: Path) -> ResultWriter:
    return stack.enter_context(result_writer(stack.enter_context(replacing_folder(folder))))
