"""Logout: how sessions end before their time, started here (logout) or by the provider
(back-channel, front-channel).

What ends here ends first, and whatever the provider does afterwards, or does not do, changes
nothing about it.
"""

import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import assert_never

import trio

from extproc import telemetry
from extproc.concurrency import finished
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

Ends = EndSession | BackChannelLogout | FrontChannelLogout


class Logout:
    """Every way in which sessions end at somebody's word. `providers` by application name; `now`:
    seconds since the epoch.
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

    async def perform(self, application: Application, request: Request, step: Ends) -> Respond:
        """Carries out a step. Raises Refusal."""
        with finished():  # who asked for an end gets it
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
        """This browser's sessions here, then the one at the provider (OpenID Connect RP-Initiated
        Logout 1.0).
        """
        cookies = step.expired
        ended = [(application, step.session)] if step.session is not None else []
        for other in self._siblings(application):
            cookies += expired(other, request)
            session = await self._sessions.find(other, request, self._now())
            if session is not None and session.fresh(other, self._now()):
                ended.append((other, session))
        # the sessions last: as long as they are there, a logout that met a store that could not
        # answer can be tried again
        for owner in (application, *self._siblings(application)):
            await self._end_logins(owner, request, marks=bool(ended))
        for owner, session in ended:
            await self._end(owner, session)
        onward = await self._give_back(application, ended) if ended else None
        return Respond(
            303, "signed_out", location=onward or signed_out_url(application), cookies=cookies
        )

    def _siblings(self, application: Application) -> Iterator[Application]:
        """The other applications of the same provider, where a logout is for all."""
        provider = self._providers[application.name]
        for other in self._applications.values() if application.logout_everywhere else ():
            if other is not application and self._providers[other.name] is provider:
                yield other

    async def _end(self, application: Application, session: Session) -> None:
        now = self._now()
        with telemetry.span("store delete"):
            await self._sessions.end(session, now)
            if session.sid is not None and application.logout_everywhere:
                # on other hosts, whose cookies are not in this request
                tags = sid_tags(application.ring, session.issuer, session.sid)
                await self._sessions.end_tagged(tags, now, now + application.session_lifetime)

    async def _end_logins(self, application: Application, request: Request, *, marks: bool) -> None:
        """Ends what the logins that this browser began have brought, and what they bring late,
        after this logout.

        marks: for the latter a mark is left. Somebody without a session leaves none: strangers
        would fill the store.
        """
        now = self._now()
        late = tuple(each.store_key for each in under_way(application, request, now))
        if not late:
            return
        with telemetry.span("store delete"):
            if marks or self._sessions.shown(application, request, now):
                await self._sessions.end_tagged(late, now, now + application.session_lifetime)
            else:
                await self._sessions.end_stored(late, now)

    async def _give_back(
        self, application: Application, ended: Sequence[tuple[Application, Session]]
    ) -> str | None:
        """Tokens to the provider, beside the search for the address at which its own session ends;
        None: there is none.
        """
        onward = None
        # what is ended stays ended: at the deadline the browser simply goes to our own page
        with trio.move_on_at(trio.current_effective_deadline(), shield=True):
            async with trio.open_nursery() as nursery:
                for owner, session in ended:
                    nursery.start_soon(
                        revoke_tokens, self._providers[owner.name], owner.client, session
                    )
                onward = await self._onward(application, ended[0][1])
        return onward

    async def _onward(self, application: Application, session: Session) -> str | None:
        try:
            metadata = await self._providers[application.name].metadata()
        except Refusal as error:
            # ended here in any case; the provider's session then ends by its own limits
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
        """OpenID Connect Back-Channel Logout 1.0 section 2.7: the sessions of every application
        with this provider.
        """
        token = await self._verified(application, step.token)
        now = self._now()
        with telemetry.span("store delete"):
            if await self._sessions.revocations.revoked_before((token.key,), now):
                raise InvalidLogoutToken("replayed", "its jti was seen before")
            ended = await self._sessions.end_tagged(
                tags_of(token, application.ring), now, now + application.session_lifetime
            )
            # only now: a token that the store kept from being carried out may come again
            await self._sessions.revocations.revoke_before(token.key, now, token.expires)
        self._ended(
            "backchannel_logout", application, ended, by="sid" if token.sid is not None else "sub"
        )
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
        """OpenID Connect Front-Channel Logout 1.0 section 2."""
        with telemetry.span("store delete"):
            if step.session is not None:
                await self._end(application, step.session)
            # no mark is left for a sid that nobody has: anybody can ask
            tags = sid_tags(application.ring, application.client.issuer, step.sid)
            ended = await self._sessions.end_stored(tags, self._now())
        self._ended("frontchannel_logout", application, ended, by="sid")
        page = Page("Signed out", "You are signed out.", application.url, "Sign in again")
        return Respond(
            200,
            "frontchannel_logout",
            cookies=step.expired,
            page=page,
            framed_by=self._frames(application),
        )

    def _frames(self, application: Application) -> tuple[str, ...]:
        """Where the provider's page with our frame in it may be."""
        found = [origin(application.client.issuer)]
        try:
            metadata = self._providers[application.name].metadata_nowait()
        except ProviderUnavailable:
            metadata = None
        if metadata is not None and metadata.end_session_endpoint is not None:
            found.append(origin(metadata.end_session_endpoint))
        return tuple(dict.fromkeys(found))

    def _ended(self, what: str, application: Application, ended: int | None, by: str) -> None:
        provider = self._providers[application.name].name
        telemetry.log(
            logging.INFO, what, application=application.name, provider=provider, ended=ended, by=by
        )
