"""CodeRedemption: the end of a login, from the provider's answer in the callback to a session that
is kept.
"""

import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace

import trio

from extproc import telemetry
from extproc.concurrency import Together
from extproc.core.application import Application
from extproc.core.decisions import RedeemCode, Respond
from extproc.core.device import Device
from extproc.core.errors import (
    IssuerMismatch,
    LoginReused,
    ProviderRefused,
    SignedOutMeanwhile,
    StoreUnavailable,
    UnknownKey,
)
from extproc.core.establish import establish
from extproc.core.http import Cookie, Request
from extproc.core.login import under_way
from extproc.core.oidc.authorization import LIFE, PendingAuthorization
from extproc.core.oidc.jose import KeySet
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.core.oidc.token import TokenResponse, code_grant
from extproc.core.session import ID_BYTES, Session, SessionId
from extproc.core.session_index import subject_tags
from extproc.core.session_list import surplus
from extproc.provider.client import Provider
from extproc.relying_party.revocation import revoke_tokens
from extproc.sessions.interfaces import Sessions


class CodeRedemption:
    """now: seconds since the epoch; trusted_hops: see Device."""

    def __init__(self, sessions: Sessions, now: Callable[[], int], trusted_hops: int) -> None:
        self._sessions, self._now, self._trusted_hops = sessions, now, trusted_hops

    async def redeem(
        self, application: Application, provider: Provider, request: Request, step: RedeemCode
    ) -> Respond:
        """Trade the authorization code for a session (OpenID Connect Core section 3.1.3)."""
        telemetry.link(step.pending.traceparent)
        came = self._now()
        # before anything is consumed: an absent provider costs no login
        metadata = await provider.metadata()
        await self._claim(application, step)
        _check_response(application, metadata, step)
        await trio.lowlevel.checkpoint_if_cancelled()
        # from here on a code may be spent: what was sent is finished, whoever leaves, and its
        # tokens are kept or revoked (but for those of a login that was overtaken); shielded from
        # the client's leaving, not from the deadline that is in force
        deadline = trio.current_effective_deadline()
        with trio.fail_at(deadline, shield=True):
            tokens = await provider.token(
                code_grant(application.client, step.response.code or "", step.pending)
            )
        try:
            # The session and its end are dated by the callback: a logout since then, by the browser
            # or by the provider, ends it as well, and what the provider kept the callback waiting
            # does not make the session longer.
            established = await self._establish(provider, application, step, tokens)
            session = replace(
                established, created=came, expires=came + application.session_lifetime
            )
            telemetry.user(session.subject)
            with trio.fail_at(deadline, shield=True), telemetry.span("store put"):
                kept = await self._begin(application, request, session, step)
        except BaseException:
            await revoke_tokens(provider, application.client, tokens)
            raise
        if kept is None:
            # its tokens stay: where one is revoked, many providers end every other of the same user
            # and client, the faster login's too
            return self._ended(application, step, "overtaken")
        with trio.move_on_at(deadline, shield=True):
            try:
                # The logins whose callback came while this session was written are overtaken as
                # well.
                await self._overtake(_others(application, request, step.pending, self._now()))
            except StoreUnavailable as error:
                # this login is complete whatever becomes of the others
                telemetry.log(
                    logging.WARNING,
                    "others_not_overtaken",
                    reason=error.reason,
                    detail=error.detail,
                )
            await end_surplus(self._sessions, application, session, self._now())
        return self._signed_in(application, session, step, kept)

    async def _claim(self, application: Application, step: RedeemCode) -> None:
        with telemetry.span("store use_once"):
            mine = await self._sessions.revocations.use_once(
                step.pending.store_key, step.pending.created + LIFE, self._now()
            )
        if not mine:
            raise LoginReused

    async def _establish(
        self, provider: Provider, application: Application, step: RedeemCode, tokens: TokenResponse
    ) -> Session:
        async with Together() as together:
            userinfo = together.start(lambda: provider.userinfo(tokens.access_token))
            keys = together.start(lambda: _keys(provider))
        session_id = SessionId.of(secrets.token_bytes(ID_BYTES))

        def checked(key_set: KeySet) -> Session:
            with telemetry.span("verify"):
                return establish(
                    application,
                    step.pending,
                    tokens,
                    userinfo.value,
                    key_set,
                    session_id,
                    self._now(),
                )

        try:
            return checked(keys.value)
        except UnknownKey:
            return checked(await provider.newer_keys())

    async def _begin(
        self, application: Application, request: Request, session: Session, step: RedeemCode
    ) -> tuple[Cookie, ...] | None:
        """Keeps the session; None: since this callback came another login of this browser ended.

        Raises what Sessions.create raises. Of logins that end at the same moment at least one is
        kept, if it can be: each looks for the marks of the others before it leaves its own, and
        with a mark that counts after that it ends only those begun before it.
        """
        mine, now = step.pending, self._now()
        if await self._overtaken(mine, session, now):
            return None
        others = _others(application, request, mine, now)
        await self._overtake(others)
        earlier = tuple(other.store_key for other in others if other.order < mine.order)
        await self._sessions.end_tagged(earlier, now, session.expires)
        device = Device.of(request, self._trusted_hops)
        try:
            return await self._sessions.create(
                application, request, session, device, step.signed_in
            )
        except SignedOutMeanwhile:
            if await self._overtaken(mine, session, now):
                return None
            raise

    async def _overtaken(self, mine: PendingAuthorization, session: Session, now: int) -> bool:
        """Whether another login of this browser ended since the callback came. Raises
        SignedOutMeanwhile: and a logout after it.
        """
        settled = await self._sessions.revocations.revoked_before((mine.settled_key,), now)
        if settled < session.created:
            return False
        if await self._sessions.revocations.revoked_before((mine.store_key,), now) > settled:
            raise SignedOutMeanwhile
        return True

    async def _overtake(self, others: Iterable[PendingAuthorization]) -> None:
        now = self._now()
        for other in others:
            await self._sessions.revocations.revoke_before(other.settled_key, now, other.forgotten)

    def _signed_in(
        self, application: Application, session: Session, step: RedeemCode, kept: tuple[Cookie, ...]
    ) -> Respond:
        now, names = self._now(), application.cookies
        asserted = application.assertion_cookie(
            session.id.handle,
            application.identity_headers(session.claims),
            now,
            session.not_after(application, now),
            session.lasts(application, now),
        )
        return self._ended(
            application, step, "signed_in", (*kept, asserted or names.expired(names.assertion))
        )

    def _ended(
        self,
        application: Application,
        step: RedeemCode,
        reason: str,
        cookies: tuple[Cookie, ...] = (),
    ) -> Respond:
        spent = application.cookies.expired(application.cookies.login(step.pending.attempt))
        return Respond(
            303,
            reason,
            location=application.origin + step.pending.return_to,
            cookies=(*cookies, spent),
        )


