"""Sessions in a store: the browser holds an id, which is half of the key, and the store holds the
record.
"""

import secrets
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial

import trio

from extproc.concurrency import run_all
from extproc.core.application import Application
from extproc.core.cookies import Cookie
from extproc.core.device import Device
from extproc.core.errors import SignedOutMeanwhile, StoreUnavailable
from extproc.core.http import Request
from extproc.core.sealing import ENTROPY
from extproc.core.session import Session, SessionId, only, session_ids
from extproc.core.session_cookie import left_over, session_cookie
from extproc.core.session_index import open_entry
from extproc.core.session_record import Record, from_record, has_its_tags, to_record
from extproc.core.session_selection import Selection
from extproc.sessions.interfaces import LOGIN_COMPLETES_WITHIN, Sessions
from extproc.sessions.store import LISTED, Page, Replaced, SessionStore

# Seconds of the lock under which a session is sealed again with the first key.
SEALING = 5
# Seconds for deleting the record of a session that could not begin.
FORGETTING = 2.0
# Records whose index is opened at a time: a few milliseconds, in which no other request is served.
LOOKED_INTO = 200
# Records that are deleted at the same time, so that a store can make one step of them.
DELETED_TOGETHER = 50


class StoredSessions(Sessions):
    """Sessions as records of a store."""

    def __init__(self, store: SessionStore) -> None:
        self.store = store
        self.revocations = store
        self.locks = store

    async def record(self, key: bytes, now: int) -> Record | None:
        """Read the record of a session by its key, without its cookie."""
        return await self.store.get(key, now)

    async def page(self, after: bytes | None, limit: int, now: int) -> Page:
        """List the records of all sessions, page by page, as SessionStore.page()."""
        return await self.store.page(after, limit, now)

    def find_nowait(self, application: Application, request: Request, now: int) -> Session | None:
        return only(
            _opened(application, session_id, self.store.get_nowait(session_id.key, now))
            for session_id in session_ids(application, request)
        )

    async def find(self, application: Application, request: Request, now: int) -> Session | None:
        return only(
            [
                await self._read(application, session_id, now)
                for session_id in session_ids(application, request)
            ]
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
            # The user may have been signed out since the provider's response. Checked after the
            # write, because end_tagged() revokes first and then deletes: one of the two sees the
            # other.
            keys = session.keys(application.ring)
            if await self.revoked_at(keys, session.created) >= session.begun:
                raise SignedOutMeanwhile
        except BaseException:
            # The store may have the record although put() failed. No browser has its id, so no
            # user could ever end it.
            await self._forget(session)
            raise
        return (
            session_cookie(application, session, session.created),
            *left_over(application, request, session),
        )

    async def with_ids(
        self, application: Application, ids: Sequence[SessionId], now: int
    ) -> tuple[Session, ...]:
        found = await run_all(*(partial(self._read, application, one, now) for one in ids))
        return tuple(session for session in found if session is not None)

    def cookies_again(
        self, application: Application, request: Request, session: Session, now: int
    ) -> tuple[Cookie, ...]:
        return (
            session_cookie(application, session, now),
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
        """Seal a session with the first key, unless another owner has its lock.

        That owner renews the tokens, which seals the session again as well.
        """
        key, owner = session.id.key, secrets.token_bytes(16)
        if not await self.store.lock(key, owner, SEALING, now):
            return
        try:
            current = await self.load_again(application, session, now)
            if current is not None and current.outdated:
                await self._replace(application, current, owner, now)
        finally:
            await self.store.unlock(key, owner)

    async def lock(self, session: Session, owner: bytes, seconds: int, now: int) -> bool:
        return await self.store.lock(session.id.key, owner, seconds, now)

    async def unlock(self, session: Session, owner: bytes) -> None:
        await self.store.unlock(session.id.key, owner)

    async def load_again(
        self, application: Application, session: Session, now: int
    ) -> Session | None:
        return await self._read(application, session.id, now)

    async def _read(
        self, application: Application, session_id: SessionId, now: int
    ) -> Session | None:
        return _opened(application, session_id, await self.store.get(session_id.key, now))

    async def replace(
        self, application: Application, request: Request, session: Session, owner: bytes, now: int
    ) -> Replaced:
        return await self._replace(application, session, owner, now)

    async def _replace(
        self, application: Application, session: Session, owner: bytes, now: int
    ) -> Replaced:
        earlier = await self.store.get(session.id.key, now)
        if earlier is None:
            return Replaced.GONE
        entry = open_entry(application.ring, earlier.key, earlier.index)
        device = entry.device if entry is not None else Device()
        record = to_record(application, session, device, secrets.token_bytes(2 * ENTROPY))
        return await self.store.replace(record, owner, now)

    async def end(self, session: Session, now: int) -> None:
        await self.store.delete(session.id.key)

    async def end_tagged(self, tags: Sequence[bytes], now: float, until: int) -> int | None:
        await self._stop_logins(tags, now, until)
        return await self.end_stored(tags, int(now))

    async def end_selected(self, selection: Selection, now: float, until: int) -> int | None:
        await self._stop_logins(selection.marks, now, until)
        # The tags of older keys first, see end_stored().
        return sum(
            [await self._end_tagged(tag, selection, int(now)) for tag in reversed(selection.tags)]
        )

    async def _end_tagged(self, tag: bytes, selection: Selection, now: int) -> int:
        """End the sessions of a selection that carry one of its tags, however many others do."""
        ended = 0
        after: bytes | None = None
        while True:
            page = await self.store.tagged_page(tag, after, LOOKED_INTO, now)
            keys = [record.key for record in page.records if selection.has(record)]
            await self.delete_many(keys)
            ended += len(keys)
            after = page.after
            if after is None:
                return ended

    async def _stop_logins(self, keys: Sequence[bytes], now: float, until: int) -> None:
        """Revoke the sessions of logins that end after this."""
        for key in keys:
            await self.revoke(key, now, min(until, int(now) + LOGIN_COMPLETES_WITHIN))

    async def end_everything(self, now: float) -> int | None:
        ended = 0
        after: bytes | None = None
        while True:
            # Redis walks through all keys of a database: its first step, made again and again,
            # would never get past keys that are no sessions.
            page = await self.store.page(after, LOOKED_INTO, int(now))
            await self.delete_many([record.key for record in page.records])
            ended += len(page.records)
            after = page.after
            if after is None:
                return ended

    async def end_stored(
        self, tags: Sequence[bytes], now: int, spare: Collection[bytes] = ()
    ) -> int | None:
        # The tags of older keys first: a session that is sealed again at this moment gets the tag
        # of the first key before it loses theirs.
        return sum([await self.store.end(tag, now, spare) for tag in reversed(tags)])

    async def tagged(
        self, tags: Sequence[bytes], now: int, limit: int = LISTED
    ) -> tuple[Record, ...] | None:
        records = {
            record.key: record
            for tag in tags
            for record in await self.store.tagged(tag, now, limit)
        }
        latest_first = sorted(records.values(), key=lambda record: record.touched, reverse=True)
        return tuple(latest_first[:limit])

    async def delete_many(self, keys: Sequence[bytes]) -> None:
        for start in range(0, len(keys), DELETED_TOGETHER):
            some = keys[start : start + DELETED_TOGETHER]
            await run_all(*(partial(self.store.delete, key) for key in some))

    async def count(self, now: int) -> int | None:
        return await self.store.count(now)

    @property
    def shared(self) -> bool:
        return True


def _opened(
    application: Application, session_id: SessionId, record: Record | None
) -> Session | None:
    if record is None:
        return None
    session = from_record(application, session_id, record)
    if session is None or not has_its_tags(application, session, record):
        return None
    return session
