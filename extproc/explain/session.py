"""The session of a request, looked for and left as it is."""

from dataclasses import dataclass

import trio

from extproc.core.application import Application
from extproc.core.assertion import ALG, SESSION, jwks
from extproc.core.errors import OIDCError, StoreUnavailable
from extproc.core.http import Request
from extproc.core.oidc.jose import KeySet, SignedToken
from extproc.core.session import Session, SessionId, only, session_ids
from extproc.core.session_cookie import read_session
from extproc.core.session_record import from_record
from extproc.sessions.factory import open_sessions
from extproc.sessions.sqlite.store import read_only
from extproc.settings import CookieSettings, Settings, SQLiteSettings

PATIENCE = 2.0  # seconds for a remote store


@dataclass(frozen=True, slots=True)
class Found:
    """known: whether the answer is sure; else the store could not be asked."""

    session: Session | None
    said: str
    known: bool = True


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
                    return Found(None, f"the cookie {name} is no session's: it counts as absent, and is expired")
                session, more = only([_stored(store, application, each, now) for each in known]), ""
            case _:
                session, more = trio.run(_remote, settings, application, request, now), ""
    except StoreUnavailable as problem:
        return Found(
            None, f"there is a cookie {name}, and the store cannot be asked from here: {problem.detail}", False
        )
    if session is None:
        return Found(None, f"the cookie {name} is of no session that is kept: it is over, of another secret, or forged")
    return Found(session, _told(application, session, now) + more)


def _stored(store: SQLiteSettings, application: Application, session_id: SessionId, now: int) -> Session | None:
    record = read_only(store.path, session_id.key, now)
    return from_record(application, session_id, record) if record is not None else None


async def _remote(settings: Settings, application: Application, request: Request, now: int) -> Session | None:
    sessions = open_sessions(settings.store)
    try:
        await sessions.start()
        with trio.move_on_after(PATIENCE):
            while sessions.missing is not None:  # noqa: ASYNC110 - once in a command
                await trio.sleep(0.05)
        if sessions.missing is not None:
            raise StoreUnavailable(sessions.missing)
        return await sessions.find(application, request, now)
    finally:
        await sessions.aclose()


def _told(application: Application, session: Session, now: int) -> str:
    age = f"a session, begun {ago(now - session.created)} ago"
    if not session.fresh(application, now):
        return f"{age}, is over by session.lifetime or session.idle: it counts as none"
    if not session.sufficient(application, now):
        return f"{age}, is of a login that is not enough for acr_values or max_age of the application"
    return f"{age}, is good for {ago(session.expires - now)} more at most"


def ago(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{max(seconds, 0)} s"


def asserted(settings: Settings, application: Application, request: Request, now: int) -> str | None:
    """Why Envoy believes this request's assertion, or None: what jwt_authn of the generated configuration looks at."""
    value = request.cookie(application.cookies.assertion)
    if value is None or settings.identity.assertion_lifetime == 0:
        return None
    try:
        claims = SignedToken.parse(value, ALG).verified(KeySet.parse(jwks(application.ring).encode()))
    except OIDCError:
        return None
    expires = claims.get("exp")
    right = claims.get("iss") == application.url and claims.get("aud") == application.name
    right = right and [known.handle for known in session_ids(application, request)] == [claims.get(SESSION)]
    if not right or not isinstance(expires, int) or expires <= now:
        return None
    return f"its assertion is good for {ago(expires - now)} more"
