"""A user's own sessions: what is known of them without their cookies, the page that shows them, and
what its buttons may end.

Sessions of one sid at the provider are one sign-in, whatever the applications: that is what a user
recognises, and what ends at once. Where a logout is for the application alone, or the provider has
no sid, each session is one.

A button's address has the handle of a sign-in, which is no secret, and a token that this session
alone can have got from a page of ours: sealed with its id, and good for an hour.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlencode

from extproc.core.application import Application
from extproc.core.decisions import EndListedSessions, ListSessions
from extproc.core.device import Device
from extproc.core.encoding import to_json
from extproc.core.endpoints import LOGOUT, SESSIONS
from extproc.core.http import Request, parameters
from extproc.core.logout import expired
from extproc.core.page import Card, Page
from extproc.core.sealing import Label
from extproc.core.session import Session
from extproc.core.session_list import SignIn

OTHERS, EVERYWHERE = "others", "everywhere"
FORM_LIFE = 3600  # seconds
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


# -- what is known ---------------------------------------------------------------------------------


# -- what was asked for ----------------------------------------------------------------------------


def shown(session: Session, request: Request) -> ListSessions:
    """GET /oauth2/sessions."""
    return ListSessions(session, stale=request.query == "stale")


def chosen(
    application: Application, request: Request, session: Session, now: int
) -> EndListedSessions | None:
    """POST /oauth2/sessions?end=WHICH&form=TOKEN, or None: not of a page of ours, or of one that is
    too old.

    What a form says stands in its address, so that its body need not be read.
    """
    try:
        pairs = parameters(request.query, "replace")
    except ValueError:
        return None
    which, tokens = (
        [value for name, value in pairs if name == wanted] for wanted in ("end", "form")
    )
    if (
        len(which) != 1
        or len(tokens) != 1
        or not _form_is_ours(application, session, tokens[0], now)
    ):
        return None
    return EndListedSessions(session, which[0], expired(application, request))


def form_token(application: Application, session: Session, now: int, entropy: bytes) -> str:
    """entropy: 44 random bytes."""
    return application.ring.seal(to_json(now).encode(), _label(application, session), entropy)


def _form_is_ours(application: Application, session: Session, token: str, now: int) -> bool:
    opened = application.ring.open(token, _label(application, session), limit=512)
    return opened is not None and now < int(opened) + FORM_LIFE


def _label(application: Application, session: Session) -> Label:
    return Label(
        "own sessions", application.name, session.id.key.hex(), secret=session.id.value.encode()
    )


# -- the page --------------------------------------------------------------------------------------

_STALE = "Nothing was ended, because the page was too old. Please try again. "


def page(
    application: Application, found: Sequence[SignIn], token: str, now: int, *, stale: bool
) -> Page:
    """What a store knows of."""
    others = sum(not each.this for each in found)
    lasts = application.assertion_lifetime
    text = "You are signed in here and nowhere else."
    if others:
        text = f"You are signed in {'twice' if others == 1 else f'{others + 1} times'}."
        text += f" What you end here may still work for {_seconds(lasts)}." if lasts else ""
    return Page(
        "Your sessions",
        (_STALE if stale else "") + text,
        _ending(application, OTHERS, token) if others else application.url,
        "End all others" if others else "Back to the application",
        posts=bool(others),
        cards=tuple(_card(application, each, token, now) for each in found),
        back=application.url if others else "",
    )


def page_of_one(
    application: Application,
    session: Session,
    device: Device,
    token: str | None,
    now: int,
    *,
    stale: bool,
) -> Page:
    """Where sessions are in cookies: this one. token: None where nothing remembers what is over, so
    no other can be ended.
    """
    text = (
        "This service keeps no list of sessions, so only this one is shown; you may be signed "
        "in elsewhere, too."
    )
    one = SignIn(
        "",
        (),
        None,
        (application.name,),
        device,
        session.created,
        session.touched,
        session.expires,
        this=True,
    )
    return Page(
        "Your sessions",
        (_STALE if stale else "") + text,
        _ending(application, EVERYWHERE, token) if token is not None else application.url,
        "Sign out everywhere" if token is not None else "Back to the application",
        posts=token is not None,
        cards=(_card(application, one, "", now),),
        back=application.url if token is not None else "",
    )


def address(application: Application, *, stale: bool = False) -> str:
    """The page's own."""
    return f"{application.origin}{application.endpoints}{SESSIONS}{'?stale' if stale else ''}"


def _ending(application: Application, which: str, token: str) -> str:
    return f"{application.endpoints}{SESSIONS}?{urlencode({'end': which, 'form': token})}"


def _card(application: Application, one: SignIn, token: str, now: int) -> Card:
    facts = (
        ("Address", one.device.address or "not known"),
        ("Signed in", _date(one.created)),
        ("Last seen", "now" if one.this else _ago(one.used, now)),
        ("Ends", _date(one.expires)),
        ("Applications", ", ".join(one.applications)),
    )
    title = one.device.agent or "A device that is not known"
    if one.this:
        return Card(title, facts, application.endpoints + LOGOUT, "Sign out", "This one")
    return Card(title, facts, _ending(application, one.handle, token), "End")


def _date(seconds: int) -> str:
    """A place knows no time zone of its user's, so it is UTC and says so."""
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}, {at:%H:%M} UTC"


def _ago(seconds: int, now: int) -> str:
    """Last use is known to the minute or so."""
    passed = max(0, now - seconds)
    for unit, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if passed >= 2 * unit or (passed >= unit and unit != 60):
            return f"{passed // unit} {name}{'s' if passed // unit > 1 else ''} ago"
    return "a moment ago"


def _seconds(lasts: int) -> str:
    return f"{lasts} seconds" if lasts < 120 else f"{lasts // 60} minutes"
