"""Backoff: after a failure, how long nothing is tried again, longer with each failure."""

from typing import Generic, TypeVar

K = TypeVar("K")


class Backoff(Generic[K]):
    """Remembers which keys failed lately. Times are whole seconds of the caller's clock.

    Args:
        first: Seconds of the first pause; each further failure doubles it.
        longest: Seconds of the longest pause.
        most: How many keys are remembered. Beyond it the key that failed longest ago is forgotten.
    """

    def __init__(self, first: int, longest: int, most: int) -> None:
        self._first = first
        self._longest = longest
        self._most = most
        self._pauses: dict[K, tuple[int, int]] = {}  # until when, and of how many seconds

    def active(self, key: K, now: int) -> bool:
        """Return whether the key failed so lately that it must not be tried yet."""
        until, _ = self._pauses.get(key, (0, 0))
        # The upper limit is for a clock that was set back: it must not prolong the pause.
        return 0 < until - now <= self._longest

    def failed(self, key: K, now: int) -> int:
        """Begin a pause and return its seconds."""
        _, before = self._pauses.pop(key, (0, 0))
        seconds = min(before * 2, self._longest) if before else self._first
        self._pauses[key] = now + seconds, seconds
        if len(self._pauses) > self._most:
            del self._pauses[next(iter(self._pauses))]
        return seconds

    def succeeded(self, key: K) -> None:
        """Forget the failures of a key."""
        self._pauses.pop(key, None)
