"""Messages on their way to a page."""

import asyncio
import contextlib
import json
from collections import deque
from typing import Any

_LIMIT = 64


class Outbox:
    """A bounded queue from any thread to one coroutine.

    A page that is behind misses masks, and asks for them when they are to be shown; of progress
    only the newest counts. So nothing waits for a page.
    """

    def __init__(self):
        """To be made in the event loop that takes the messages out."""
        self._loop = asyncio.get_running_loop()
        self._items: deque[dict[str, Any] | bytes] = deque()
        self._filled = asyncio.Event()

    def put(self, item: dict[str, Any] | bytes) -> None:
        """Adds a message; called in any thread, also when nobody takes them any more."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._append, item)

    async def get(self) -> str | bytes:
        """The next message, as it is sent."""
        while not self._items:
            self._filled.clear()
            await self._filled.wait()
        item = self._items.popleft()
        return item if isinstance(item, bytes) else json.dumps(item)

    def _append(self, item: dict[str, Any] | bytes) -> None:
        if _is_progress(item):
            self._items = deque(other for other in self._items if not _is_progress(other))
        self._items.append(item)
        if len(self._items) > _LIMIT:
            masks = (index for index, other in enumerate(self._items) if isinstance(other, bytes))
            del self._items[next(masks, 0)]
        self._filled.set()


def _is_progress(item: dict[str, Any] | bytes) -> bool:
    return isinstance(item, dict) and item["type"] == "progress"
