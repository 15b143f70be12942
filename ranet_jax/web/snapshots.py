"""States of a video at some of its frames, so that one can go back to any frame."""

from ranet_jax.inference.editing import Snapshot

_KEPT = 16
_LATEST = 2


class Snapshots:
    """At most `_KEPT` states, evenly spread, besides those of the latest frames.

    When there are too many, every other one goes: from the nearest one to a frame there are never
    more steps to repeat than a sixteenth of the video or so.
    """

    def __init__(self):
        self._spacing = 1
        self._states: dict[int, Snapshot] = {}

    def add(self, frame: int, state: Snapshot) -> None:
        """Keeps the state after a frame."""
        self._states[frame] = state
        while len(self._states) > _KEPT + _LATEST:
            spread = [number for number in self._states if number % self._spacing == 0]
            if len(spread) > _KEPT:
                self._spacing *= 2
            latest = sorted(self._states)[-_LATEST:]
            self._states = {
                number: kept
                for number, kept in self._states.items()
                if number % self._spacing == 0 or number in latest
            }

    def drop_from(self, frame: int) -> None:
        """Forgets the states of a frame and of those after it."""
        self._states = {number: kept for number, kept in self._states.items() if number < frame}

    def nearest(self, frame: int) -> tuple[int, Snapshot] | None:
        """The state of a frame, or of the last one before it that there is."""
        numbers = [number for number in self._states if number <= frame]
        return (max(numbers), self._states[max(numbers)]) if numbers else None
