"""Ending a run between two steps when the system asks for it."""

import signal
import threading
from types import FrameType

import jax
from jax.experimental import multihost_utils

EXIT_STATUS = 128 + signal.SIGTERM  # as shells count


class Preempted(SystemExit):
    """The run was asked to end; all that is needed to resume it was saved."""

    def __init__(self) -> None:
        super().__init__(EXIT_STATUS)


class PreemptionGuard:
    """Whether SIGTERM has come, while this context lasts.

    Of several processes all stop after the same step, whichever of them was told to.
    """

    def __init__(self) -> None:
        self.requested = False
        self._together = jax.process_count() > 1
        # JAX itself listens where processes run together, and passes it on to the others.
        self._listens = not self._together and threading.current_thread() is threading.main_thread()

    def __enter__(self) -> "PreemptionGuard":
        if self._listens:
            self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._listens:
            signal.signal(signal.SIGTERM, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True

    def reached(self, step: int) -> bool:
        """Whether to stop after this step; to be asked by every process after every step."""
        if self._together and multihost_utils.reached_preemption_sync_point(step):
            self.requested = True
        return self.requested
