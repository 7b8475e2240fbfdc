"""RelyingParty: hands each Step to the module that carries it out, and returns the Answer.

`decide` and `quick` run on the event loop and never wait; `look_up` and `perform` run in trio under
the deadline that the caller set.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar, assert_never

from extproc import telemetry
from extproc.core.application import Application
from extproc.core.bearer import presented
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
    VerifyAccessToken,
)
from extproc.core.errors import (
    LoginRequired,
    Overloaded,
    Refusal,
    SessionEnded,
    StoreUnavailable,
)
from extproc.core.http import Request
from extproc.core.oidc.logout_token import check_unsigned
from extproc.core.provider_logout import back_channel, is_back_channel, posted
from extproc.core.refusals import refuse
from extproc.core.session import Session
from extproc.core.session_access import missing
from extproc.metrics import Metrics
from extproc.provider.client import Provider
from extproc.relying_party.api_callers import ApiCallers
from extproc.relying_party.login import CodeRedemption, start_login
from extproc.relying_party.logout import Logout
from extproc.relying_party.own_sessions import OwnSessions
from extproc.relying_party.provider_logout import ProviderLogout
from extproc.relying_party.refresh import TokenRefresh
from extproc.relying_party.routed_applications import RoutedApplications
from extproc.sessions.interfaces import Sessions
from extproc.sessions.store import WouldBlock

Clock = Callable[[], float]
D = TypeVar("D", bound=Decision)


class RelyingParty:
    """The relying party of every application.

    Args:
        applications: By name.
        providers: By application name.
        sessions: Where sessions are kept.
        clock: Returns the time, in seconds since the epoch, to the millisecond.
        trusted_hops: How many proxies before Envoy are trusted for the client's address.
        metrics: Where refreshes are counted; default: nowhere.
        token_providers: By their names in the settings, for access tokens of API callers.
    """

    def __init__(
        self,
        applications: Mapping[str, Application],
        providers: Mapping[str, Provider],
        sessions: Sessions,
        clock: Clock = time.time,
        trusted_hops: int = 0,
        metrics: Metrics | None = None,
        token_providers: Mapping[str, Provider] | None = None,
    ) -> None:
        self._applications = applications
        self._routed = RoutedApplications(applications)
        self._providers = providers
        self._sessions = sessions
        self._clock = clock
        self._redemption = CodeRedemption(sessions, clock, trusted_hops)
        self._token_refresh = TokenRefresh(sessions, self.now, metrics)
        self._api_callers = ApiCallers(token_providers or {}, clock, trusted_hops)
        self._own_sessions = OwnSessions(sessions, clock, trusted_hops)
        self._logout = Logout(applications, providers, sessions, clock)
        self._provider_logout = ProviderLogout(providers, sessions, clock)

    def now(self) -> int:
        """Return the time, in whole seconds since the epoch."""
        return int(self._clock())

    def application(self, request: Request) -> Application:
        """Return the application that Envoy's route names.

        Raises:
            Misdirected: The settings have no such application, or another one of its name, because
                Envoy's configuration was generated from other settings.
            AccessDiffers: It was generated from other rules.
        """
        return self._routed.application(request)

    def provider(self, request: Request) -> Provider:
        """Return the provider of the request's application."""
        return self._providers[request.application]

    def provider_of(self, request: Request, step: Step) -> str:
        """Return the name of the provider whose part of the limits a step takes."""
        if isinstance(step, VerifyAccessToken):
            return step.provider
        return self.provider(request).name

    # -- the inline lane: on the event loop, without waiting ---------------------------------------

    def decide(self, request: Request) -> Decision | ReadBody:
        """Return the decision; LoadSession if the store cannot return the session without waiting.

        Raises:
            Refusal: The request is refused.
        """
        application, now = self.application(request), self.now()
        if is_back_channel(application, request):
            return back_channel(application, request)
        token = presented(application, request)
        if token is not None:
            return self._api_callers.decide(application, request, token, now)
        try:
            session = self._sessions.find_nowait(application, request, now)
        except WouldBlock:
            return LoadSession()
        return self._decided(application, request, session)

    def read(self, request: Request, body: bytes) -> BackChannelLogout:
        """Return the step of a back-channel logout, after its body came.

        What is wrong with the token is found here as far as that needs no key, so that junk takes
        no permit.

        Raises:
            Refusal: The request is refused.
        """
        application = self.application(request)
        step = posted(body)
        check_unsigned(application.client, step.token, self.now())
        return step

    def unrefreshed(self, request: Request, step: Refresh) -> Answer:
        """Return the answer where no permit for a refresh is left: with the tokens as they are.

        Raises:
            Overloaded: The tokens cannot be used as they are.
            Refusal: The request is refused.
        """
        application = self.application(request)
        decision = decide(application, request, step.session, self.now(), may_refresh=False)
        if not isinstance(decision, Continue | Respond):
            raise Overloaded
        return self._with_touch(application, request, step.session, decision)

    def quick(self, request: Request, step: Step) -> Answer | None:
        """Carry out a step without waiting; None if that is not possible and `perform` has to.

        Raises:
            Refusal: The request is refused.
        """
        if not isinstance(step, StartLogin):
            return None
        metadata = self.provider(request).metadata_nowait()
        if metadata is None:
            return None
        return start_login(self.application(request), request, step, metadata, self._clock())

    def refuse(self, request: Request, error: Refusal, step: Step | None = None) -> Respond:
        """The answer to a refusal that was met in a step, or before any step."""
        return refuse(self._applications.get(request.application), request, error, step)

    # -- the held lane: in trio --------------------------------------------------------------------

    async def perform(self, request: Request, step: Step) -> Answer:
        """Carry out a step. Cancelled when the client leaves.

        Raises:
            Refusal: The request is refused.
            ValueError: For LoadSession, which is for `look_up`: what it finds has a permit of its
                own.
        """
        application = self.application(request)
        provider = self.provider(request)
        answer: Answer
        match step:
            case StartLogin():
                metadata = await provider.metadata()
                answer = start_login(application, request, step, metadata, self._clock())
            case RedeemCode():
                answer = await self._redemption.redeem(application, provider, request, step)
            case Refresh():
                answer = await self._refresh(request, step)
            case EndSession():
                answer = await self._logout.perform(application, request, step)
            case BackChannelLogout() | FrontChannelLogout():
                answer = await self._provider_logout.perform(application, step)
            case ListSessions() | EndListedSessions():
                answer = await self._own_sessions.perform(application, request, step)
            case VerifyAccessToken():
                answer = await self._api_callers.perform(application, request, step)
            case LoadSession():
                raise ValueError("a session is loaded by look_up()")
            case _:
                assert_never(step)
        return answer

    async def look_up(self, request: Request) -> Decision:
        """Load the session that the store could not return without waiting, and decide.

        Raises:
            Refusal: The request is refused.
        """
        application = self.application(request)
        session = None
        try:
            with telemetry.span("store get"):
                session = await self._sessions.find(application, request, self.now())
        except StoreUnavailable as error:
            # A public path needs no session: the request is let through without an identity.
            if not request.public:
                raise
            telemetry.log(
                logging.WARNING, "session_unknown", reason=error.reason, detail=error.detail
            )
        return self._decided(application, request, session)

    async def touch(self, request: Request, session: Session) -> None:
        """Record that a session is in use. A failure is logged: it costs only idle time."""
        try:
            with telemetry.span("store touch"):
                await self._sessions.touch(self.application(request), session, self.now())
        except Refusal as error:
            telemetry.log(logging.WARNING, "touch_failed", reason=error.reason, detail=error.detail)

    async def over(self, name: str, rule: str, session: Session) -> str:
        """Return why a session would no longer serve a request of the application `name`, which one
        of its rules decides; "" if it would. A key of the settings is the condition that fails.

        Raises:
            Refusal: The store cannot answer.
        """
        application = self._applications[name]
        current = await self._sessions.load_again(application, session, self.now())
        if current is None:
            return "ended"
        now = self.now()
        if not current.fresh(application, now):
            return "expired"
        if not current.sufficient(application, now):
            return "step_up"
        deciding = application.access.rule(rule)
        if deciding is None:
            return f"rules.{rule}"
        refused = missing(application, current, deciding, now)
        return refused.key if refused is not None else ""

    async def _refresh(self, request: Request, step: Refresh) -> Answer:
        application = self.application(request)
        session = await self._token_refresh.refresh(
            application, self.provider(request), request, step.session, stale=step.stale
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
            return self._with_touch(application, request, session, decision)
        cookies = self._sessions.renewed(application, request, session, self.now())
        return replace(decision, set_cookies=decision.set_cookies + cookies)

    # -- both --------------------------------------------------------------------------------------

    def _decided(
        self, application: Application, request: Request, session: Session | None
    ) -> Decision:
        may_refresh = session is None or not self._token_refresh.backing_off(session)
        decision = decide(application, request, session, self.now(), may_refresh=may_refresh)
        return self._with_touch(application, request, session, decision)

    def _with_touch(
        self, application: Application, request: Request, session: Session | None, decision: D
    ) -> D | Continue:
        """Return the decision; where sessions are kept in cookies, with the cookies that record the
        session's last use in place of a later touch().
        """
        if session is None or not isinstance(decision, Continue) or decision.touch is None:
            return decision
        cookies = self._sessions.touch_cookies(application, request, session, self.now())
        if not cookies:
            return decision
        return replace(decision, set_cookies=decision.set_cookies + cookies, touch=None)
