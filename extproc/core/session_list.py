"""A user's sessions as the index shows them: which are live, and which exceed the limit."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from extproc.core.application import Application
from extproc.core.device import Device
from extproc.core.sealing import KeyRing
from extproc.core.session import Session, handle_of
from extproc.core.session_index import (
    IndexEntry,
    carries_its_tags,
    open_entry,
    subject_tags,
)
from extproc.core.session_record import Record

# Sign-ins that a page shows, and records that are opened for it, at most.
SHOWN = 100
OPENED = 1000


@dataclass(frozen=True, slots=True)
class IndexedSession:
    """A session by the outer layer of its record. Times are seconds since the epoch."""

    key: bytes
    entry: IndexEntry
    used: int
    expires: int


def indexed(ring: KeyRing, record: Record) -> IndexedSession | None:
    """Read the outer layer of a record.

    None if it has none, if it is of another gateway, or if its tags are not those of its entry.
    """
    entry = open_entry(ring, record.key, record.index)
    if entry is None or not carries_its_tags(ring, entry, record.tags):
        return None
    return IndexedSession(record.key, entry, record.touched, record.expires)


def of_user(
    application: Application, subject: str, records: Iterable[Record]
) -> tuple[IndexedSession, ...]:
    """The sessions of a user of the application's provider, at any application, in no order.

    A shorter session.lifetime counts for sessions that exist, as in Session.ends(). Each session
    has the times of its own application.
    """
    sessions = (indexed(application.ring, record) for record in records)
    return tuple(
        _within(application, session)
        for session in sessions
        if session is not None
        and session.entry.issuer == application.client.issuer
        and session.entry.subject == subject
    )


def _within(application: Application, session: IndexedSession) -> IndexedSession:
    """A session with its end by the settings of its application."""
    lifetime, _ = _times(application, session.entry.application)
    return replace(session, expires=min(session.expires, session.entry.created + lifetime))


def _times(application: Application, name: str) -> tuple[int, int]:
    """The lifetime and the idle time at an application; those of the page's own where the settings
    have none of that name any more.
    """
    own = application.session_lifetime, application.session_idle
    return application.times_of.get(name, own)


def _is_live(application: Application, session: IndexedSession, now: int) -> bool:
    """Whether a session has not ended by itself."""
    _, idle = _times(application, session.entry.application)
    return now < min(session.expires, session.used + idle)


def surplus(
    application: Application, subject: str, records: Iterable[Record], now: int
) -> tuple[bytes, ...]:
    """The keys of a user's sessions at the application that are too many.

    These are the oldest ones that exceed sessions_per_user, and all that ended by themselves, which
    a store would otherwise keep until session.lifetime. Every process chooses the same sessions,
    whichever others are beginning, so two logins at the same time never end each other. Of a part
    of the records, too, it gives only keys that are too many among all of them.

    Args:
        application: with the limit.
        subject: the user.
        records: of the user, with any other among them.
        now: seconds since the epoch.
    """
    if application.sessions_per_user is None:
        return ()
    sessions = [
        session
        for session in of_user(application, subject, records)
        if session.entry.application == application.name
    ]
    sessions.sort(key=lambda session: (session.entry.created, session.key), reverse=True)
    live: list[bytes] = []
    over: list[bytes] = []
    for session in sessions:
        kind = live if _is_live(application, session, now) else over
        kind.append(session.key)
    return (*live[application.sessions_per_user :], *over)


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a user recognises as one session: the records that end together.

    Times are seconds since the epoch.

    Attributes:
        handle: the handle of the oldest record.
        keys: the keys of the records, the oldest first.
        sid: the session at the provider that the records share; None: only these records.
        this: whether it includes the session of the browser that asks.
    """

    handle: str
    keys: tuple[bytes, ...]
    sid: str | None
    applications: tuple[str, ...]
    device: Device
    created: int
    used: int
    expires: int
    this: bool


@dataclass(frozen=True, slots=True)
class SignIns:
    """A user's sign-ins, as far as a page has room for them; `more` is how many it leaves out."""

    sign_ins: tuple[SignIn, ...]
    more: int = 0


def sign_ins(
    application: Application, session: Session, records: Iterable[Record], now: int
) -> SignIns:
    """Group the live sessions of the user of `session` into sign-ins.

    That of `session` comes first, then those that were used last.

    Args:
        application: whose page shows them.
        session: of the browser that asks.
        records: of the user, the most important ones first: only OPENED of them are looked into.
            Those of other users, who may share the `sid`, are left out before that.
        now: seconds since the epoch.
    """
    own = set(subject_tags(application.ring, session.issuer, session.subject))
    # Which application a record is of shows only when it is opened.
    idle = max(idle for _, idle in application.times_of.values())
    live = {
        record.key: record
        for record in records
        if now < min(record.expires, record.touched + idle) and own.intersection(record.tags)
    }
    opened = tuple(live.values())[:OPENED]
    groups: dict[str, list[IndexedSession]] = defaultdict(list)
    for found in of_user(application, session.subject, opened):
        if not _is_live(application, found, now):
            continue
        sid = found.entry.sid if application.logout_everywhere else None
        groups[f"sid {sid}" if sid is not None else f"key {found.key.hex()}"].append(found)
    grouped = [_sign_in(application, session, group) for group in groups.values()]
    grouped.sort(key=lambda one: (not one.this, -one.used, one.handle))
    more = len(grouped[SHOWN:]) + len(live) - len(opened)
    return SignIns(tuple(grouped[:SHOWN]), more)


def _sign_in(application: Application, session: Session, group: Sequence[IndexedSession]) -> SignIn:
    oldest_first = sorted(group, key=lambda one: (one.entry.created, one.key))
    oldest = oldest_first[0]
    latest = max(group, key=lambda one: one.used)
    keys = tuple(one.key for one in oldest_first)
    return SignIn(
        handle=handle_of(oldest.key),
        keys=keys,
        sid=oldest.entry.sid if application.logout_everywhere else None,
        applications=tuple(sorted({one.entry.application for one in group})),
        device=latest.entry.device,
        created=oldest.entry.created,
        used=latest.used,
        expires=max(one.expires for one in group),
        this=session.id.key in keys,
    )
