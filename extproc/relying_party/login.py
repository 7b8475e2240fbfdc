"""Login: its start, and its end, from the provider's answer in the callback to a kept session."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import trio

from extproc import telemetry
from extproc.concurrency import run_both, shielded_until_deadline
from extproc.core import revocation
from extproc.core.application import Application
from extproc.core.cookies import Cookie
from extproc.core.decisions import RedeemCode, Respond, StartLogin
from extproc.core.errors import (
    CallbackRefused,
    IssuerMismatch,
    LoginReused,
    ProviderRefused,
    Refusal,
)
from extproc.core.establish import establish
from extproc.core.http import Request
from extproc.core.login import (
    authorization_url,
    demand_of,
    login_cookie,
)
from extproc.core.login_budget import MAX_SHORTENED, crowded_out
from extproc.core.oidc.authorization import ATTEMPT_BYTES, LIFE, PendingAuthorization
from extproc.core.oidc.id_token import UserInfo
from extproc.core.oidc.jose import KeySet
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.core.oidc.token import TokenResponse
from extproc.core.refresh import serves
from extproc.core.sealing import ENTROPY
from extproc.core.session import Session, SessionId
from extproc.core.session_access import assertion
from extproc.core.step_up import Demand
from extproc.provider.client import Provider
from extproc.relying_party.identity_log import log_omissions
from extproc.relying_party.login_tokens import (
    check_sufficient,
    keys_of,
    redeemed,
    userinfo_of,
)
from extproc.relying_party.new_sessions import Kept, NewSessions
from extproc.relying_party.newer_keys import verified
from extproc.relying_party.revocation import revoke_tokens
from extproc.sessions.interfaces import Sessions


def start_login(
    application: Application,
    request: Request,
    step: StartLogin,
    metadata: ProviderMetadata,
    moment: float,
) -> Respond:
    """Send the browser to the provider with the cookie of a new login attempt (OpenID Connect Core
    section 3.1.2).

    Args:
        application: That the user signs in to.
        request: The request that starts the login.
        step: What was decided.
        metadata: The provider's.
        moment: The time, in seconds since the epoch, to the millisecond.
    """
    now = int(moment)
    pending = PendingAuthorization(
        PendingAuthorization.secret_of(moment, secrets.token_bytes(ATTEMPT_BYTES)),
        application.client.issuer,
        now,
        step.return_to,
        telemetry.current(),
        step.restarted,
        *_demanded(application, step.demand),
    )
    cookie = login_cookie(application, pending, secrets.token_bytes(ENTROPY))
    entropies = (secrets.token_bytes(ENTROPY) for _ in range(MAX_SHORTENED))
    gone = [old.name for old in step.expired]
    others = crowded_out(application, request, cookie, now, entropies)
    dropped = [old for old in others if old.name not in gone]
    return Respond(
        303,
        "login_started",
        location=authorization_url(application, metadata, pending),
        cookies=(cookie, *step.expired, *dropped),
    )


def _demanded(
    application: Application, demand: Demand | None
) -> tuple[tuple[str, ...], int | None]:
    """The acr_values and max_age of a login that has to meet more than its application demands."""
    if demand is None or demand == application.demand:
        return (), None
    return demand.acr_values, demand.max_age


class CodeRedemption:
    """Carries out the callback: trades an authorization code for a session.

    Args:
        sessions: Where the session is kept.
        clock: Returns the time, in seconds since the epoch, to the millisecond.
        trusted_hops: How many proxies before Envoy are trusted for the client's address.
    """

    def __init__(
        self,
        sessions: Sessions,
        clock: Callable[[], float],
        trusted_hops: int,
    ) -> None:
        self._sessions = sessions
        self._clock = clock
        self._new_sessions = NewSessions(sessions, clock, trusted_hops)

    async def redeem(
        self, application: Application, provider: Provider, request: Request, step: RedeemCode
    ) -> Respond:
        """Trade the authorization code for a session (OpenID Connect Core section 3.1.3).

        Returns:
            The redirect to the page that the user wanted, with the session's cookies. If another
            login of this browser was faster (`overtaken`, `login_not_needed`), they are those of
            its session, or none. The tokens are not revoked then: revoking one token makes many
            providers revoke all tokens of the same user and client, the faster login's too. A login
            that the provider had let expire is started again, once.

        Raises:
            Refusal: There is no session. Tokens that came are revoked.
            trio.TooSlowError: The deadline passed. Tokens that came are revoked.
        """
        telemetry.link(step.pending.traceparent)
        callback_at = self._clock()
        # Before anything is consumed, because a provider that is away must not cost a login.
        metadata = await provider.metadata()
        try:
            await self._use_once(step)
            _check_response(application, metadata, step)
        except CallbackRefused as error:
            answer = self._without_login(application, request, metadata, step, error)
            if answer is None:
                raise
            return answer
        await trio.lowlevel.checkpoint_if_cancelled()
        # From here on the code may be spent, so the login is finished although the client leaves,
        # but not beyond the deadline that is in force now. Its tokens are kept or revoked.
        deadline = trio.current_effective_deadline()
        with shielded_until_deadline(deadline):
            tokens = await redeemed(application, provider, step)
        try:
            session = await self._establish(application, provider, step, tokens, callback_at)
            telemetry.user(session.subject)
            with shielded_until_deadline(deadline), telemetry.span("store put"):
                kept = await self._new_sessions.keep(application, request, session, step)
        except BaseException:
            await revoke_tokens(provider, application.client, tokens)
            raise
        if kept is None:
            return _ended(application, step, "overtaken")
        if kept.new:
            with trio.move_on_at(deadline, shield=True):
                await self._new_sessions.end_others(application, request, session, step)
        return self._signed_in(application, step, kept)

    def _without_login(
        self,
        application: Application,
        request: Request,
        metadata: ProviderMetadata,
        step: RedeemCode,
        error: CallbackRefused,
    ) -> Respond | None:
        """Answer a callback that signs no user in, where an error page would help no user.

        A login may have come twice, or expired at the provider (Keycloak's page left open, or its
        other tab was faster). A user who is signed in by then gets the page that was wanted;
        otherwise an expired login is started again. That happens once, because a provider could
        give the same answer for ever.
        """
        expired = isinstance(error, ProviderRefused) and step.response.authentication_expired
        if not expired and not isinstance(error, LoginReused):
            return None
        moment, session = self._clock(), step.signed_in
        if session is not None and serves(application, session, int(moment)):
            return _ended(application, step, "login_not_needed")
        if not expired or step.pending.restarted:
            return None
        spent = application.cookies.expired(application.cookies.login(step.pending.attempt))
        demand = demand_of(application, step.pending)
        again = StartLogin(step.pending.return_to, (spent,), restarted=True, demand=demand)
        return start_login(application, request, again, metadata, moment)

    async def _use_once(self, step: RedeemCode) -> None:
        with telemetry.span("store use_once"):
            first = await self._sessions.revocations.use_once(
                step.pending.store_key, step.pending.created + LIFE, int(self._clock())
            )
        if not first:
            raise LoginReused

    async def _establish(
        self,
        application: Application,
        provider: Provider,
        step: RedeemCode,
        tokens: TokenResponse,
        callback_at: float,
    ) -> Session:
        """Verify the tokens and make a session of them, dated by the callback.

        The date matters: a logout since the callback, by the browser or by the provider, ends this
        session too, and a slow provider does not make the session longer.
        """
        userinfo, keys = await run_both(
            partial(userinfo_of, application, provider, tokens), partial(keys_of, provider)
        )
        verify = partial(
            self._verified,
            application,
            step,
            tokens,
            None if isinstance(userinfo, Refusal) else userinfo,
            SessionId.of(step.pending.session_entropy),
        )
        session = await verified(provider, keys, verify)
        if isinstance(userinfo, Refusal):
            check_sufficient(application, session, userinfo)
        log_omissions(application, session)
        return replace(
            session,
            created=int(callback_at),
            created_ms=revocation.written(callback_at),
            expires=int(callback_at) + application.session_lifetime,
        )

    def _verified(
        self,
        application: Application,
        step: RedeemCode,
        tokens: TokenResponse,
        userinfo: UserInfo | None,
        session_id: SessionId,
        keys: KeySet,
    ) -> Session:
        with telemetry.span("verify"):
            return establish(
                application, step.pending, tokens, userinfo, keys, session_id, int(self._clock())
            )

    def _signed_in(self, application: Application, step: RedeemCode, kept: Kept) -> Respond:
        now, session = int(self._clock()), kept.session
        names = application.cookies
        user = session.user(application)
        cookie = assertion(application, session, now) or names.expired(names.assertion)
        reason = "signed_in" if kept.new else "overtaken"
        return _ended(application, step, reason, (*kept.cookies, cookie), user)


def _ended(
    application: Application,
    step: RedeemCode,
    reason: str,
    cookies: tuple[Cookie, ...] = (),
    user: str | None = None,
) -> Respond:
    """Return to the page at which the login began, without the cookie of the attempt."""
    spent = application.cookies.expired(application.cookies.login(step.pending.attempt))
    return Respond(
        303,
        reason,
        location=application.origin + step.pending.return_to,
        cookies=(*cookies, spent),
        user=user,
    )


def _check_response(application: Application, metadata: ProviderMetadata, step: RedeemCode) -> None:
    """Check the issuer of the callback (RFC 9207), then whether it reports an error."""
    issuer = step.response.iss
    if issuer is None and metadata.iss_parameter_supported:
        raise IssuerMismatch("iss of the callback is missing although announced")
    if issuer is not None and issuer != application.client.issuer:
        raise IssuerMismatch("iss of the callback is another issuer")
    if step.response.error is not None:
        raise ProviderRefused(step.response.error)
