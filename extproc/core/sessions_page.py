"""A user's own sessions: what is known of them without their cookies, the page that shows them, and what its buttons may end.

Sessions of one sid at the provider are one sign-in, whatever the applications: that is what a user recognises, and what ends at
once. Where a logout is for the application alone, or the provider has no sid, each session is one.

A button's address has the handle of a sign-in, which is no secret, and a token that this session alone can have got from a page of
ours: sealed with its id, and good for an hour.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from extproc.core.application import Application
from extproc.core.decisions import Card, EndOwn, Page, ShowOwn
from extproc.core.device import Device
from extproc.core.http import Request, parameters
from extproc.core.logout import expired
from extproc.core.sealing import KeyRing, Label, to_json
from extproc.core.session import Session, handle_of
from extproc.core.session_index import IndexEntry, open_entry
from extproc.core.session_record import Record

PATH = "sessions"
OTHERS, EVERYWHERE = "others", "everywhere"
FORM_LIFE = 3600  # seconds
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


# -- what is known --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """A session by its outer layer. Times are seconds since the epoch."""

    key: bytes
    entry: IndexEntry
    used: int
    expires: int


def known(ring: KeyRing, record: Record) -> Known | None:
    """None: a record of before there was an index, or of another gateway's key."""
    entry = open_entry(ring, record.key, record.index)
    return Known(record.key, entry, record.touched, record.expires) if entry is not None else None


def living(application: Application, records: Iterable[Record], now: int) -> tuple[Known, ...]:
    """Those of this application's provider that were not left idle for too long, in no order."""
    found = (known(application.ring, record) for record in records)
    return tuple(
        each
        for each in found
        if each is not None
        and each.entry.issuer == application.client.issuer
        and now < min(each.expires, each.used + application.session_idle)
    )


def surplus(application: Application, records: Iterable[Record], now: int) -> tuple[bytes, ...]:
    """The keys of those sessions of a user at this application that are more than it allows: the oldest.

    Every process finds the same ones, whatever else is beginning: two logins at once never end each other.
    """
    if application.sessions_per_user is None:
        return ()
    here = [each for each in living(application, records, now) if each.entry.application == application.name]
    newest_first = sorted(here, key=lambda each: (each.entry.created, each.key), reverse=True)
    return tuple(each.key for each in newest_first[application.sessions_per_user :])


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a user takes for one session: the records that end together. this: the browser that asks is among them."""

    handle: str
    keys: tuple[bytes, ...]
    sid: str | None  # None: only these records
    applications: tuple[str, ...]
    device: Device
    created: int
    used: int
    expires: int
    this: bool


def sign_ins(application: Application, session: Session, records: Iterable[Record], now: int) -> tuple[SignIn, ...]:
    """This one first, then by last use."""
    groups: dict[str, list[Known]] = defaultdict(list)
    for each in living(application, records, now):
        sid = each.entry.sid if application.logout_everywhere else None
        groups[f"sid {sid}" if sid is not None else f"key {each.key.hex()}"].append(each)
    found = [_sign_in(application, session, group) for group in groups.values()]
    return tuple(sorted(found, key=lambda each: (not each.this, -each.used, each.handle)))


def _sign_in(application: Application, session: Session, group: Sequence[Known]) -> SignIn:
    oldest_first = sorted(group, key=lambda each: (each.entry.created, each.key))
    latest = max(group, key=lambda each: each.used)
    return SignIn(
        handle_of(oldest_first[0].key),
        tuple(each.key for each in oldest_first),
        oldest_first[0].entry.sid if application.logout_everywhere else None,
        tuple(sorted({each.entry.application for each in group})),
        latest.entry.device,
        oldest_first[0].entry.created,
        latest.used,
        max(each.expires for each in group),
        session.id.key in {each.key for each in group},
    )


# -- what was asked for ---------------------------------------------------------------------------------------------


def shown(session: Session, request: Request) -> ShowOwn:
    """GET /oauth2/sessions."""
    return ShowOwn(session, stale=request.query == "stale")


def chosen(application: Application, request: Request, session: Session, now: int) -> EndOwn | None:
    """POST /oauth2/sessions?end=WHICH&form=TOKEN, or None: not of a page of ours, or of one that is too old.

    What a form says stands in its address, so that its body need not be read.
    """
    try:
        pairs = parameters(request.query, "replace")
    except ValueError:
        return None
    which, tokens = ([value for name, value in pairs if name == wanted] for wanted in ("end", "form"))
    if len(which) != 1 or len(tokens) != 1 or not _form_is_ours(application, session, tokens[0], now):
        return None
    return EndOwn(session, which[0], expired(application, request))


def form_token(application: Application, session: Session, now: int, entropy: bytes) -> str:
    """entropy: 44 random bytes."""
    return application.ring.seal(to_json(now).encode(), _label(application, session), entropy)


def _form_is_ours(application: Application, session: Session, token: str, now: int) -> bool:
    opened = application.ring.open(token, _label(application, session), limit=512)
    return opened is not None and now < int(opened) + FORM_LIFE


def _label(application: Application, session: Session) -> Label:
    return Label("own sessions", application.name, session.id.key.hex(), secret=session.id.value.encode())


# -- the page -------------------------------------------------------------------------------------------------------

_STALE = "Nothing was ended, because the page was too old. Please try again. "


def page(application: Application, found: Sequence[SignIn], token: str, now: int, *, stale: bool) -> Page:
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
    application: Application, session: Session, device: Device, token: str | None, now: int, *, stale: bool
) -> Page:
    """Where sessions are in cookies: this one. token: None where nothing remembers what is over, so no other can be ended."""
    text = "This service keeps no list of sessions, so only this one is shown; you may be signed in elsewhere, too."
    one = SignIn(
        "", (), None, (application.name,), device, session.created, session.touched, session.expires, this=True
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
    return f"{application.origin}{application.endpoints}{PATH}{'?stale' if stale else ''}"


def _ending(application: Application, which: str, token: str) -> str:
    return f"{application.endpoints}{PATH}?{urlencode({'end': which, 'form': token})}"


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
        return Card(title, facts, f"{application.endpoints}logout", "Sign out", "This one")
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
