"""The page on which users see their own sessions, and what its buttons may end.

Sessions that share a session at the provider (sid) are one sign-in, whatever the application: that
is what a user recognises, and what ends together. If a logout is for the application alone, or the
provider gives no sid, each session is a sign-in of its own.

The address of a button holds the handle of a sign-in, which is no secret, and a form token. Only
the session for which the page was made can have the token: it is sealed with the session's id, and
valid for an hour.
"""

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
from extproc.core.session import Session, session_label
from extproc.core.session_list import SignIn, SignIns

OTHERS, EVERYWHERE = "others", "everywhere"
# seconds that the buttons of a page are valid
FORM_LIFE = 3600
# what a form token is sealed as
PURPOSE = "own sessions"
# independent of the machine's locale
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STALE = "Nothing was ended, because the page was too old. Please try again. "


# -- the request -----------------------------------------------------------------------------------


def shown(session: Session, request: Request) -> ListSessions:
    """Decide on GET /oauth2/sessions."""
    return ListSessions(session, stale=request.query == "stale")


def chosen(
    application: Application, request: Request, session: Session, now: int
) -> EndListedSessions | None:
    """Decide on POST /oauth2/sessions?end=WHICH&form=TOKEN.

    None if the form is not from a page of the processor, or from one that is too old. The form's
    fields are in its address, so that its body need not be read.
    """
    try:
        pairs = parameters(request.query, "replace")
    except ValueError:
        return None
    choices = [value for name, value in pairs if name == "end"]
    tokens = [value for name, value in pairs if name == "form"]
    if len(choices) != 1 or len(tokens) != 1:
        return None
    if not _is_valid_form(application, session, tokens[0], now):
        return None
    return EndListedSessions(session, choices[0], expired(application, request))


def form_token(application: Application, session: Session, now: int, entropy: bytes) -> str:
    """Make the token of a page's buttons.

    Args:
        application: the application whose page it is.
        session: the session for which the page is made.
        now: seconds since the epoch.
        entropy: 44 random bytes.
    """
    label = session_label(application, session.id, PURPOSE)
    return application.ring.seal(to_json(now).encode(), label, entropy)


def _is_valid_form(application: Application, session: Session, token: str, now: int) -> bool:
    label = session_label(application, session.id, PURPOSE)
    opened = application.ring.open(token, label, limit=512)
    return opened is not None and now < int(opened) + FORM_LIFE


# -- the page --------------------------------------------------------------------------------------


def page(application: Application, found: SignIns, token: str, now: int, *, stale: bool) -> Page:
    """The page for a store that can list sessions.

    Args:
        application: the application whose page it is.
        found: the user's sign-ins.
        token: the form token of the page's buttons.
        now: seconds since the epoch.
        stale: whether a form of an older page was refused just before.
    """
    others = sum(not sign_in.this for sign_in in found.sign_ins) + found.more
    return Page(
        "Your sessions",
        (_STALE if stale else "") + _summary(others, found, application.assertion_lifetime),
        _end_link(application, OTHERS, token) if others else application.url,
        "End all others" if others else "Back to the application",
        posts=bool(others),
        cards=tuple(_card(application, sign_in, token, now) for sign_in in found.sign_ins),
        back=application.url if others else "",
    )


def _summary(others: int, found: SignIns, assertion_lifetime: int) -> str:
    if not others:
        return "You are signed in here and nowhere else."
    times = "twice" if others == 1 else f"{others + 1} times"
    text = f"You are signed in {times}."
    if found.more:
        text += (
            f" The {len(found.sign_ins)} used last are shown below, and {found.more} more exist."
        )
    if assertion_lifetime:
        text += f" What you end here may still work for {_duration(assertion_lifetime)}."
    return text


def page_of_one(
    application: Application,
    session: Session,
    device: Device,
    token: str | None,
    now: int,
    *,
    stale: bool,
) -> Page:
    """The page for sessions in cookies, which cannot be listed: only the user's own session.

    Args:
        application: the application whose page it is.
        session: the session of the browser.
        device: the browser.
        token: the form token of the page's button; None if revocations are not stored, so that no
            other session can be ended.
        now: seconds since the epoch.
        stale: whether a form of an older page was refused just before.
    """
    text = (
        "This service keeps no list of sessions, so only this one is shown; you may be signed "
        "in elsewhere, too."
    )
    sign_in = SignIn(
        handle="",
        keys=(),
        sid=None,
        applications=(application.name,),
        device=device,
        created=session.created,
        used=session.touched,
        expires=session.expires,
        this=True,
    )
    return Page(
        "Your sessions",
        (_STALE if stale else "") + text,
        _end_link(application, EVERYWHERE, token) if token is not None else application.url,
        "Sign out everywhere" if token is not None else "Back to the application",
        posts=token is not None,
        cards=(_card(application, sign_in, "", now),),
        back=application.url if token is not None else "",
    )


def address(application: Application, *, stale: bool = False) -> str:
    """The URL of the page."""
    return f"{application.origin}{application.endpoints}{SESSIONS}{'?stale' if stale else ''}"


def _end_link(application: Application, which: str, token: str) -> str:
    return f"{application.endpoints}{SESSIONS}?{urlencode({'end': which, 'form': token})}"


def _card(application: Application, sign_in: SignIn, token: str, now: int) -> Card:
    facts = (
        ("Address", sign_in.device.address or "not known"),
        ("Signed in", _date(sign_in.created)),
        ("Last seen", "now" if sign_in.this else _ago(sign_in.used, now)),
        ("Ends", _date(sign_in.expires)),
        ("Applications", ", ".join(sign_in.applications)),
    )
    title = sign_in.device.agent or "A device that is not known"
    if sign_in.this:
        return Card(title, facts, application.endpoints + LOGOUT, "Sign out", "This one")
    return Card(title, facts, _end_link(application, sign_in.handle, token), "End")


def _date(seconds: int) -> str:
    """A time in UTC, which the text states, because the user's time zone is unknown."""
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}, {at:%H:%M} UTC"


def _ago(seconds: int, now: int) -> str:
    """How long ago a time is, as exactly as a last use is known: to about a minute."""
    passed = max(0, now - seconds)
    for unit, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if passed >= 2 * unit or (passed >= unit and unit != 60):
            return f"{passed // unit} {name}{'s' if passed // unit > 1 else ''} ago"
    return "a moment ago"


def _duration(seconds: int) -> str:
    return f"{seconds} seconds" if seconds < 120 else f"{seconds // 60} minutes"
