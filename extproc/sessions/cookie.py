"""Sessions in cookies: the browser holds the whole session, and the processor keeps revocations
only, for sessions that end before they expire.
"""

import hashlib
import secrets
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace

from extproc.contract import MORE_COOKIES
from extproc.core import revocation
from extproc.core.application import Application
from extproc.core.cookies import Cookie
from extproc.core.device import Device
from extproc.core.errors import SessionTooLarge, SignedOutMeanwhile
from extproc.core.http import Request
from extproc.core.sealing import ENTROPY
from extproc.core.session import Session, SessionId
from extproc.core.session_cookie import (
    data_cookies,
    left_over,
    read_session,
    session_cookies,
    used_cookie,
)
from extproc.core.session_record import Record
from extproc.core.session_selection import Selection
from extproc.sessions.interfaces import Sessions
from extproc.sessions.memory import MemoryRevocations
from extproc.sessions.rotation import MemoryRotationGrace, RotationGrace
from extproc.sessions.store import LISTED, Replaced, Revocations

# Cookies that an application's response can carry beside the assertion.
MAX_SET = len(MORE_COOKIES)
# Seconds by which the recorded end of the last session is ahead, so that not each login writes it.
RECORDED_AHEAD = 60
# The key of that record.
_LAST_END = hashlib.sha256(b"the end of the last session").digest()
# The key of a revocation of all sessions.
_EVERY_SESSION = hashlib.sha256(b"every session").digest()
# Seconds that it is kept, because no session lasts longer.
_LONGEST = 10 * 365 * 86400


