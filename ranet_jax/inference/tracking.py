"""The loop over the frames of a video, under everything that goes through one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from ranet_jax.array_typing import HostFrame, HostMask
from ranet_jax.errors import InputError
from ranet_jax.io.video_reader import NamedFrame

TrackedFrame = tuple[str, HostFrame, HostMask]
# The mask of the first frame, or masks by the names of their frames.
Masks = HostMask | Mapping[str, HostMask]
Removals = Mapping[str, Sequence[int]]  # ids by the name of the frame from which they are gone


class VideoSegmenter(Protocol):
    """Follows the objects of several videos at once, as `inference.segmenter.Segmenter` does."""

    def init(self, frame: list[HostFrame], mask: list[HostMask]) -> object: ...  # noqa: D102

    def step(  # noqa: D102
        self, frame: list[HostFrame | None]
    ) -> Sequence[HostMask | None]: ...

    def add_object(self, frame: HostFrame, mask: HostMask, video: int) -> object: ...  # noqa: D102

    def correct(  # noqa: D102
        self, frame: HostFrame, mask: HostMask, ids: Sequence[int], video: int
    ) -> object: ...

    def remove(self, id: int, video: int) -> object: ...  # noqa: D102

    def followed_ids(self, video: int = 0) -> Iterable[int]: ...  # noqa: D102

    def probability_maps(self, video: int = 0) -> dict[int, np.ndarray]: ...  # noqa: D102


def track(
    segmenter: VideoSegmenter,
    frames: Iterable[NamedFrame],
    masks: Masks,
    *,
    removed: Removals | None = None,
    resumed: HostMask | None = None,
) -> Iterator[TrackedFrame]:
    """Segments a video frame by frame, from the first frame that has a mask.

    A mask of a later frame corrects the objects that are followed already and adds those that are
    new; the objects that it does not show stay as they are. Masks may be put into the mapping while
    the video is gone through: that of the frame yielded last takes effect before the next one.

    Args:
        segmenter: starts anew here, unless `resumed`.
        frames: names and frames, uint8 [H, W, 3].
        masks: ids [H, W] of the first frame; or masks by frame name.
        removed: ids by frame name that are no longer followed from that frame on.
        resumed: the labels of the first of `frames`, which the segmenter has segmented last:
            edits of it are not made again.

    Yields:
        Name, frame and ids [H, W] of every frame, that of the first mask included.

    Raises:
        InputError: there is no frame, none with a mask, or what the segmenter refuses.
    """
    edits = [_Edits(removed or {})]
    for (tracked,) in _track(segmenter, [frames], [masks], edits, resumed):
        yield tracked


def track_batch(
    segmenter: VideoSegmenter, videos: Sequence[Iterable[NamedFrame]], masks: Sequence[Masks]
) -> Iterator[list[TrackedFrame | None]]:
    """Segments videos side by side; see `track`.

    Yields:
        For every time step what `track` yields for each video; None for one that has ended.
    """
    yield from _track(segmenter, videos, masks, [_Edits({}) for _ in videos])


def _track(segmenter, videos, masks, edits: list["_Edits"], resumed=None) -> Iterator[list]:
    starts = [
        _start(iter(video), mask, resumed is not None)
        for video, mask in zip(videos, masks, strict=True)
    ]
    current, streams, given = (list(parts) for parts in zip(*starts, strict=True))
    if resumed is None:
        labels = [m[name] for (name, _), m in zip(current, given, strict=True)]
        segmenter.init([frame for _, frame in current], labels)
        followed = [np.unique(found).tolist() for found in labels]
    else:
        labels, followed = [resumed], [segmenter.followed_ids()]
    for edit, (name, _), m, ids in zip(edits, current, given, followed, strict=True):
        edit.begin(name, m.get(name), ids)
    while True:
        yield [item and (*item, found) for item, found in zip(current, labels, strict=True)]
        for index, item in enumerate(current):
            if item:  # the mapping may have got a mask of it since then
                edits[index].apply(segmenter, index, item, given[index], labels[index])
        current = [item and next(s, None) for item, s in zip(current, streams, strict=True)]
        if not any(current):
            return
        labels = list(segmenter.step([item and item[1] for item in current]))
        for index, item in enumerate(current):
            if item:
                labels[index] = edits[index].apply(
                    segmenter, index, item, given[index], labels[index]
                )


def _start(stream: Iterator[NamedFrame], mask: Masks, resumed: bool):
    """The first frame that has a mask, the frames after it, and the masks by name."""
    first = next(stream, None)
    if first is None:
        raise InputError("A video has no frames; give one with a frame at least.")
    if not isinstance(mask, Mapping):
        return first, stream, {first[0]: mask}
    names, item = [first[0]], first
    while not resumed and item[0] not in mask:
        if (item := next(stream, None)) is None:
            raise InputError(
                f"No frame has a mask: the frames are named {names[0]} to {names[-1]}, and the "
                f"masks {', '.join(list(mask)[:3]) or 'are none'}."
            )
        names[1:] = [item[0]]
    return item, stream, mask


class _Edits:
    """Makes every edit of a video once: knows who is followed, and what was done last."""

    def __init__(self, removed: Removals):
        self._removed = removed

    def begin(self, name: str, mask: HostMask | None, followed: Iterable[int]) -> None:
        """Nothing is to be done at the frame that the segmenter starts, or goes on, from."""
        self._made = (name, mask)
        self._followed = set(followed) - {0}

    def apply(
        self,
        segmenter: VideoSegmenter,
        video: int,
        item: NamedFrame,
        masks: Mapping[str, HostMask],
        labels: HostMask,
    ) -> HostMask:
        """Makes the edits of a frame that were not made yet; returns its labels."""
        name, frame = item
        mask = masks.get(name)
        if self._made[0] != name:
            for id_ in self._removed.get(name, ()):
                segmenter.remove(id_, video)
                self._followed.discard(id_)
                labels = np.where(labels == id_, 0, labels)
        elif mask is self._made[1]:
            return labels
        self._made = (name, mask)
        if mask is None:
            return labels
        shown = set(np.unique(mask).tolist()) - {0}
        known = sorted(shown & self._followed)
        if new := sorted(shown - self._followed):
            segmenter.add_object(frame, np.where(np.isin(mask, new), mask, 0), video)
        if known:
            segmenter.correct(frame, mask, known, video)
        self._followed |= shown
        return np.where(mask > 0, mask, np.where(np.isin(labels, known), 0, labels))
