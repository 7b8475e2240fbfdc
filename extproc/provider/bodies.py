"""Bodies: how much of providers' answers may be in memory at once, in the whole process.

One answer has a limit of its own (limits.response_bytes); a thousand logins at a provider that sends all it may would still need a
gigabyte. So what is beyond the first kilobytes of each, which honest answers never are, comes out of one store.
"""

from types import TracebackType
from typing import Self

from extproc.core.errors import Overloaded

FREE = 16_384  # bytes of each answer that are not counted
MOST = 32_000_000  # bytes of all that is


class Bodies:
    """One for all providers of a process."""

    def __init__(self, most: int = MOST) -> None:
        self._most, self.held = most, 0

    def take(self, more: int) -> None:
        """Raises Overloaded."""
        if self.held + more > self._most:
            raise Overloaded(f"the answers of providers that are being read have {self._most} bytes together already")
        self.held += more

    def give_back(self, held: int) -> None:
        self.held -= held


class Body:
    """One answer while it is read: `with Body(bodies) as body`. What it was given goes back at the end."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies, self._taken = bodies, 0
        self.data = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._bodies.give_back(self._taken)

    def add(self, chunk: bytes) -> None:
        """Raises Overloaded."""
        more = max(0, len(self.data) + len(chunk) - FREE) - self._taken
        self._bodies.take(more)
        self._taken += more
        self.data += chunk
