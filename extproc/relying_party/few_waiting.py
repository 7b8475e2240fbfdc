"""FewWaiting: how many requests may wait for the same thing of one provider."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from extproc.core.errors import Refusal


class FewWaiting:
    """Lets few requests wait at a time, apart for each provider: anybody can make up a token whose
    key is unknown, and other tokens must find a permit all the same.

    Args:
        most: How many may wait for one provider, in each process.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting = Counter[str]()

    @contextmanager
    def one(self, provider: str, full: Refusal) -> Iterator[None]:
        """Wait within the block. Raises `full` if as many wait already."""
        if self._waiting[provider] >= self._most:
            raise full
        self._waiting[provider] += 1
        try:
            yield
        finally:
            self._waiting[provider] -= 1
