"""A grace period for cookies from before a refresh, if whole sessions are in cookies: for ten
minutes they still lead to the result of that refresh.

Browsers send several requests at once, and only the first response brings the new cookies. The old
refresh token must not be used again, because careful providers take that for a theft. So the
renewed session is kept for late requests: in the store of the tombstones, for all processes, or in
the memory of this process.
"""

import secrets
from dataclasses import dataclass, replace
from typing import Protocol

from extproc.core.application import Application
from extproc.core.device import Device
from extproc.core.sealing import ENTROPY
from extproc.core.session import Session
from extproc.core.session_record import dump, from_record, load, to_record
from extproc.sessions.store import Locks, SessionStore

# Seconds. New cookies come with the application's response, and that may take its time.
GRACE = 600
# In memory. Beyond either limit the oldest session is forgotten.
MOST = 5_000
MOST_BYTES = 64_000_000


class RotationGrace(Locks, Protocol):
    """Renewed sessions, for requests that still carry the cookies from before the refresh."""

    async def get(self, application: Application, session: Session, now: int) -> Session | None:
        """Give what a refresh in the last ten minutes made of this session; None if none did."""

    async def put(self, application: Application, session: Session, now: int) -> None:
        """Keep a renewed session for ten minutes."""


class SharedRotationGrace:
    """Renewed sessions in a store, for all processes.

    Sealed as any session record, but without index and tags: only the session's id leads to them.
    """

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    async def lock(self, key: bytes, owner: bytes, seconds: int, now: int) -> bool:
        return await self._store.lock(key, owner, seconds, now)

    async def unlock(self, key: bytes, owner: bytes) -> None:
        await self._store.unlock(key, owner)

    async def get(self, application: Application, session: Session, now: int) -> Session | None:
        record = await self._store.get(session.id.key, now)
        return from_record(application, session.id, record) if record is not None else None

    async def put(self, application: Application, session: Session, now: int) -> None:
        record = to_record(application, session, Device(), secrets.token_bytes(2 * ENTROPY))
        await self._store.put(
            replace(record, expires=min(now + GRACE, session.expires), index=b"", tags=())
        )


@dataclass(frozen=True, slots=True)
class _Renewed:
    """A renewed session as bytes, until a time; `touched` is its last use."""

    until: int
    touched: int
    data: bytes


class MemoryRotationGrace:
    """Renewed sessions in the memory of this process; other processes do not know them."""

    def __init__(self) -> None:
        self._renewed: dict[bytes, _Renewed] = {}
        self._bytes = 0

    async def lock(self, key: bytes, owner: bytes, seconds: int, now: int) -> bool:
        """Give the lock to every caller: one process refreshes a session once at a time anyway."""
        return True

    async def unlock(self, key: bytes, owner: bytes) -> None:
        """Do nothing: lock() keeps no record."""

    async def get(self, application: Application, session: Session, now: int) -> Session | None:
        renewed = self._renewed.get(session.id.key)
        if renewed is None or renewed.until <= now:
            return None
        return load(renewed.data, session.id, renewed.touched)

    async def put(self, application: Application, session: Session, now: int) -> None:
        self._forget(session.id.key)
        renewed = _Renewed(now + GRACE, session.touched, dump(session))
        self._renewed[session.id.key] = renewed
        self._bytes += len(renewed.data)
        while self._crowded or self._oldest.until <= now:
            self._forget(next(iter(self._renewed)))

    @property
    def _crowded(self) -> bool:
        return len(self._renewed) > MOST or self._bytes > MOST_BYTES

    @property
    def _oldest(self) -> _Renewed:
        return next(iter(self._renewed.values()))

    def _forget(self, key: bytes) -> None:
        renewed = self._renewed.pop(key, None)
        if renewed is not None:
            self._bytes -= len(renewed.data)
