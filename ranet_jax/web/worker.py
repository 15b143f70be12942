"""The one thread that owns the device: it goes through the videos of all sessions in turn."""

import logging
import queue
import threading
from collections.abc import Callable
from typing import Protocol

from ranet_jax.errors import explain

_logger = logging.getLogger(__name__)


class Work(Protocol):
    """What the thread does for a session, a piece at a time."""

    def ready(self) -> bool:
        """Whether `advance` has something to do."""

    def advance(self) -> None:
        """Segments one frame."""

    def fail(self, message: str) -> None:
        """Ends what was going on, and tells why."""

    def close(self) -> None:
        """Ends everything; nothing is called after it."""


class Worker:
    """Runs calls and frames one after the other, in a thread of its own."""

    def __init__(self):
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._works: list[Work] = []
        self._thread = threading.Thread(target=self._run, name="device", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Closes all sessions and waits for the end of the thread."""
        self._calls.put(None)
        self._thread.join()

    def add(self, work: Work) -> None:
        """From now on the session is asked for work."""
        self._calls.put(lambda: self._works.append(work))

    def remove(self, work: Work) -> None:
        """Closes a session, between two frames."""
        self._calls.put(lambda: self._close(work))

    def call(self, work: Work, function: Callable[[], None], done: Callable[[], None]) -> None:
        """Has a function called between two frames.

        Args:
            work: of the session, which is told what goes wrong; after its end nothing is called.
            function: what to call.
            done: called afterwards in any case.
        """
        self._calls.put(lambda: self._call(work, function, done))

    def call_anyway(self, function: Callable[[], None]) -> None:
        """Has a function called that needs no session: after everything that was asked before."""
        self._calls.put(function)

    def wake(self) -> None:
        """Has the sessions asked again whether they are ready."""
        self._calls.put(lambda: None)

    def _run(self) -> None:
        while True:
            ready = [work for work in self._works if work.ready()]
            try:
                call = self._calls.get(block=not ready)
            except queue.Empty:
                for work in ready:
                    self._guarded(work, work.advance)
                continue
            if call is None:
                for work in list(self._works):
                    self._close(work)
                return
            call()

    def _call(self, work: Work, function: Callable[[], None], done: Callable[[], None]) -> None:
        if work in self._works:
            self._guarded(work, function)
        done()

    def _close(self, work: Work) -> None:
        if work in self._works:
            self._works.remove(work)
            work.close()

    def _guarded(self, work: Work, function: Callable[[], None]) -> None:
        try:
            function()
        except Exception as error:
            # One session's fault must not end the thread that serves the others.
            if (sentence := explain(error)) is None:
                _logger.exception("a session failed")
            work.fail(sentence or "Something went wrong; the terminal of ranet web says what.")
