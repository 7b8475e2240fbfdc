"""RelyingParty: turns each Step into an Answer, using the provider, the session store and the core.

`quick` answers on the event loop what needs no waiting; `perform` does the rest in trio, under the
deadline that the caller set.
"""

import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar, assert_never

from extproc import telemetry
from extproc.core.application import Application
from extproc.core.decide import decide
from extproc.core.decisions import (
    Answer,
    BackChannelLogout,
    Continue,
    Decision,
    EndListedSessions,
    EndSession,
    FrontChannelLogout,
    ListSessions,
    LoadSession,
    ReadBody,
    RedeemCode,
    Refresh,
    Respond,
    StartLogin,
    Step,
)
from extproc.core.errors import (
    LoginRequired,
    Misdirected,
    Overloaded,
    Refusal,
    SessionEnded,
    StoreUnavailable,
)
from extproc.core.http import Request
from extproc.core.login import authorization_url, crowded_out, login_cookie
from extproc.core.oidc.authorization import ATTEMPT_BYTES, PendingAuthorization
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.core.provider_logout import back_channel, is_back_channel
from extproc.core.refusals import refuse
from extproc.core.sealing import ENTROPY
from extproc.core.session import Session
from extproc.metrics import Metrics
from extproc.provider.client import Provider
from extproc.relying_party.login import CodeRedemption
from extproc.relying_party.logout import Logout
from extproc.relying_party.own_sessions import SelfService
from extproc.relying_party.refresh import TokenRefresh
from extproc.sessions.interfaces import Sessions, WouldBlock

Clock = Callable[[], float]
D = TypeVar("D", bound=Decision)


