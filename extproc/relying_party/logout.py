"""Logout by the user (OpenID Connect RP-Initiated Logout 1.0).

The sessions here end first, so that a provider that fails afterwards cannot undo a logout.
"""

import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence

import trio

from extproc import telemetry
from extproc.concurrency import shielded_until_deadline
from extproc.core.application import Application
from extproc.core.decisions import EndSession, Respond
from extproc.core.errors import Refusal
from extproc.core.http import Request
from extproc.core.login import under_way
from extproc.core.logout import end_session_url, expired, sealed_page, signed_out_url
from extproc.core.sealing import ENTROPY
from extproc.core.session import Session
from extproc.core.session_selection import of_user_and_sid
from extproc.provider.client import Provider
from extproc.relying_party.revocation import revoke_tokens
from extproc.sessions.interfaces import Sessions


class Logout:
    """Carries out the logout of a user.

    Args:
        applications: By name.
        providers: By application name.
        sessions: Where sessions are kept.
        clock: Returns the time, in seconds since the epoch, to the millisecond.
    """

    def __init__(
        self,
        applications: Mapping[str, Application],
        providers: Mapping[str, Provider],
        sessions: Sessions,
        clock: Callable[[], float],
    ) -> None:
        self._applications = applications
        self._providers = providers
        self._sessions = sessions
        self._clock = clock

    async def perform(
        self, application: Application, request: Request, step: EndSession
    ) -> Respond:
        """Carry out a logout, also if the client leaves before its end.

        Raises:
            StoreUnavailable: The sessions could not be ended.
            trio.TooSlowError: The deadline passed, or GRACE after the client had left.
        """
        with shielded_until_deadline():
            return await self._log_out(application, request, step)

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
            session = await self._sessions.find(other, request, int(self._clock()))
            if session is not None and session.fresh(other, int(self._clock())):
                ended.append((other, session))
        # Logins first and sessions last, because a logout that met a store that could not answer
        # can be repeated only while its session is there.
        for owner in (application, *self._siblings(application)):
            await self._end_logins(owner, request, marks=bool(ended))
        for owner, session in ended:
            await end_session(self._sessions, owner, session, self._clock())
        state = ""
        if step.page:
            state = sealed_page(application, step.page, secrets.token_bytes(ENTROPY))
        onward = None
        if ended:
            onward = await self._revoke_and_find_onward_url(application, ended, state)
        here = signed_out_url(application) + (f"?state={state}" if state else "")
        return Respond(
            303,
            "signed_out",
            location=onward or here,
            cookies=cookies,
            clear_cache=application.clears_cache and bool(cookies),
            user=ended[0][1].user(application) if ended else None,
        )

    def _siblings(self, application: Application) -> Iterator[Application]:
        """Yield the other applications of the same provider if a logout is for all of them."""
        if not application.logout_everywhere:
            return
        provider = self._providers[application.name]
        for other in self._applications.values():
            if other is not application and self._providers[other.name] is provider:
                yield other

    async def _end_logins(self, application: Application, request: Request, *, marks: bool) -> None:
        """End the sessions of the logins that this browser began.

        With `marks`, a login that ends after this logout keeps no session either. A client without
        a session leaves no mark, because otherwise anybody could fill the store.
        """
        now = int(self._clock())
        tags = tuple(login.store_key for login in under_way(application, request, now))
        if not tags:
            return
        with telemetry.span("store delete"):
            if marks or self._sessions.shown(application, request, now):
                until = now + application.remembered
                await self._sessions.end_tagged(tags, self._clock(), until)
            else:
                await self._sessions.end_stored(tags, now)

    async def _revoke_and_find_onward_url(
        self,
        application: Application,
        ended: Sequence[tuple[Application, Session]],
        page_state: str,
    ) -> str | None:
        """Revoke the tokens, and meanwhile find the URL at which the provider ends its own session.
        None if there is no such URL.
        """
        onward = None
        # The sessions have ended, so at the deadline the browser goes to the local page instead.
        with trio.move_on_at(trio.current_effective_deadline(), shield=True):
            async with trio.open_nursery() as nursery:
                # A provider may end its own session with the tokens of a client (Keycloak).
                for owner, session in ended if application.logout_revokes else ():
                    nursery.start_soon(
                        revoke_tokens, self._providers[owner.name], owner.client, session
                    )
                onward = await self._onward_url(application, ended[0][1], page_state)
        return onward

    async def _onward_url(
        self, application: Application, session: Session, page_state: str
    ) -> str | None:
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
        state = secrets.token_urlsafe(16)
        return end_session_url(application, metadata, session, state, page_state)


async def end_session(
    sessions: Sessions, application: Application, session: Session, now: float
) -> None:
    """End a session of this browser; unless a logout is for one application, with those of the same
    user that belong to the same session at the provider, whose cookies are on other hosts.

    Args:
        sessions: Where sessions are kept.
        application: The session's application.
        session: The session.
        now: Seconds since the epoch; counts to the millisecond.

    Raises:
        StoreUnavailable: It is unknown which of them ended.
    """
    with telemetry.span("store delete"):
        await sessions.end(session, int(now))
        if session.sid is not None and application.logout_everywhere:
            same = of_user_and_sid(application.ring, session.issuer, session.subject, session.sid)
            await sessions.end_selected(same, now, int(now) + application.remembered)
