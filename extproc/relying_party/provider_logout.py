"""ProviderLogout: ends sessions for the provider, by its own request (back-channel) or by a frame
in the browser (front-channel).
"""

import logging
from collections.abc import Callable, Mapping
from typing import assert_never

from extproc import telemetry
from extproc.concurrency import shielded_until_deadline
from extproc.core.application import Application
from extproc.core.decisions import BackChannelLogout, FrontChannelLogout, Respond
from extproc.core.errors import InvalidLogoutToken, LogoutKeyPending, Refusal
from extproc.core.http import origin
from extproc.core.oidc.claims import Claims
from extproc.core.oidc.jose import KeySet
from extproc.core.oidc.logout_token import LogoutToken, verify_logout_token
from extproc.core.page import Page
from extproc.core.provider_errors import UnknownKey, WrongSignature
from extproc.core.provider_logout import tags_of
from extproc.core.session_index import sid_tags
from extproc.core.session_selection import of_user_without_sid
from extproc.provider.cache import Newer
from extproc.provider.client import Provider
from extproc.relying_party.few_waiting import FewWaiting
from extproc.relying_party.logout import end_session
from extproc.sessions.interfaces import Sessions

# Logout tokens of one provider that may wait for its keys at a time, in each process. Far below
# limits.provider_logout, because anybody can make up a token whose key is unknown, and tokens of
# known keys must find a permit all the same.
WAIT_FOR_KEYS = 16


