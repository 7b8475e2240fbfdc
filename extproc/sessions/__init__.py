"""Where sessions are kept. A store knows records (opaque bytes under a key), not what is in them."""

from typing import Protocol

from extproc.oidc.session import Record


class StoreBusy(Exception):
    """peek cannot answer at once; ask get in the held lane. Never "no session"."""


class SessionStore(Protocol):
    """Every method but peek is awaited in trio and raises StoreUnavailable when the store cannot answer in time."""

    def peek(self, key: bytes, now: int) -> Record | None:
        """A keyed read without waiting, on the event loop. Raises StoreBusy when it would wait, always where the store is remote."""

    async def get(self, key: bytes, now: int) -> Record | None:
        """The record, or None when there is none or it is past its end."""

    async def put(self, record: Record, replaces: bytes | None = None) -> None:
        """Writes a record, and deletes another in the same transaction."""

    async def touch(self, key: bytes, now: int) -> None:
        """Last use of a session."""

    async def delete(self, key: bytes) -> None:
        """Ends a session; no error when it is gone already."""

    async def claim(self, key: bytes, expires: int, now: int) -> bool:
        """Marks a login attempt as used. True for exactly one caller, also among several processes."""

    async def aclose(self) -> None:
        """Closes what is open."""
