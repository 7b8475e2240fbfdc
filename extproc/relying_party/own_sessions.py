"""Self-service: the page on which users see their own sessions, and what they end there."""

import logging
import secrets
from collections.abc import Callable
from typing import assert_never

from extproc import telemetry
from extproc.concurrency import finished
from extproc.core import session_list, sessions_page
from extproc.core.application import Application
from extproc.core.decisions import EndListedSessions, ListSessions, Own, Respond
from extproc.core.device import Device
from extproc.core.http import Request
from extproc.core.logout import signed_out_url
from extproc.core.sealing import ENTROPY
from extproc.core.session import Session
from extproc.core.session_index import sid_tags, subject_tags
from extproc.core.session_list import SignIn
from extproc.core.sessions_page import EVERYWHERE, OTHERS
from extproc.sessions.interfaces import LOGIN_COMPLETES_WITHIN, Sessions


class SelfService:
    """now: seconds since the epoch; trusted_hops: see Device."""

    def __init__(self, sessions: Sessions, now: Callable[[], int], trusted_hops: int) -> None:
        self._sessions, self._now, self._trusted_hops = sessions, now, trusted_hops

    async def perform(self, application: Application, request: Request, step: Own) -> Respond:
        """Raises StoreUnavailable: what cannot be read is never "no sessions"."""
        match step:
            case ListSessions():
                return await self._show(application, request, step)
            case EndListedSessions():
                with finished():  # as every end is
                    return await self._end(application, step)
            case _:
                assert_never(step)

    async def _show(
        self, application: Application, request: Request, step: ListSessions
    ) -> Respond:
        found, now = await self._found(application, step.session), self._now()
        token = sessions_page.form_token(
            application, step.session, now, secrets.token_bytes(ENTROPY)
        )
        if found is not None:
            page = sessions_page.page(application, found, token, now, stale=step.stale)
        else:
            device = Device.of(request, self._trusted_hops)
            reach = token if self._sessions.shared else None
            page = sessions_page.page_of_one(
                application, step.session, device, reach, now, stale=step.stale
            )
        return Respond(200, "own_sessions", page=page)

    async def _end(self, application: Application, step: EndListedSessions) -> Respond:
        if step.which == EVERYWHERE and self._sessions.shared:
            ended = await self._end_tagged(application, self._subject(application, step.session))
            self._audit(application, EVERYWHERE, ended)
            return Respond(
                303, "signed_out", location=signed_out_url(application), cookies=step.expired
            )
        found = await self._found(application, step.session) or ()
        others = [each for each in found if not each.this and step.which in (OTHERS, each.handle)]
        if step.which == OTHERS and found:
            # a login of this user's that is under way is one of the others
            first, now = self._subject(application, step.session)[0], self._now()
            until = now + LOGIN_COMPLETES_WITHIN
            await self._sessions.revocations.revoke_before(first, now, until)
        for each in others:
            await self._end_one(application, step.session.issuer, each)
        self._audit(application, OTHERS if step.which == OTHERS else "one", len(others))
        return Respond(303, "own_sessions_ended", location=sessions_page.address(application))

    async def _end_one(self, application: Application, issuer: str, one: SignIn) -> None:
        with telemetry.span("store delete"):
            await self._sessions.delete_many(one.keys)
        if one.sid is not None:
            await self._end_tagged(application, sid_tags(application.ring, issuer, one.sid))

    async def _end_tagged(self, application: Application, tags: tuple[bytes, ...]) -> int | None:
        now = self._now()
        with telemetry.span("store delete"):
            return await self._sessions.end_tagged(tags, now, now + application.session_lifetime)

    async def _found(self, application: Application, session: Session) -> tuple[SignIn, ...] | None:
        now = self._now()
        with telemetry.span("store get"):
            records = await self._sessions.tagged(self._subject(application, session), now)
        return (
            session_list.sign_ins(application, session, records, now)
            if records is not None
            else None
        )

    def _subject(self, application: Application, session: Session) -> tuple[bytes, ...]:
        return subject_tags(application.ring, session.issuer, session.subject)

    def _audit(self, application: Application, which: str, ended: int | None) -> None:
        telemetry.log(
            logging.INFO,
            "own_sessions_ended",
            application=application.name,
            wanted=which,
            ended=ended,
        )
