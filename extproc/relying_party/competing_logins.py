"""CompetingLogins: the logins that one browser has under way at the same application.

A browser may begin several, in several tabs. A login that ends leaves a mark, with the time, for
each of the others. A callback that came before that mark keeps no session (`overtaken`); a callback
that comes later replaces the session.
"""

from collections.abc import Callable, Iterable

from extproc.core.application import Application
from extproc.core.errors import SignedOutMeanwhile
from extproc.core.http import Request
from extproc.core.login import under_way
from extproc.core.oidc.authorization import PendingAuthorization
from extproc.core.session import Session
from extproc.sessions.interfaces import Sessions


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
