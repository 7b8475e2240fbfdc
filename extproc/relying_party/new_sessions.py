"""NewSessions: how the session of a login is kept, beside other logins and sessions."""

import logging
from collections.abc import Callable

from extproc import telemetry
from extproc.core.application import Application
from extproc.core.decisions import RedeemCode
from extproc.core.device import Device
from extproc.core.errors import SignedOutMeanwhile, StoreUnavailable
from extproc.core.http import Cookie, Request
from extproc.core.session import Session
from extproc.relying_party.competing_logins import CompetingLogins
from extproc.relying_party.session_limit import end_surplus
from extproc.sessions.interfaces import Sessions


class NewSessions:
    """Keeps the sessions of logins.

    Args:
        sessions: Where sessions are kept.
        clock: Returns the time, in seconds since the epoch, to the millisecond.
        trusted_hops: How many proxies before Envoy are trusted for the client's address.
    """

    def __init__(self, sessions: Sessions, clock: Callable[[], float], trusted_hops: int) -> None:
        self._sessions = sessions
        self._clock = clock
        self._trusted_hops = trusted_hops
        self._competing = CompetingLogins(sessions, clock)

    async def keep(
        self, application: Application, request: Request, session: Session, step: RedeemCode
    ) -> tuple[Cookie, ...] | None:
        """Keep the session and return its cookies; None if another login of this browser ended
        since the callback came.

        Of logins that end at the same moment at least one is kept, if it can be: each looks for
        the marks of the others before it leaves its own, and each ends only the sessions of logins
        that began before it. Raises what Sessions.create raises.
        """
        own = step.pending
        moment = self._clock()
        now = int(moment)
        if await self._competing.is_overtaken(own, session, now):
            return None
        others = self._competing.others(application, request, own, now)
        await self._competing.overtake(others)
        earlier = tuple(other.store_key for other in others if other.order < own.order)
        await self._sessions.end_tagged(earlier, moment, session.expires)
        device = Device.of(request, self._trusted_hops)
        try:
            return await self._sessions.create(
                application, request, session, device, step.signed_in
            )
        except SignedOutMeanwhile:
            if await self._competing.is_overtaken(own, session, now):
                return None
            raise

    async def end_others(
        self, application: Application, request: Request, session: Session, step: RedeemCode
    ) -> None:
        """Overtake the logins whose callback came while the session was written, and end the
        user's surplus sessions. A failure is logged, because this login is complete without it.
        """
        try:
            others = self._competing.others(application, request, step.pending, int(self._clock()))
            await self._competing.overtake(others)
        except StoreUnavailable as error:
            telemetry.log(
                logging.WARNING, "others_not_overtaken", reason=error.reason, detail=error.detail
            )
        await end_surplus(self._sessions, application, session, int(self._clock()))
