"""PendingWrites: renewed sessions that the store could not take, until it can."""

from dataclasses import dataclass, field

from extproc.core.session import Session


@dataclass(frozen=True, slots=True)
class PendingWrite:
    """A renewed session that exists in this process alone.

    Args:
        session: With the new tokens.
        owner: Who holds the session's lock, which could not be released either.
    """

    session: Session
    owner: bytes = field(repr=False)


class PendingWrites:
    """Pending writes by the session's key; at most `most`, beyond which the oldest is lost."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._writes: dict[bytes, PendingWrite] = {}

    def get(self, key: bytes) -> PendingWrite | None:
        return self._writes.get(key)

    def put(self, session: Session, owner: bytes) -> None:
        """Remember a session until `drop`."""
        self._writes[session.id.key] = PendingWrite(session, owner)
        if len(self._writes) > self._most:
            del self._writes[next(iter(self._writes))]

    def drop(self, key: bytes) -> None:
        """Forget a write that was made, or that something newer has replaced."""
        self._writes.pop(key, None)
