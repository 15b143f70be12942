"""How a process that helps another one ends: with it, and leaving nothing half-written.

The main one may be killed, which nothing tells the others of: they watch it. Each function here is
to be called first in a process that `multiprocessing` has started.
"""

import multiprocessing
import os
import signal
import threading

from ranet_jax.io.atomic import remove_unfinished

_ENDING = ("SIGTERM", "SIGHUP")


def helper_process() -> None:
    """For one that writes files.

    Ctrl-C reaches every process of a terminal: the main one ends the others, which may finish what
    they are at. Other signals end the process at once.
    """
    _on_signals(("SIGINT",), signal.SIG_IGN)
    _on_signals(_ENDING, lambda number, frame: _end(128 + number))
    _watch_parent()


def feeding_process(*_: int) -> None:
    """For one that the main process needs to the end, which may still take what is ready when a
    signal comes to both: the main one alone heeds it, and ends the others when it is done."""
    _on_signals(("SIGINT", *_ENDING), signal.SIG_IGN)
    _watch_parent()


def _on_signals(names: tuple[str, ...], handler: object) -> None:
    for name in names:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), handler)


def _watch_parent() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    _end(1)


def _end(status: int) -> None:
    remove_unfinished()
    os._exit(status)
