"""Finds the session of a request without changing it: from its cookie and, where sessions are
stored, from the store.
"""

import trio

from extproc.core.application import Application
from extproc.core.errors import StoreUnavailable
from extproc.core.http import Request
from extproc.core.session import Session, SessionId, only, session_ids
from extproc.core.session_cookie import read_session
from extproc.core.session_record import from_record
from extproc.explain.request import SessionLookup
from extproc.explain.words import time_span
from extproc.sessions.factory import opened
from extproc.sessions.sqlite.database import read_only
from extproc.settings import CookieSettings, Settings, SQLiteSettings


def find(settings: Settings, application: Application, request: Request, now: int) -> SessionLookup:
    """The session of a request, and what was found out about it.

    Args:
        settings: for the store.
        application: the application that the request is for.
        request: the request with its cookies.
        now: seconds since the epoch.
    """
    name = application.cookies.session
    if not request.cookie_values(name):
        return SessionLookup(None, f"there is no cookie {name}, so the user is not signed in")
    if isinstance(settings.store, SQLiteSettings) and not session_ids(application, request):
        return SessionLookup(
            None,
            f"the cookie {name} has no session id: the processor ignores it, and removes it from "
            "the browser",
        )
    try:
        session = _look_up(settings, application, request, now)
    except StoreUnavailable as problem:
        return SessionLookup(
            None,
            f"there is a cookie {name}, but this machine cannot read the store: {problem.detail}",
            certain=False,
        )
    if session is None:
        return SessionLookup(
            None,
            f"the cookie {name} is of no stored session: its session has ended, or it is of "
            "another secret, or forged",
        )
    text = _described(application, session, now)
    if isinstance(settings.store, CookieSettings):
        text += "; whether it was ended before its time is not looked up here"
    return SessionLookup(session, text)


def _look_up(
    settings: Settings, application: Application, request: Request, now: int
) -> Session | None:
    match settings.store:
        case CookieSettings():
            return read_session(application, request)
        case SQLiteSettings() as store:
            return only(
                [
                    _stored(store, application, session_id, now)
                    for session_id in session_ids(application, request)
                ]
            )
        case _:
            return trio.run(_remote, settings, application, request, now)


def _stored(
    store: SQLiteSettings, application: Application, session_id: SessionId, now: int
) -> Session | None:
    record = read_only(store.path, session_id.key, now)
    return from_record(application, session_id, record) if record is not None else None


async def _remote(
    settings: Settings, application: Application, request: Request, now: int
) -> Session | None:
    async with opened(settings.store) as sessions:
        if sessions.missing is not None:
            raise StoreUnavailable(sessions.missing)
        return await sessions.find(application, request, now)


def _described(application: Application, session: Session, now: int) -> str:
    begun = f"a session that began {time_span(now - session.created)} ago"
    if not session.fresh(application, now):
        return f"{begun}; it has ended by session.lifetime or session.idle, and counts as none"
    if not session.sufficient(application, now):
        return (
            f"{begun}; its login is not enough for acr_values or max_age of the application, so "
            "the user has to sign in again"
        )
    return f"{begun}; it lasts at most {time_span(session.expires - now)} more"
