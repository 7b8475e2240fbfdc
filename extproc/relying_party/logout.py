"""Logout: ends sessions for the user (RP-initiated) or for the provider (back-channel,
front-channel).

The sessions here end first, so that a provider that fails afterwards cannot undo a logout.
"""

import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import assert_never

import trio

from extproc import telemetry
from extproc.concurrency import shielded_until_deadline
from extproc.core.application import Application
from extproc.core.decisions import BackChannelLogout, EndSession, FrontChannelLogout, Respond
from extproc.core.errors import InvalidLogoutToken, ProviderUnavailable, Refusal, UnknownKey
from extproc.core.http import Request, origin
from extproc.core.login import under_way
from extproc.core.logout import end_session_url, expired, signed_out_url
from extproc.core.oidc.logout_token import LogoutToken, verify_logout_token
from extproc.core.page import Page
from extproc.core.provider_logout import tags_of
from extproc.core.session import Session
from extproc.core.session_index import sid_tags
from extproc.provider.client import Provider
from extproc.relying_party.revocation import revoke_tokens
from extproc.sessions.interfaces import Sessions

LogoutStep = EndSession | BackChannelLogout | FrontChannelLogout


class Logout:
    """Carries out the three kinds of logout.

    Args:
        applications: By name.
        providers: By application name.
        sessions: Where sessions are kept.
        now: Returns the time, in seconds since the epoch.
    """

    def __init__(
        self,
        applications: Mapping[str, Application],
        providers: Mapping[str, Provider],
        sessions: Sessions,
        now: Callable[[], int],
    ) -> None:
        self._applications = applications
        self._providers = providers
        self._sessions = sessions
        self._now = now

    async def perform(
        self, application: Application, request: Request, step: LogoutStep
    ) -> Respond:
        """Carry out a logout, also if the client leaves before its end.

        Raises:
            Refusal: The store or the provider's keys could not be had, or the logout token is
                invalid.
            trio.TooSlowError: The deadline passed, or GRACE after the client had left.
        """
        with shielded_until_deadline():
            match step:
                case EndSession():
                    return await self._log_out(application, request, step)
                case BackChannelLogout():
                    return await self._back_channel(application, step)
                case FrontChannelLogout():
                    return await self._front_channel(application, step)
                case _:
                    assert_never(step)

    # -- by the user -------------------------------------------------------------------------------

    async def _log_out(
        self, application: Application, request: Request, step: EndSession
    ) -> Respond:
        """End this browser's sessions here, then send it to end the one at the provider (OpenID
        Connect RP-Initiated Logout 1.0).
        """
        cookies = step.expired
        ended = [(application, step.session)] if step.session is not None else []
        for other in self._siblings(application):
            cookies += expired(other, request)
            session = await self._sessions.find(other, request, self._now())
            if session is not None and session.fresh(other, self._now()):
                ended.append((other, session))
        # Logins first and sessions last, because a logout that met a store that could not answer
        # can be repeated only while its session is there.
        for owner in (application, *self._siblings(application)):
            await self._end_logins(owner, request, marks=bool(ended))
        for owner, session in ended:
            await self._end(owner, session)
        onward = await self._revoke_and_find_onward_url(application, ended) if ended else None
        return Respond(
            303, "signed_out", location=onward or signed_out_url(application), cookies=cookies
        )

    def _siblings(self, application: Application) -> Iterator[Application]:
        """Yield the other applications of the same provider if a logout is for all of them."""
        if not application.logout_everywhere:
            return
        provider = self._providers[application.name]
        for other in self._applications.values():
            if other is not application and self._providers[other.name] is provider:
                yield other

    async def _end(self, application: Application, session: Session) -> None:
        now = self._now()
        with telemetry.span("store delete"):
            await self._sessions.end(session, now)
            if session.sid is not None and application.logout_everywhere:
                # Sessions on other hosts, whose cookies are not in this request.
                tags = sid_tags(application.ring, session.issuer, session.sid)
                await self._sessions.end_tagged(tags, now, now + application.session_lifetime)

    async def _end_logins(self, application: Application, request: Request, *, marks: bool) -> None:
        """End the sessions of the logins that this browser began.

        With `marks`, a login that ends after this logout keeps no session either. A client without
        a session leaves no mark, because otherwise anybody could fill the store.
        """
        now = self._now()
        tags = tuple(login.store_key for login in under_way(application, request, now))
        if not tags:
            return
        with telemetry.span("store delete"):
            if marks or self._sessions.shown(application, request, now):
                await self._sessions.end_tagged(tags, now, now + application.session_lifetime)
            else:
                await self._sessions.end_stored(tags, now)

    async def _revoke_and_find_onward_url(
        self, application: Application, ended: Sequence[tuple[Application, Session]]
    ) -> str | None:
        """Revoke the tokens, and meanwhile find the URL at which the provider ends its own session.
        None if there is no such URL.
        """
        onward = None
        # The sessions have ended, so at the deadline the browser goes to the local page instead.
        with trio.move_on_at(trio.current_effective_deadline(), shield=True):
            async with trio.open_nursery() as nursery:
                for owner, session in ended:
                    nursery.start_soon(
                        revoke_tokens, self._providers[owner.name], owner.client, session
                    )
                onward = await self._onward_url(application, ended[0][1])
        return onward

    async def _onward_url(self, application: Application, session: Session) -> str | None:
        try:
            metadata = await self._providers[application.name].metadata()
        except Refusal as error:
            # The sessions here have ended; the provider's own ends by its own limits.
            telemetry.log(
                logging.WARNING,
                "provider_logout_skipped",
                application=application.name,
                reason=error.reason,
            )
            return None
        return end_session_url(application, metadata, session, secrets.token_urlsafe(16))

    # -- by the provider ---------------------------------------------------------------------------

    async def _back_channel(self, application: Application, step: BackChannelLogout) -> Respond:
        """End the sessions of every application with this provider (OpenID Connect Back-Channel
        Logout 1.0 section 2.7).
        """
        token = await self._verified(application, step.token)
        now = self._now()
        with telemetry.span("store delete"):
            if await self._sessions.revocations.revoked_before((token.key,), now):
                raise InvalidLogoutToken("replayed", "its jti was seen before")
            ended = await self._sessions.end_tagged(
                tags_of(token, application.ring), now, now + application.session_lifetime
            )
            # The token counts as used only now, because the provider may send it again if the
            # store failed before.
            await self._sessions.revocations.revoke_before(token.key, now, token.expires)
        by = "sid" if token.sid is not None else "sub"
        self._log_ended("backchannel_logout", application, ended, by)
        return Respond(200, "backchannel_logout")

    async def _verified(self, application: Application, token: str) -> LogoutToken:
        provider = self._providers[application.name]
        keys = await provider.keys()
        with telemetry.span("verify"):
            try:
                return verify_logout_token(application.client, token, keys, self._now())
            except UnknownKey:
                newer = await provider.newer_keys()
            try:
                return verify_logout_token(application.client, token, newer, self._now())
            except UnknownKey as error:
                raise InvalidLogoutToken(error.check, error.detail) from None

    async def _front_channel(self, application: Application, step: FrontChannelLogout) -> Respond:
        """End the session that the provider's frame names (OpenID Connect Front-Channel Logout 1.0
        section 2).
        """
        with telemetry.span("store delete"):
            if step.session is not None:
                await self._end(application, step.session)
            # No mark is left for an unknown sid, because anybody can send this request.
            tags = sid_tags(application.ring, application.client.issuer, step.sid)
            ended = await self._sessions.end_stored(tags, self._now())
        self._log_ended("frontchannel_logout", application, ended, "sid")
        page = Page("Signed out", "You are signed out.", application.url, "Sign in again")
        return Respond(
            200,
            "frontchannel_logout",
            cookies=step.expired,
            page=page,
            framed_by=self._framing_origins(application),
        )

    def _framing_origins(self, application: Application) -> tuple[str, ...]:
        """Return the origins whose pages may show the front-channel frame: the provider's."""
        origins = [origin(application.client.issuer)]
        try:
            metadata = self._providers[application.name].metadata_nowait()
        except ProviderUnavailable:
            metadata = None
        if metadata is not None and metadata.end_session_endpoint is not None:
            origins.append(origin(metadata.end_session_endpoint))
        return tuple(dict.fromkeys(origins))

    def _log_ended(self, event: str, application: Application, ended: int | None, by: str) -> None:
        provider = self._providers[application.name].name
        telemetry.log(
            logging.INFO, event, application=application.name, provider=provider, ended=ended, by=by
        )
