"""Threads and processes that a signal cannot lose.

`ranet` turns signals into an exception, so that every `with` and `finally` tidies up. One that is
raised while a pool starts a thread is too early: a lock of Python's stays taken for good, or the
pool never hears of a thread, which then works on files that are being removed.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

_blocks = 0


@contextmanager
def signals_wait() -> Iterator[None]:
    """A signal that comes in the block raises its exception soon after it."""
    global _blocks
    if threading.current_thread() is not threading.main_thread():  # no signal reaches this one
        yield
        return
    _blocks += 1
    try:
        yield
    finally:
        _blocks -= 1


def signals_must_wait() -> bool:
    """Whether the main thread is in a block of `signals_wait`."""
    return _blocks > 0


class ThreadPool(ThreadPoolExecutor):
    """Threads that `submit` starts, and whose end `shutdown` waits for, whenever a signal comes."""

    def submit(self, function: Callable, *arguments: object) -> Future:
        """Has the function called in a thread, which is started where none is idle."""
        with signals_wait():
            return super().submit(function, *arguments)
