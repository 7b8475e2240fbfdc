"""TokenCache: what the verification of a token came to, for a while."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class _Entry(Generic[V]):
    value: V
    size: int
    until: float


class TokenCache(Generic[V]):
    """Values by the key of a token, each for some seconds; the oldest go first.

    Args:
        seconds: For which a value counts.
        entries: Of which there are at most so many.
        size: Of all values together, at most, in the unit of put().
        clock: Returns seconds, and never goes back: a clock that is set back must not make a
            token last longer.
    """

    def __init__(
        self,
        seconds: float,
        entries: int,
        size: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._most = entries
        self._room = size
        self._clock = clock
        self._entries: OrderedDict[bytes, _Entry[V]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> V | None:
        """Return the value, or None without one that still counts."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if self._clock() >= entry.until:
            self._drop(key)
            return None
        return entry.value

    def put(self, key: bytes, value: V, size: int) -> None:
        """Keep a value. size: what it takes of the room of all values."""
        self._drop(key)
        self._entries[key] = _Entry(value, size, self._clock() + self._seconds)
        self._size += size
        while len(self._entries) > self._most or self._size > self._room:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= entry.size
