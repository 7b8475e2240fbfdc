"""Sessions in a store: the browser has an id and half of the key, the store has the record."""

import secrets
from collections.abc import Sequence
from contextlib import suppress

import trio

from extproc.core.application import Application
from extproc.core.device import Device
from extproc.core.errors import SignedOutMeanwhile, StoreUnavailable
from extproc.core.http import Cookie, Request
from extproc.core.sealing import ENTROPY
from extproc.core.session import Session, SessionId, only, session_ids
from extproc.core.session_cookie import left_over, session_cookie
from extproc.core.session_index import open_entry
from extproc.core.session_record import Record, from_record, to_record
from extproc.sessions.interfaces import Revocations, SessionStore

SEALING = 5  # seconds for writing a session with the first key
FORGETTING = 2.0  # seconds for deleting what could not begin
BEGINNING = 3600  # seconds: no login takes longer from the provider's answer to its session


class StoredSessions:
    """See Sessions."""

    def __init__(self, store: SessionStore) -> None:
        self.store = store

    @property
    def revocations(self) -> Revocations:
        return self.store

    def find_nowait(self, application: Application, request: Request, now: int) -> Session | None:
        known = session_ids(application, request)
        return only(
            _opened(application, each, self.store.get_nowait(each.key, now)) for each in known
        )

    async def find(self, application: Application, request: Request, now: int) -> Session | None:
        known = session_ids(application, request)
        return only(
            [_opened(application, each, await self.store.get(each.key, now)) for each in known]
        )

    def shown(self, application: Application, request: Request, now: int) -> bool:
        return False

    async def create(
        self,
        application: Application,
        request: Request,
        session: Session,
        device: Device,
        replaces: Session | None,
    ) -> tuple[Cookie, ...]:
        record = to_record(application, session, device, secrets.token_bytes(2 * ENTROPY))
        try:
            await self.store.put(record, replaces.id.key if replaces is not None else None)
            # its user may have been signed out between the provider's answer and this
            if (
                await self.store.revoked_before(session.keys(application.ring), session.created)
                >= session.created
            ):
                raise SignedOutMeanwhile
        except BaseException:
            # it may be there all the same: no browser has its id, so nobody would ever end it
            await self._forget(session)
            raise
        return (
            session_cookie(application, session, session.created),
            *left_over(application, request, session),
        )

    async def _forget(self, session: Session) -> None:
        with trio.move_on_after(FORGETTING, shield=True), suppress(StoreUnavailable):
            await self.store.delete(session.id.key)

    def touch_cookies(
        self, application: Application, request: Request, session: Session, now: int
    ) -> tuple[Cookie, ...]:
        return ()

    def renewed(
        self, application: Application, request: Request, session: Session, now: int
    ) -> tuple[Cookie, ...]:
        return ()

    async def superseded(self, session: Session, now: int) -> bool:
        return False

    async def touch(self, application: Application, session: Session, now: int) -> None:
        await self.store.touch(session.id.key, now)
        if session.outdated:
            await self._seal_again(application, session, now)

    async def _seal_again(self, application: Application, session: Session, now: int) -> None:
        """Only by the holder of its lock: who renews its tokens meanwhile seals it anew as well."""
        key, owner = session.id.key, secrets.token_bytes(16)
        if not await self.store.lock(key, owner, SEALING, now):
            return
        try:
            known = await self.load_again(application, session, now)
            if known is not None and known.outdated:
                await self._replace(application, known, owner, now)
        finally:
            await self.store.unlock(key, owner)

    async def lock(self, session: Session, owner: bytes, seconds: int, now: int) -> bool:
        return await self.store.lock(session.id.key, owner, seconds, now)

    async def unlock(self, session: Session, owner: bytes) -> None:
        await self.store.unlock(session.id.key, owner)

    async def load_again(
        self, application: Application, session: Session, now: int
    ) -> Session | None:
        return _opened(application, session.id, await self.store.get(session.id.key, now))

    async def replace(
        self, application: Application, request: Request, session: Session, owner: bytes, now: int
    ) -> bool:
        return await self._replace(application, session, owner, now)

    async def _replace(
        self, application: Application, session: Session, owner: bytes, now: int
    ) -> bool:
        before = await self.store.get(session.id.key, now)
        if before is None:
            return False
        entry = open_entry(application.ring, before.key, before.index)
        device = entry.device if entry is not None else Device()
        return await self.store.replace(
            to_record(application, session, device, secrets.token_bytes(2 * ENTROPY)), owner, now
        )

    async def end(self, session: Session, now: int) -> None:
        await self.store.delete(session.id.key)

    async def end_tagged(self, tags: Sequence[bytes], now: int, until: int) -> int | None:
        for tag in tags:
            await self.store.revoke_before(tag, now, min(until, now + BEGINNING))
        return await self.end_stored(tags, now)

    async def end_stored(self, tags: Sequence[bytes], now: int) -> int | None:
        # the tags of older keys first: a session that is just sealed anew loses them, after it got
        # those of the first
        return sum([await self.store.end(tag, now) for tag in reversed(tags)])

    async def tagged(self, tags: Sequence[bytes], now: int) -> tuple[Record, ...] | None:
        found = {record.key: record for tag in tags for record in await self.store.tagged(tag, now)}
        return tuple(found.values())

    async def delete_many(self, keys: Sequence[bytes]) -> None:
        for key in keys:
            await self.store.delete(key)

    async def count(self, now: int) -> int | None:
        return await self.store.count(now)

    @property
    def shared(self) -> bool:
        return True

    @property
    def missing(self) -> str | None:
        return self.store.missing

    async def start(self) -> None:
        await self.store.start()

    async def aclose(self) -> None:
        await self.store.aclose()


def _opened(
    application: Application, session_id: SessionId, record: Record | None
) -> Session | None:
    return from_record(application, session_id, record) if record is not None else None