class RelyingParty:
    """The relying party of every application. `providers` by application name; trusted_hops: see
    Device.
    """

    def __init__(
        self,
        applications: Mapping[str, Application],
        providers: Mapping[str, Provider],
        sessions: Sessions,
        clock: Clock = time.time,
        trusted_hops: int = 0,
        metrics: Metrics | None = None,
    ) -> None:
        self._applications = applications
        self._providers = providers
        self._sessions = sessions
        self._clock = clock
        self._redeeming = CodeRedemption(sessions, self.now, trusted_hops)
        self._refreshing = TokenRefresh(sessions, self.now, metrics)
        self._self_service = SelfService(sessions, self.now, trusted_hops)
        self._ending = Logout(applications, providers, sessions, self.now)

    def now(self) -> int:
        return int(self._clock())

    def application(self, request: Request) -> Application:
        """Raises Misdirected for a name that no application has: Envoy's configuration is of other
        settings.
        """
        try:
            return self._applications[request.application]
        except KeyError:
            raise Misdirected(
                f"no application {request.application[:80]!r} in the settings"
            ) from None

    def provider(self, request: Request) -> Provider:
        return self._providers[request.application]

    # -- the inline lane: on the event loop, without waiting ---------------------------------------

    def decide(self, request: Request) -> Decision | ReadBody:
        """Raises Refusal. A session that the store cannot give at once is a LoadSession."""
        application, now = self.application(request), self.now()
        if is_back_channel(application, request):
            return back_channel(application, request)
        try:
            session = self._sessions.find_nowait(application, request, now)
        except WouldBlock:
            return LoadSession()
        return self._decided(application, request, session)

    def unrefreshed(self, request: Request, step: Refresh) -> Answer:
        """The answer where there is no room for a refresh. Raises Refusal."""
        application = self.application(request)
        decision = decide(application, request, step.session, self.now(), may_refresh=False)
        if not isinstance(decision, Continue | Respond):
            raise Overloaded
        return self._noted(application, request, step.session, decision)

    def quick(self, request: Request, step: Step) -> Answer | None:
        """The answer to a step whose inputs are at hand, or None: then `perform`."""
        if (
            isinstance(step, StartLogin)
            and (metadata := self.provider(request).metadata_nowait()) is not None
        ):
            return self._authenticate(request, step, metadata)
        return None

    def refuse(self, request: Request, error: Refusal, step: Step | None = None) -> Respond:
        """The answer to a refusal that was met in a step, or before any step."""
        return refuse(self._applications.get(request.application), request, error, step)

    # -- the held lane: in trio --------------------------------------------------------------------

    async def perform(self, request: Request, step: Step) -> Answer:
        """Carries out a step. Raises Refusal; cancelled when the client leaves."""
        match step:
            case StartLogin():
                return self._authenticate(request, step, await self.provider(request).metadata())
            case RedeemCode():
                return await self._redeeming.redeem(
                    self.application(request), self.provider(request), request, step
                )
            case LoadSession():
                found = await self.look_up(request)
                return (
                    found
                    if isinstance(found, Continue | Respond)
                    else await self.perform(request, found)
                )
            case Refresh():
                return await self._refresh(request, step)
            case EndSession() | BackChannelLogout() | FrontChannelLogout():
                return await self._ending.perform(self.application(request), request, step)
            case ListSessions() | EndListedSessions():
                return await self._self_service.perform(self.application(request), request, step)
            case _:
                assert_never(step)

    async def touch(self, request: Request, session: Session) -> None:
        """Writes down that a session is in use; a miss costs nothing but idle time."""
        try:
            with telemetry.span("store touch"):
                await self._sessions.touch(self.application(request), session, self.now())
        except Refusal as error:
            telemetry.log(logging.WARNING, "touch_failed", reason=error.reason, detail=error.detail)

    async def lives(self, name: str, session: Session) -> bool:
        """Whether a session would still serve a request of that application. Raises Refusal."""
        application = self._applications[name]
        found = await self._sessions.load_again(application, session, self.now())
        now = self.now()
        return (
            found is not None
            and found.fresh(application, now)
            and found.sufficient(application, now)
        )

    def _decided(
        self, application: Application, request: Request, session: Session | None
    ) -> Decision:
        may_refresh = session is None or not self._refreshing.backing_off(session)
        decision = decide(application, request, session, self.now(), may_refresh=may_refresh)
        return self._noted(application, request, session, decision)

    def _noted(
        self, application: Application, request: Request, session: Session | None, decision: D
    ) -> D | Continue:
        """The same decision, with the last use written down in the browser, where sessions are kept
        there.
        """
        if session is None or not isinstance(decision, Continue) or decision.touch is None:
            return decision
        cookies = self._sessions.touch_cookies(application, request, session, self.now())
        return (
            replace(decision, set_cookies=decision.set_cookies + cookies, touch=None)
            if cookies
            else decision
        )

    def _authenticate(
        self, request: Request, step: StartLogin, metadata: ProviderMetadata
    ) -> Respond:
        application = self.application(request)
        pending = PendingAuthorization(
            secrets.token_bytes(ATTEMPT_BYTES),
            application.client.issuer,
            self.now(),
            step.return_to,
            telemetry.current(),
        )
        cookie = login_cookie(application, pending, secrets.token_bytes(ENTROPY))
        dropped = tuple(
            old for old in crowded_out(application, request, cookie) if old not in step.expired
        )
        return Respond(
            303,
            "login_started",
            location=authorization_url(application, metadata, pending),
            cookies=(cookie, *step.expired, *dropped),
        )

    async def look_up(self, request: Request) -> Decision:
        """What decide() says of the session that the store could not give at once. Raises
        Refusal.
        """
        application = self.application(request)
        session = None
        try:
            with telemetry.span("store get"):
                session = await self._sessions.find(application, request, self.now())
        except StoreUnavailable as error:
            # what needs no login needs no store either: it goes on, without identity
            if not request.public:
                raise
            telemetry.log(
                logging.WARNING, "session_unknown", reason=error.reason, detail=error.detail
            )
        return self._decided(application, request, session)

    async def _refresh(self, request: Request, step: Refresh) -> Answer:
        application = self.application(request)
        session = await self._refreshing.refresh(
            application, self.provider(request), request, step.session
        )
        try:
            decision = decide(application, request, session, self.now(), may_refresh=False)
        except LoginRequired:
            if session is None:
                raise SessionEnded from None
            raise
        if not isinstance(decision, Continue | Respond):
            return await self.perform(request, decision)
        if session is None or session == step.session or not isinstance(decision, Continue):
            return self._noted(application, request, session, decision)
        cookies = self._sessions.renewed(application, request, session, self.now())
        return replace(decision, set_cookies=decision.set_cookies + cookies)
