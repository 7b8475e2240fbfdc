"""PendingWrites: renewed sessions that the store could not take, until it can."""

from dataclasses import dataclass, field

from extproc.core.session import Session
from extproc.core.session_record import dump

# bytes of all pending writes of a process, unless its creator says otherwise
MOST_BYTES = 32_000_000


@dataclass(frozen=True, slots=True)
class PendingWrite:
    """A renewed session that exists in this process alone.

    Args:
        session: With the new tokens.
        owner: Who holds the session's lock, which could not be released either.
        size: Bytes of the session as a record, which is about what it takes in memory.
    """

    session: Session
    owner: bytes = field(repr=False)
    size: int


class PendingWrites:
    """Pending writes by the session's key. Beyond either limit the oldest is lost.

    Args:
        most: How many there may be.
        most_bytes: Bytes of all of them; the newest is kept however large it is.
    """

    def __init__(self, most: int, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._writes: dict[bytes, PendingWrite] = {}

    def get(self, key: bytes) -> PendingWrite | None:
        return self._writes.get(key)

    def put(self, session: Session, owner: bytes) -> None:
        """Remember a session until `drop`."""
        self.drop(session.id.key)
        write = PendingWrite(session, owner, len(dump(session)))
        self._writes[session.id.key] = write
        self._bytes += write.size
        while self._is_too_full:
            self.drop(next(iter(self._writes)))

    @property
    def _is_too_full(self) -> bool:
        crowded = len(self._writes) > self._most or self._bytes > self._most_bytes
        return crowded and len(self._writes) > 1

    def drop(self, key: bytes) -> None:
        """Forget a write that was made, or that something newer has replaced."""
        write = self._writes.pop(key, None)
        if write is not None:
            self._bytes -= write.size
