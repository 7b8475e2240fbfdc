"""The session of a request, looked for and left as it is."""

import trio

from extproc.core.application import Application
from extproc.core.errors import StoreUnavailable
from extproc.core.http import Request
from extproc.core.session import Session, SessionId, only, session_ids
from extproc.core.session_cookie import read_session
from extproc.core.session_record import from_record
from extproc.explain.assertion import ago
from extproc.explain.request import Found
from extproc.sessions.factory import opened
from extproc.sessions.sqlite.database import read_only
from extproc.settings import CookieSettings, Settings, SQLiteSettings


def find(settings: Settings, application: Application, request: Request, now: int) -> Found:
    name = application.cookies.session
    if not request.cookie_values(name):
        return Found(None, f"there is no cookie {name}, so nobody is signed in")
    try:
        match settings.store:
            case CookieSettings():
                session = read_session(application, request)
                more = "; whether it was ended before its time is not looked up here"
            case SQLiteSettings() as store:
                if not (known := session_ids(application, request)):
                    return Found(
                        None,
                        f"the cookie {name} is no session's: it counts as absent, and is expired",
                    )
                session, more = only([_stored(store, application, each, now) for each in known]), ""
            case _:
                session, more = trio.run(_remote, settings, application, request, now), ""
    except StoreUnavailable as problem:
        return Found(
            None,
            f"there is a cookie {name}, and the store cannot be asked from here: {problem.detail}",
            False,
        )
    if session is None:
        return Found(
            None,
            f"the cookie {name} is of no session that is kept: it is over, of another "
            "secret, or forged",
        )
    return Found(session, _told(application, session, now) + more)


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


def _told(application: Application, session: Session, now: int) -> str:
    age = f"a session, begun {ago(now - session.created)} ago"
    if not session.fresh(application, now):
        return f"{age}, is over by session.lifetime or session.idle: it counts as none"
    if not session.sufficient(application, now):
        return (
            f"{age}, is of a login that is not enough for acr_values or max_age of the application"
        )
    return f"{age}, is good for {ago(session.expires - now)} more at most"
