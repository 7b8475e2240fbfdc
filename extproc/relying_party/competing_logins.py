"""CompetingLogins: the logins that one browser has under way at the same application.

A browser may begin several, in several tabs. A login that ends leaves a mark, with the time, for
each of the others. A callback that came before that mark keeps no session (`overtaken`). A callback
that comes later takes over the session that is there, or replaces it.
"""

import hashlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress

import trio

from extproc import telemetry
from extproc.core.application import Application
from extproc.core.errors import SignedOutMeanwhile, StoreUnavailable
from extproc.core.http import Request
from extproc.core.login import under_way
from extproc.core.oidc.authorization import PendingAuthorization
from extproc.core.session import Session, SessionId
from extproc.core.session_index import subject_tags
from extproc.sessions.interfaces import Sessions
from extproc.sessions.store import Locks

# Seconds of a turn if its process never gives it up, and how long a login waits for its turn: for
# longer than that, so that a process that died costs no second session.
TURN = 5
PATIENCE = 6.0
# Seconds for giving a turn up.
RELEASE = 2.0
# Seconds between two tries, which grow.
FIRST_PAUSE = 0.01
LONGEST_PAUSE = 0.2


class CompetingLogins:
    """Marks in the store: when another login of the same browser ended.

    Args:
        sessions: Where the marks are kept.
        clock: Returns the time, in seconds since the epoch, to the millisecond.
    """

    def __init__(self, sessions: Sessions, clock: Callable[[], float]) -> None:
        self._sessions = sessions
        self._clock = clock

    def others(
        self, application: Application, request: Request, own: PendingAuthorization, now: int
    ) -> list[PendingAuthorization]:
        """Return the other logins that this browser began at the application."""
        logins = under_way(application, request, now)
        return [login for login in logins if login.secret != own.secret]

    async def sessions_of(
        self, application: Application, logins: Iterable[PendingAuthorization]
    ) -> Sequence[Session]:
        """Return the sessions that logins have made; none where sessions are in cookies."""
        ids = [SessionId.of(login.session_entropy) for login in logins]
        if not ids:
            return ()
        return await self._sessions.with_ids(application, ids, int(self._clock()))

    @asynccontextmanager
    async def turn(
        self, application: Application, session: Session, others: Sequence[object]
    ) -> AsyncIterator[None]:
        """Wait until no other login of the same user ends at the application, in any process.

        Two logins that end at the same moment would otherwise both find no session of the other's.
        A login waits only if its browser has others under way, and after PATIENCE it goes on.
        """
        locks = self._sessions.locks
        if locks is None or not others:
            yield
            return
        key, owner = _turn_key(application, session), secrets.token_bytes(16)
        try:
            await self._wait(locks, key, owner)
            yield
        finally:
            # Released whatever happens: after an error it is unknown whether the lock was given.
            with trio.move_on_after(RELEASE, shield=True), suppress(StoreUnavailable):
                await locks.unlock(key, owner)

    async def _wait(self, locks: Locks, key: bytes, owner: bytes) -> None:
        left = trio.current_effective_deadline() - trio.current_time()
        pause = FIRST_PAUSE
        # Half of what is left: the login has to end as well.
        with trio.move_on_after(max(0, min(PATIENCE, left / 2))):
            while not await locks.lock(key, owner, TURN, int(self._clock())):
                await trio.sleep(pause)
                pause = min(pause * 1.5, LONGEST_PAUSE)
            return
        telemetry.log(logging.INFO, "login_without_its_turn")

    async def is_overtaken(self, own: PendingAuthorization, session: Session, now: int) -> bool:
        """Return whether another login of this browser ended since the callback came.

        Raises:
            SignedOutMeanwhile: Another login did end, and then the user signed out.
        """
        settled = await self._sessions.revoked_at((own.settled_key,), now)
        if settled < session.begun:
            return False
        if await self._sessions.revoked_at((own.store_key,), now) > settled:
            raise SignedOutMeanwhile
        return True

    async def overtake(self, others: Iterable[PendingAuthorization]) -> None:
        """Leave the mark that makes each of these logins keep no session when it ends."""
        now = self._clock()
        for other in others:
            await self._sessions.revoke(other.settled_key, now, other.forgotten)


def _turn_key(application: Application, session: Session) -> bytes:
    tag = subject_tags(application.ring, session.issuer, session.subject)[0]
    return hashlib.sha256(b"turn " + tag + application.name.encode()).digest()
