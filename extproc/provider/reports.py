"""Reports: how loud a failure of a provider's metadata or keys is in the log."""

import logging
import time
from collections.abc import Callable

from extproc.core.errors import Refusal

AGAIN = 300.0  # seconds between two warnings of a fault that stays


class Reports:
    """Makes a fault that stays one warning, and one more in a while. A change is a warning."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            clock: Returns seconds.
        """
        self._clock = clock
        self._fault: tuple[str, str] | None = None
        self._at = 0.0

    def level(self, error: Refusal) -> int:
        """Return the level at which a failure is logged."""
        fault, now = (error.reason, error.detail), self._clock()
        if fault == self._fault and now < self._at + AGAIN:
            return logging.DEBUG
        self._fault = fault
        self._at = now
        return logging.WARNING

    def ready(self) -> None:
        """Record that metadata and keys could be had."""
        self._fault = None
