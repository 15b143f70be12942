"""A cache that forgets what was used longest ago once it holds too many bytes."""

import collections
import threading
from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class ByteCache(Generic[Value]):
    """Values by key, up to a number of bytes; shared by threads, empty in another process."""

    def __init__(self, capacity: int):
        self._capacity = capacity
        self._held = 0
        self._entries: collections.OrderedDict[Hashable, tuple[Value, int]] = (
            collections.OrderedDict()
        )
        self._lock = threading.Lock()

    def __reduce__(self):
        return type(self), (self._capacity,)

    @property
    def nbytes(self) -> int:
        """How much it holds."""
        return self._held

    def get(self, key: Hashable) -> Value | None:
        """The value, or None where there is none (any more)."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key][0]

    def put(self, key: Hashable, value: Value, nbytes: int) -> None:
        """Keeps a value that counts for so many bytes; a value that is there already stays."""
        with self._lock:
            if key in self._entries:
                return
            self._entries[key] = value, nbytes
            self._held += nbytes
            while self._held > self._capacity:
                self._held -= self._entries.popitem(last=False)[1][1]
