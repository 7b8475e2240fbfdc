"""A limit for each second, for records that a flood of requests causes."""

import time
from collections.abc import Callable


class PerSecond:
    """Lets so many through in each second of the clock.

    clock: nanoseconds since the epoch.
    """

    def __init__(self, limit: int, clock: Callable[[], int] = time.time_ns) -> None:
        self._limit = limit
        self._clock = clock
        self._second = 0
        self._count = 0

    def passes(self) -> bool:
        """Counts one more, and tells whether it is within the limit of its second."""
        second = self._clock() // 1_000_000_000
        if second != self._second:
            self._second = second
            self._count = 0
        self._count += 1
        return self._count <= self._limit
