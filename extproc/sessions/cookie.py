"""Sessions in cookies: the browser has all of it, and only tombstones say here that one is over
before its time.
"""

import hashlib
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from extproc.contract import MORE_COOKIES
from extproc.core.application import Application
from extproc.core.device import Device
from extproc.core.errors import SessionTooLarge, SignedOutMeanwhile
from extproc.core.http import Cookie, Request
from extproc.core.sealing import ENTROPY
from extproc.core.session import Session
from extproc.core.session_cookie import (
    data_cookies,
    left_over,
    read_session,
    session_cookies,
    used_cookie,
)
from extproc.core.session_record import Record
from extproc.sessions.interfaces import Revocations
from extproc.sessions.memory import MemoryRevocations
from extproc.sessions.rotation import MemoryRotationGrace, RotationGrace

MAX_SET = len(MORE_COOKIES)  # cookies that an application's answer can carry beside the assertion


class CookieSessions:
    """See Sessions. A late Set-Cookie, or a copy of the cookies, revives nothing that is buried.

    The newest generation of a session is marked where its end would be. An older one, from a copy
    or a browser that missed an answer, serves as long as its access token; then it is neither
    renewed (its refresh token is used up, which careful providers take for a theft) nor a reason to
    end anything.
    """

    def __init__(self, revocations: Revocations, successors: RotationGrace | None = None) -> None:
        self.revocations = revocations
        self._successors = successors or MemoryRotationGrace()

    def find_nowait(self, application: Application, request: Request, now: int) -> Session | None:
        session = read_session(application, request)
        if session is None:
            return None
        return _unless_over(
            session, self.revocations.revoked_before_nowait(session.keys(application.ring), now)
        )

    async def find(self, application: Application, request: Request, now: int) -> Session | None:
        session = read_session(application, request)
        if session is None:
            return None
        return _unless_over(
            session, await self.revocations.revoked_before(session.keys(application.ring), now)
        )

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
        if (
            await self.revocations.revoked_before(session.keys(application.ring), session.created)
            >= session.created
        ):
            raise SignedOutMeanwhile
        if replaces is not None:
            await self.end(replaces, session.created)
        return cookies

    def touch_cookies(
        self, application: Application, request: Request, session: Session, now: int
    ) -> tuple[Cookie, ...]:
        if session.outdated:
            with suppress(SessionTooLarge):  # it began when more was allowed, and ends with its key
                return self.renewed(application, request, replace(session, touched=now), now)
        used = used_cookie(application, session, now, secrets.token_bytes(ENTROPY))
        return (used, *left_over(application, request, session))[:MAX_SET]

    def renewed(
        self, application: Application, request: Request, session: Session, now: int
    ) -> tuple[Cookie, ...]:
        return data_cookies(application, request, session, now, secrets.token_bytes(ENTROPY))[
            :MAX_SET
        ]

    async def superseded(self, session: Session, now: int) -> bool:
        return (
            await self.revocations.revoked_before((_generation_key(session),), now)
            > session.generation
        )

    async def touch(self, application: Application, session: Session, now: int) -> None:
        """Nothing: the cookies of touch_cookies() say it."""

    async def lock(self, session: Session, owner: bytes, seconds: int, now: int) -> bool:
        return await self._successors.lock(session.id.key, owner, seconds, now)

    async def unlock(self, session: Session, owner: bytes) -> None:
        await self._successors.unlock(session.id.key, owner)

    async def load_again(
        self, application: Application, session: Session, now: int
    ) -> Session | None:
        successor = await self._successors.get(application, session, now)
        newer = successor is not None and successor.recency >= session.recency
        known = successor if successor is not None and newer else session
        return _unless_over(
            known, await self.revocations.revoked_before(known.keys(application.ring), now)
        )

    async def replace(
        self, application: Application, request: Request, session: Session, owner: bytes, now: int
    ) -> bool:
        # whether it fits
        data_cookies(application, request, session, now, secrets.token_bytes(ENTROPY))
        if await self.load_again(application, session, now) is None:
            return False
        await self._successors.put(application, session, now)
        await self.revocations.revoke_before(
            _generation_key(session), session.generation, session.expires
        )
        return True

    async def end(self, session: Session, now: int) -> None:
        await self.revocations.revoke_before(
            session.id.key, max(now, session.created), session.expires
        )

    async def end_tagged(self, tags: Sequence[bytes], now: int, until: int) -> int | None:
        for tag in tags:
            await self.revocations.revoke_before(tag, now, until)
        return None

    async def end_stored(self, tags: Sequence[bytes], now: int) -> int | None:
        """Nothing: what a store does not have can be ended by a mark only."""
        return None

    async def tagged(self, tags: Sequence[bytes], now: int) -> tuple[Record, ...] | None:
        return None

    async def delete_many(self, keys: Sequence[bytes]) -> None:
        """Nothing: there are no records."""

    async def count(self, now: int) -> int | None:
        return None

    @property
    def shared(self) -> bool:
        return not isinstance(self.revocations, MemoryRevocations)

    @property
    def missing(self) -> str | None:
        return self.revocations.missing

    async def start(self) -> None:
        await self.revocations.start()

    async def aclose(self) -> None:
        await self.revocations.aclose()


def _generation_key(session: Session) -> bytes:
    """Under which the newest generation of a session is marked."""
    return hashlib.sha256(b"generation " + session.id.key).digest()


def _unless_over(session: Session, buried_at: int) -> Session | None:
    return session if session.created > buried_at else None
