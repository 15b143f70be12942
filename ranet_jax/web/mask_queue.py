"""Masks on their way to the disk and to the page, in a thread that the device does not wait for."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

_WAITING = 8


class MaskQueue:
    """Calls a function for every mask, in the order in which they come."""

    def __init__(self, void_from: Callable[[int], None]):
        """Empty.

        Args:
            void_from: told the frame whose mask was lost, before `put` or `settle` raises why.
        """
        self._void_from = void_from
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="encode")
        self._waiting: deque[tuple[int, Future]] = deque()

    def put(self, frame: int, function: Callable[..., None], *arguments: object) -> None:
        """Has the function called for the mask of a frame; waits where it is far behind."""
        self._waiting.append((frame, self._thread.submit(function, *arguments)))
        self._wait(_WAITING)

    def settle(self) -> None:
        """Waits until no mask is on its way."""
        self._wait(0)

    def close(self) -> None:
        """Ends the thread; what it has not begun is dropped."""
        self._thread.shutdown(cancel_futures=True)

    def _wait(self, left: int) -> None:
        while len(self._waiting) > left:
            frame, done = self._waiting.popleft()
            if error := done.exception():
                wait([later for _, later in self._waiting])
                self._waiting.clear()
                self._void_from(frame)
                raise error