class ProviderLogout:
    """Carries out the logouts that a provider starts.

    Args:
        providers: By application name.
        sessions: Where sessions are kept.
        clock: Returns the time, in seconds since the epoch, to the millisecond.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        sessions: Sessions,
        clock: Callable[[], float],
    ) -> None:
        self._providers = providers
        self._sessions = sessions
        self._clock = clock
        self._warned: set[str] = set()
        self._few = FewWaiting(WAIT_FOR_KEYS)

    async def perform(
        self, application: Application, step: BackChannelLogout | FrontChannelLogout
    ) -> Respond:
        """Carry out a logout, also if the client leaves before its end.

        Raises:
            Refusal: The store or the provider's keys could not be had, or the logout token is
                invalid.
            trio.TooSlowError: The deadline passed, or GRACE after the client had left.
        """
        with shielded_until_deadline():
            match step:
                case BackChannelLogout():
                    return await self._back_channel(application, step)
                case FrontChannelLogout():
                    return await self._front_channel(application, step)
                case _:
                    assert_never(step)

    async def _back_channel(self, application: Application, step: BackChannelLogout) -> Respond:
        """End the sessions of every application with this provider (OpenID Connect Back-Channel
        Logout 1.0 section 2.7).
        """
        token = await self._verified(application, step.token)
        now = int(self._clock())
        with telemetry.span("store delete"):
            if await self._sessions.revocations.revoked_before((token.key,), now):
                raise InvalidLogoutToken("replayed", "its jti was seen before")
            ended = await self._end_named(application, token)
            # The token counts as used only now, because the provider may send it again if the
            # store failed before.
            await self._sessions.revocations.revoke_before(token.key, now, token.expires)
        by = "sid" if token.sid is not None else "sub"
        user = application.user(token.subject, Claims({})) if token.subject is not None else None
        self._log_ended("backchannel_logout", application, ended, by, user)
        if ended == 0:
            self._warn_once(application)
        return Respond(200, "backchannel_logout")

    async def _end_named(self, application: Application, token: LogoutToken) -> int | None:
        """End the sessions that a logout token names, and count them; None if that is unknown.

        With sid and sub also those of the user that have no sid: a provider puts sid into logout
        tokens and into ID tokens by different settings.
        """
        ring, moment = application.ring, self._clock()
        until = int(moment) + application.remembered
        ended = await self._sessions.end_tagged(tags_of(token, ring), moment, until)
        if token.sid is None or token.subject is None:
            return ended
        sidless = of_user_without_sid(ring, token.issuer, token.subject)
        more = await self._sessions.end_selected(sidless, moment, until)
        return ended + more if ended is not None and more is not None else None

    async def _verified(self, application: Application, token: str) -> LogoutToken:
        """Verify a logout token, with newer keys if those that are known have not signed it: a
        provider may also replace a key under the same kid.

        Raises:
            InvalidLogoutToken: It fails a check.
            LogoutKeyPending: Its key may be known later.
            Refusal: There are no keys, and none can be fetched.
        """
        provider = self._providers[application.name]
        known = provider.keys_nowait()
        try:
            with telemetry.span("verify"):
                if known is not None:
                    return verify_logout_token(application.client, token, known, int(self._clock()))
        except (UnknownKey, WrongSignature):
            pass
        full = LogoutKeyPending("many other tokens with unknown keys wait already")
        with self._few.one(provider.name, full):
            newest = await self._newest_keys(provider)
        with telemetry.span("verify"):
            try:
                return verify_logout_token(
                    application.client, token, newest.value, int(self._clock())
                )
            except (UnknownKey, WrongSignature) as error:
                if newest.certain:
                    raise InvalidLogoutToken(error.check, error.detail) from None
                raise LogoutKeyPending(error.detail) from None

    async def _newest_keys(self, provider: Provider) -> Newer[KeySet]:
        if provider.keys_nowait() is None:
            return Newer(await provider.keys(), certain=False)
        return await provider.newer_keys_for_logout()

    async def _front_channel(self, application: Application, step: FrontChannelLogout) -> Respond:
        """End the session that the provider's frame names (OpenID Connect Front-Channel Logout 1.0
        section 2).
        """
        with telemetry.span("store delete"):
            ended = await self._end_framed(application, step)
        user = step.session.user(application) if step.session is not None else None
        self._log_ended("frontchannel_logout", application, ended, "sid", user)
        page = Page("Signed out", "You are signed out.", application.url, "Sign in again")
        return Respond(
            200,
            "frontchannel_logout",
            cookies=step.expired,
            page=page,
            framed_by=self._framing_origins(application),
            clear_cache=application.clears_cache and step.session is not None,
            user=user,
        )

    async def _end_framed(self, application: Application, step: FrontChannelLogout) -> int | None:
        """End the session of this browser, and those of the sid if the settings trust it. Return
        how many ended; None for any number.
        """
        if step.session is not None:
            await end_session(self._sessions, application, step.session, self._clock())
        if application.frontchannel_logout != "sid":
            return 0 if step.session is None else 1
        # No mark is left for an unknown sid, because anybody can send this request.
        tags = sid_tags(application.ring, application.client.issuer, step.sid)
        return await self._sessions.end_stored(tags, int(self._clock()))

    def _framing_origins(self, application: Application) -> tuple[str, ...]:
        """Return the origins whose pages may show the front-channel frame: the provider's."""
        origins = [origin(application.client.issuer)]
        try:
            metadata = self._providers[application.name].metadata_nowait()
        except Refusal:
            metadata = None
        if metadata is not None and metadata.end_session_endpoint is not None:
            origins.append(origin(metadata.end_session_endpoint))
        return tuple(dict.fromkeys(origins))

    def _warn_once(self, application: Application) -> None:
        """Warn of the first logout token of a provider that ended nothing: it often means that its
        ID tokens and logout tokens name sessions differently.
        """
        provider = self._providers[application.name].name
        if provider in self._warned:
            return
        self._warned.add(provider)
        telemetry.log(
            logging.WARNING,
            "backchannel_logout_ended_nothing",
            provider=provider,
            detail="no session had the sid or sub of the logout token; harmless if the user had "
            "signed out here before, otherwise compare both claims with those of the ID tokens; "
            "this warning comes once",
        )

    def _log_ended(
        self,
        event: str,
        application: Application,
        ended: int | None,
        by: str,
        user: str | None,
    ) -> None:
        telemetry.log(
            logging.INFO,
            event,
            application=application.name,
            provider=self._providers[application.name].name,
            ended=ended,
            by=by,
            user=user,
        )
