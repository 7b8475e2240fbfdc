"""What cookies of before a refresh are good for, where whole sessions are in cookies: for ten
minutes, the result of that refresh.

Browsers send several requests at once, and only the first answer brings the new cookies. Their old
refresh token must not be used again: careful providers take that for a theft. So the result is kept
for those that come late: in the store of the tombstones, for all processes, or in the memory of
this one.
"""

import secrets
from dataclasses import replace
from typing import Protocol

from extproc.core.application import Application
from extproc.core.device import Device
from extproc.core.sealing import ENTROPY
from extproc.core.session import Session
from extproc.core.session_record import dump, from_record, load, to_record
from extproc.sessions.interfaces import SessionStore

GRACE = 600  # seconds: new cookies come with the application's answer, and that may take its time
MOST, MOST_BYTES = 5_000, 64_000_000  # in memory; beyond them the oldest goes


class RotationGrace(Protocol):
    """lock and unlock as a SessionStore has them."""

    async def lock(self, key: bytes, owner: bytes, seconds: int, now: int) -> bool: ...

    async def unlock(self, key: bytes, owner: bytes) -> None: ...

    async def get(self, application: Application, session: Session, now: int) -> Session | None:
        """What became of this session in the last ten minutes, if anything did."""

    async def put(self, application: Application, session: Session, now: int) -> None:
        """Keeps it for ten minutes."""


class SharedRotationGrace:
    """In a store, sealed like any record, without an index: nobody finds it but by the session's
    id.
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


class MemoryRotationGrace:
    """In memory: another process knows nothing of them."""

    def __init__(self) -> None:
        # until when, the last use, the session as it is dumped
        self._known: dict[bytes, tuple[int, int, bytes]] = {}
        self._bytes = 0

    async def lock(self, key: bytes, owner: bytes, seconds: int, now: int) -> bool:
        return True  # within a process there is one refresh of a session at a time

    async def unlock(self, key: bytes, owner: bytes) -> None:
        """Nothing: lock() takes none."""

    async def get(self, application: Application, session: Session, now: int) -> Session | None:
        until, touched, known = self._known.get(session.id.key, (0, 0, b""))
        return load(known, session.id, touched) if until > now else None

    async def put(self, application: Application, session: Session, now: int) -> None:
        self._forget(session.id.key)
        known = dump(session)
        self._known[session.id.key] = (now + GRACE, session.touched, known)
        self._bytes += len(known)
        while (
            len(self._known) > MOST
            or self._bytes > MOST_BYTES
            or next(iter(self._known.values()))[0] <= now
        ):
            self._forget(next(iter(self._known)))

    def _forget(self, key: bytes) -> None:
        if key in self._known:
            self._bytes -= len(self._known.pop(key)[2])