class CookieSessions(Sessions):
    """Sessions whose cookies hold everything. Neither a late Set-Cookie nor a copy of the cookies
    revives a session that was revoked.

    The newest generation of a session is recorded among the revocations. An older one, from a copy
    or from a browser that missed a response, is valid as long as its access token. After that it is
    neither renewed (its refresh token is used up, and careful providers take its reuse for a theft)
    nor a reason to end anything.
    """

    def __init__(self, revocations: Revocations, grace: RotationGrace | None = None) -> None:
        """
        Args:
            revocations: of this process, or of a store that processes share.
            grace: results of refreshes; in the memory of this process unless it is given.
        """
        self.revocations = revocations
        self.locks = None
        self._grace = grace or MemoryRotationGrace()
        # the end of the last session that this process has recorded, in seconds since the epoch
        self._last_end = 0

    def find_nowait(self, application: Application, request: Request, now: int) -> Session | None:
        session = read_session(application, request)
        if session is None:
            return None
        keys = _keys(application, session)
        return _unless_revoked(session, self.revoked_at_nowait(keys, now))

    async def find(self, application: Application, request: Request, now: int) -> Session | None:
        session = read_session(application, request)
        if session is None:
            return None
        keys = _keys(application, session)
        return _unless_revoked(session, await self.revoked_at(keys, now))

    def shown(self, application: Application, request: Request, now: int) -> bool:
        session = read_session(application, request)
        return session is not None and now < session.expires

    async def create(
        self,
        application: Application,
        request: Request,
        session: Session,
        device: Device,
        replaces: Session | None,
    ) -> tuple[Cookie, ...]:
        cookies = session_cookies(
            application, request, session, session.created, secrets.token_bytes(ENTROPY)
        )
        keys = _keys(application, session)
        if await self.revoked_at(keys, session.created) >= session.begun:
            raise SignedOutMeanwhile
        await self._record_end(session)
        if replaces is not None:
            await self.end(replaces, session.created)
        return cookies

    async def _record_end(self, session: Session) -> None:
        """Record the end of a session for the revocations that may have to outlive it.

        What the settings say then may be shorter than what they say now.
        """
        if session.expires <= self._last_end:
            return
        end = session.expires + RECORDED_AHEAD
        await self.revocations.revoke_before(_LAST_END, revocation.written(end), end)
        # Of two logins at once, the one that ends sooner may be written later.
        self._last_end = max(self._last_end, end)

    async def with_ids(
        self, application: Application, ids: Sequence[SessionId], now: int
    ) -> tuple[Session, ...]:
        return ()

    def cookies_again(
        self, application: Application, request: Request, session: Session, now: int
    ) -> tuple[Cookie, ...]:
        """Make none: with_ids() finds no session."""
        return ()

    def touch_cookies(
        self, application: Application, request: Request, session: Session, now: int
    ) -> tuple[Cookie, ...]:
        if session.outdated:
            # A session from when more was allowed cannot be sealed again. It ends with its key.
            with suppress(SessionTooLarge):
                return self.renewed(application, request, replace(session, touched=now), now)
        used = used_cookie(application, session, now, secrets.token_bytes(ENTROPY))
        return (used, *left_over(application, request, session))[:MAX_SET]

    def renewed(
        self, application: Application, request: Request, session: Session, now: int
    ) -> tuple[Cookie, ...]:
        cookies = data_cookies(application, request, session, now, secrets.token_bytes(ENTROPY))
        return cookies[:MAX_SET]

    async def superseded(self, session: Session, now: int) -> bool:
        newest = await self.revocations.revoked_before((_generation_key(session),), now)
        return newest > session.generation

    async def touch(self, application: Application, session: Session, now: int) -> None:
        """Do nothing: the cookies of touch_cookies() record the last use."""

    async def lock(self, session: Session, owner: bytes, seconds: int, now: int) -> bool:
        return await self._grace.lock(session.id.key, owner, seconds, now)

    async def unlock(self, session: Session, owner: bytes) -> None:
        await self._grace.unlock(session.id.key, owner)

    async def load_again(
        self, application: Application, session: Session, now: int
    ) -> Session | None:
        current = session
        renewed = await self._grace.get(application, session, now)
        if renewed is not None and renewed.recency >= session.recency:
            current = renewed
        keys = _keys(application, current)
        return _unless_revoked(current, await self.revoked_at(keys, now))

    async def replace(
        self, application: Application, request: Request, session: Session, owner: bytes, now: int
    ) -> Replaced:
        # The cookies are made here only to raise SessionTooLarge before anything is kept.
        data_cookies(application, request, session, now, secrets.token_bytes(ENTROPY))
        if await self.load_again(application, session, now) is None:
            return Replaced.GONE
        await self._grace.put(application, session, now)
        await self.revocations.revoke_before(
            _generation_key(session), session.generation, session.expires
        )
        return Replaced.WRITTEN

    async def end(self, session: Session, now: int) -> None:
        # Of this session alone, which has to end even if a clock was ahead when it began.
        await self.revocations.revoke_before(
            session.id.key, max(revocation.written(now), session.begun), session.expires
        )

    async def end_tagged(self, tags: Sequence[bytes], now: float, until: int) -> int | None:
        if tags:
            last = revocation.read(await self.revocations.revoked_before((_LAST_END,), int(now)))
            # A mark may be lost where marks are in memory, this process's own number is not.
            until = max(until, self._last_end, -(-last // 1000))
        for tag in tags:
            await self.revoke(tag, now, until)
        return None

    async def end_selected(self, selection: Selection, now: float, until: int) -> int | None:
        return await self.end_tagged(selection.marks, now, until)

    async def end_everything(self, now: float) -> int | None:
        await self.revoke(_EVERY_SESSION, now, int(now) + _LONGEST)
        return None

    async def end_stored(
        self, tags: Sequence[bytes], now: int, spare: Collection[bytes] = ()
    ) -> int | None:
        """Do nothing: without a store, only a revocation ends a session."""
        return None

    async def tagged(
        self, tags: Sequence[bytes], now: int, limit: int = LISTED
    ) -> tuple[Record, ...] | None:
        return None

    async def delete_many(self, keys: Sequence[bytes]) -> None:
        """Do nothing: there are no records."""

    async def count(self, now: int) -> int | None:
        return None

    @property
    def shared(self) -> bool:
        return not isinstance(self.revocations, MemoryRevocations)


def _keys(application: Application, session: Session) -> tuple[bytes, ...]:
    """Give the keys of the revocations that end a session."""
    return (*session.keys(application.ring), _EVERY_SESSION)


def _generation_key(session: Session) -> bytes:
    """Give the key under which the newest generation of a session is recorded."""
    return hashlib.sha256(b"generation " + session.id.key).digest()


def _unless_revoked(session: Session, revoked_at: int) -> Session | None:
    return session if session.begun > revoked_at else None
