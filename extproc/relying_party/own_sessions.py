"""OwnSessions: the page on which users see and end their own sessions."""

import logging
import secrets
from collections.abc import Callable
from typing import assert_never

from extproc import telemetry
from extproc.concurrency import shielded_until_deadline
from extproc.core import session_list, sessions_page
from extproc.core.application import Application
from extproc.core.decisions import EndListedSessions, ListSessions, Own, Respond
from extproc.core.device import Device
from extproc.core.http import Request
from extproc.core.logout import signed_out_url
from extproc.core.sealing import ENTROPY
from extproc.core.session import Session
from extproc.core.session_index import sid_tags, subject_tags
from extproc.core.session_list import SignIn, SignIns
from extproc.core.session_selection import of_user_and_sid
from extproc.core.sessions_page import EVERYWHERE, OTHERS
from extproc.sessions.interfaces import LOGIN_COMPLETES_WITHIN, Sessions


class OwnSessions:
    """Shows users their own sessions and ends those that they choose.

    Args:
        sessions: Where sessions are kept.
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
        self._trusted_hops = trusted_hops

    async def perform(self, application: Application, request: Request, step: Own) -> Respond:
        """Carry out a step; an end also if the client leaves before it is done.

        Raises:
            StoreUnavailable: The sessions are unknown, which is not the same as "no sessions".
            trio.TooSlowError: The deadline passed, or GRACE after the client had left.
        """
        match step:
            case ListSessions():
                return await self._show(application, request, step)
            case EndListedSessions():
                with shielded_until_deadline():
                    return await self._end(application, step)
            case _:
                assert_never(step)

    async def _show(
        self, application: Application, request: Request, step: ListSessions
    ) -> Respond:
        found = await self._sign_ins(application, step.session)
        now = int(self._clock())
        token = sessions_page.form_token(
            application, step.session, now, secrets.token_bytes(ENTROPY)
        )
        if found is not None:
            page = sessions_page.page(application, found, token, now, stale=step.stale)
        else:
            device = Device.of(request, self._trusted_hops)
            everywhere = token if self._sessions.shared else None
            page = sessions_page.page_of_one(
                application, step.session, device, everywhere, now, stale=step.stale
            )
        return Respond(200, "own_sessions", page=page, user=step.session.user(application))

    async def _end(self, application: Application, step: EndListedSessions) -> Respond:
        user = step.session.user(application)
        if step.which == EVERYWHERE and self._sessions.shared:
            ended = await self._end_everywhere(application, step.session)
            self._audit(application, EVERYWHERE, ended, user)
            return Respond(
                303,
                "signed_out",
                location=signed_out_url(application),
                cookies=step.expired,
                clear_cache=application.clears_cache,
                user=user,
            )
        found = await self._sign_ins(application, step.session)
        if found is not None and step.which == OTHERS:
            ended = await self._end_others(application, step.session, found)
            self._audit(application, OTHERS, ended, user)
        elif found is not None:
            chosen = [one for one in found.sign_ins if one.handle == step.which and not one.this]
            for sign_in in chosen:
                await self._end_one(application, step.session, sign_in)
            self._audit(application, "one", len(chosen), user)
        return Respond(
            303, "own_sessions_ended", location=sessions_page.address(application), user=user
        )

    async def _end_others(
        self, application: Application, session: Session, found: SignIns
    ) -> int | None:
        """End every session of the user but those of this sign-in, and count them.

        That includes those which a list has no room for.
        """
        tags, now = self._subject(application, session), int(self._clock())
        # A login of this user that is under way is one of the others.
        await self._sessions.revoke(tags[0], self._clock(), now + LOGIN_COMPLETES_WITHIN)
        spared = [key for sign_in in found.sign_ins if sign_in.this for key in sign_in.keys]
        with telemetry.span("store delete"):
            return await self._sessions.end_stored(tags, now, (session.id.key, *spared))

    async def _end_one(self, application: Application, session: Session, sign_in: SignIn) -> None:
        with telemetry.span("store delete"):
            await self._sessions.delete_many(sign_in.keys)
        if sign_in.sid is None:
            return
        ring, moment = application.ring, self._clock()
        same = of_user_and_sid(ring, session.issuer, session.subject, sign_in.sid)
        until = int(moment) + application.remembered
        with telemetry.span("store delete"):
            await self._sessions.end_selected(same, moment, until)

    async def _end_everywhere(self, application: Application, session: Session) -> int | None:
        tags, moment = self._subject(application, session), self._clock()
        until = int(moment) + application.remembered
        with telemetry.span("store delete"):
            return await self._sessions.end_tagged(tags, moment, until)

    async def _sign_ins(self, application: Application, session: Session) -> SignIns | None:
        """Return the user's sign-ins; None if sessions in cookies cannot be listed."""
        now = int(self._clock())
        tags = self._subject(application, session)
        # The sessions of this sign-in were perhaps not used last, and must not be missing.
        this: tuple[bytes, ...] = ()
        if session.sid is not None:
            this = sid_tags(application.ring, session.issuer, session.sid)
        with telemetry.span("store get"):
            records = await self._sessions.tagged(tags, now)
            mine = await self._sessions.tagged(this, now)
        if records is None or mine is None:
            return None
        return session_list.sign_ins(application, session, (*mine, *records), now)

    def _subject(self, application: Application, session: Session) -> tuple[bytes, ...]:
        return subject_tags(application.ring, session.issuer, session.subject)

    def _audit(
        self, application: Application, which: str, ended: int | None, user: str | None
    ) -> None:
        telemetry.log(
            logging.INFO,
            "own_sessions_ended",
            application=application.name,
            wanted=which,
            ended=ended,
            user=user,
        )
