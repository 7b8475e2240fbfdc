"""NewSessions: how the session of a login is kept, beside other logins and sessions."""

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import trio

from extproc import telemetry
from extproc.core.application import Application
from extproc.core.cookies import Cookie
from extproc.core.decisions import RedeemCode
from extproc.core.device import Device
from extproc.core.errors import SignedOutMeanwhile, StoreUnavailable
from extproc.core.http import Request
from extproc.core.oidc.authorization import PendingAuthorization
from extproc.core.session import Session
from extproc.core.sibling_sessions import Siblings, compared
from extproc.relying_party.competing_logins import CompetingLogins
from extproc.relying_party.session_limit import end_surplus
from extproc.sessions.interfaces import Sessions

# Seconds for deleting the record of a session that no browser gets.
FORGETTING = 2.0


@dataclass(frozen=True, slots=True)
class Kept:
    """The session that a login ends with, and the cookies by which the browser has it.

    new: whether this login has made it.
    """

    session: Session
    cookies: tuple[Cookie, ...]
    new: bool = True


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
    ) -> Kept | None:
        """Keep the session, or take over the one that another login of this browser has made.

        Logins of one browser that cross each other leave one session: a login that finds that of
        another gives the browser the same cookies, so that it does not matter which answer the
        browser receives last.

        Returns:
            None if another login of this browser ended since the callback came.

        Raises:
            Refusal: What Sessions.create raises.
        """
        others = self._competing.others(application, request, step.pending, int(self._clock()))
        async with self._competing.turn(application, session, others):
            before = await self._compared(
                application, session, step, others, await self._held(step, application)
            )
            if before.standing is not None:
                return self._again(application, request, before.standing)
            if before.overtaken:
                return None
            kept = await self._create(application, request, session, step, others)
            if kept is None:
                return None
            return await self._alone(application, request, step, others, before.ended, kept)

    async def _alone(
        self,
        application: Application,
        request: Request,
        step: RedeemCode,
        others: Sequence[PendingAuthorization],
        replaced: Sequence[Session],
        kept: Kept,
    ) -> Kept | None:
        """End the sessions that this one comes in place of.

        Another login that knew of none waited for no turn. If its session is there by now, it
        stays, and the one of this login ends. A failure is logged, because this login is complete.
        """
        try:
            await self._end(replaced)
            after = await self._compared(application, kept.session, step, others)
            if after.standing is None and not after.overtaken:
                await self._end(after.ended)
                return kept
            await self._end((kept.session,))
            return self._again(application, request, after.standing)
        except StoreUnavailable as error:
            _log_not_overtaken(error)
            return kept
        except BaseException:
            # No browser gets the cookies of this session, so no user could ever end it.
            with trio.move_on_after(FORGETTING, shield=True), suppress(StoreUnavailable):
                await self._end((kept.session,))
            raise

    async def _held(self, step: RedeemCode, application: Application) -> Session | None:
        """Load the session of the callback's request again, if it began after the login.

        Where sessions are in cookies there is none, because no other login can take it over.
        """
        session = step.signed_in
        if session is None or session.begun < step.pending.begun or self._sessions.locks is None:
            return None
        return await self._sessions.load_again(application, session, int(self._clock()))

    async def _compared(
        self,
        application: Application,
        session: Session,
        step: RedeemCode,
        others: Sequence[PendingAuthorization],
        held: Session | None = None,
    ) -> Siblings:
        found = await self._competing.sessions_of(application, others)
        now = int(self._clock())
        return compared(application, step.pending, session, found, held, now)

    def _again(
        self, application: Application, request: Request, standing: Session | None
    ) -> Kept | None:
        """The cookies of a session that another login made."""
        if standing is None:
            return None
        now = int(self._clock())
        cookies = self._sessions.cookies_again(application, request, standing, now)
        return Kept(standing, cookies, new=False)

    async def _create(
        self,
        application: Application,
        request: Request,
        session: Session,
        step: RedeemCode,
        others: Sequence[PendingAuthorization],
    ) -> Kept | None:
        """Create the session, unless another login of this browser ended since the callback came.

        Of logins of several users that end at the same moment at least one is kept, if it can be:
        each looks for the marks of the others before it leaves its own, and each ends only the
        sessions of logins that began before it.
        """
        own = step.pending
        moment = self._clock()
        now = int(moment)
        if await self._competing.is_overtaken(own, session, now):
            return None
        await self._competing.overtake(others)
        earlier = tuple(other.store_key for other in others if other.order < own.order)
        await self._sessions.end_tagged(earlier, moment, session.expires)
        device = Device.of(request, self._trusted_hops)
        try:
            cookies = await self._sessions.create(
                application, request, session, device, step.signed_in
            )
        except SignedOutMeanwhile:
            if await self._competing.is_overtaken(own, session, now):
                return None
            raise
        return Kept(session, cookies)

    async def _end(self, sessions: Iterable[Session]) -> None:
        for session in sessions:
            await self._sessions.end(session, int(self._clock()))

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
            _log_not_overtaken(error)
        await end_surplus(self._sessions, application, session, int(self._clock()))


def _log_not_overtaken(error: StoreUnavailable) -> None:
    telemetry.log(logging.WARNING, "others_not_overtaken", reason=error.reason, detail=error.detail)
