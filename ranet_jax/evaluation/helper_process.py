"""How a process that helps another one ends: with it, and leaving nothing half-written."""

import multiprocessing
import os
import signal
import threading

from ranet_jax.io.atomic import remove_unfinished

_ENDING = ("SIGTERM", "SIGHUP")


def helper_process() -> None:
    """Called first in a process that `multiprocessing` has started.

    Ctrl-C reaches every process of a terminal: the main one ends the others, which may finish what
    they are at. Other signals end the process at once, and so does the end of the main one, which
    nothing else tells of where it was killed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in _ENDING:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda number, frame: _end(128 + number))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    _end(1)


def _end(status: int) -> None:
    remove_unfinished()
    os._exit(status)
