"""What was painted, as the masks and removals that a video is gone through with."""

from collections.abc import Iterator

import numpy as np

from ranet_jax.array_typing import HostMask


class Painted:
    """Masks and removed ids by the number of their frame.

    A painted frame says where every object is in it. What the network had found there already is
    not repeated: kept are the objects that are new or differ, and which ones are gone.
    """

    def __init__(self):
        self.masks: dict[int, HostMask] = {}
        self.removed: dict[int, list[int]] = {}

    def __iter__(self) -> Iterator[int]:
        """The frames that were painted, in their order."""
        return iter(sorted(self.masks.keys() | self.removed.keys()))

    @property
    def first(self) -> int | None:
        """The frame that starts; None while nothing is painted."""
        return min(self.masks, default=None)

    def put(self, frame: int, labels: HostMask, found: HostMask | None, edited: bool) -> None:
        """Takes a frame as it looks now.

        Args:
            frame: its number.
            labels: ids [H, W], all objects of the frame.
            found: what was shown there before; None where nothing was.
            edited: whether `found` has what was painted here earlier in it.
        """
        shown = _ids(labels)
        before = np.zeros_like(labels) if found is None else found
        changed = {id_ for id_ in shown if not np.array_equal(labels == id_, before == id_)}
        gone = _ids(before) - shown
        if edited:
            changed |= _ids(self.masks.get(frame, before[:0])) & shown
            gone |= set(self.removed.get(frame, ())) - shown
        gone &= self._followed_before(frame)
        self.forget(frame)
        if changed:
            self.masks[frame] = np.where(np.isin(labels, list(changed)), labels, 0)
        if gone:
            self.removed[frame] = sorted(gone)

    def forget(self, frame: int) -> None:
        """The frame as if nothing had been painted there."""
        self.masks.pop(frame, None)
        self.removed.pop(frame, None)

    def _followed_before(self, frame: int) -> set[int]:
        followed = set()
        for earlier in self:
            if earlier >= frame:
                break
            followed -= set(self.removed.get(earlier, ()))
            followed |= _ids(self.masks.get(earlier, np.zeros(0)))
        return followed


def _ids(labels: np.ndarray) -> set[int]:
    return set(np.unique(labels).tolist()) - {0}