async def end_surplus(
    sessions: Sessions, application: Application, session: Session, now: int
) -> None:
    """The user's oldest sessions, where there are more than may be. It is the next login's to make
    good what fails here.
    """
    if application.sessions_per_user is None:
        return
    try:
        tags = subject_tags(application.ring, session.issuer, session.subject)
        over = surplus(application, await sessions.tagged(tags, now) or (), now)
        await sessions.delete_many(over)
    except StoreUnavailable as error:
        telemetry.log(
            logging.WARNING, "surplus_not_ended", reason=error.reason, detail=error.detail
        )
        return
    if over:
        telemetry.log(logging.INFO, "surplus_ended", application=application.name, ended=len(over))


def _others(
    application: Application, request: Request, mine: PendingAuthorization, now: int
) -> list[PendingAuthorization]:
    """The logins that this browser began beside this one."""
    return [each for each in under_way(application, request, now) if each.secret != mine.secret]


async def _keys(provider: Provider) -> KeySet:
    """With a span of its own: the fetch itself may be one that others wait for as well, in a trace
    of its own.
    """
    with telemetry.span("keys"):
        return await provider.keys()


def _check_response(application: Application, metadata: ProviderMetadata, step: RedeemCode) -> None:
    iss = step.response.iss
    if (iss is None and metadata.iss_parameter_supported) or (
        iss is not None and iss != application.client.issuer
    ):
        raise IssuerMismatch(
            "iss of the callback is missing although announced"
            if iss is None
            else "iss of the callback is another issuer"
        )
    if step.response.error is not None:
        raise ProviderRefused(step.response.error)
