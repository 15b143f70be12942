"""Ending a run between two steps when the system asks for it."""

import signal
import threading
from types import FrameType
from typing import Any

import jax
from jax.experimental import multihost_utils

EXIT_STATUS = 128 + signal.SIGTERM  # as shells count
_SIGNALS = ("SIGTERM", "SIGHUP")  # SIGHUP: the terminal was closed


class Preempted(SystemExit):
    """The run was asked to end; all that is needed to resume it was saved."""

    def __init__(self, status: int = EXIT_STATUS) -> None:
        super().__init__(status)


class PreemptionGuard:
    """Whether SIGTERM or SIGHUP has come, while this context lasts.

    Of several processes all stop after the same step, whichever of them was told to. A signal that
    is ignored already, as `nohup` does, stays ignored.

    Attributes:
        requested: whether one has come.
        status: what the process is to end with then.
    """

    def __init__(self) -> None:
        self.requested = False
        self.status = EXIT_STATUS
        self._before: dict[int, Any] = {}
        self._together = jax.process_count() > 1
        # JAX itself listens where processes run together, and passes it on to the others.
        self._listens = not self._together and threading.current_thread() is threading.main_thread()

    def __enter__(self) -> "PreemptionGuard":
        if self._listens:
            numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
            for number in numbers:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested, self.status = True, 128 + number

    def reached(self, step: int) -> bool:
        """Whether to stop after this step; to be asked by every process after every step."""
        if self._together and multihost_utils.reached_preemption_sync_point(step):
            self.requested = True
        return self.requested
