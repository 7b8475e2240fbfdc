"""A user's sessions as the index shows them: which are live, and which exceed the limit."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from extproc.core.application import Application
from extproc.core.device import Device
from extproc.core.sealing import KeyRing
from extproc.core.session import Session, handle_of
from extproc.core.session_index import IndexEntry, open_entry
from extproc.core.session_record import Record


@dataclass(frozen=True, slots=True)
class IndexedSession:
    """A session by the outer layer of its record. Times are seconds since the epoch."""

    key: bytes
    entry: IndexEntry
    used: int
    expires: int


def indexed(ring: KeyRing, record: Record) -> IndexedSession | None:
    """Read the outer layer of a record; None if it has none, or if it is of another gateway."""
    entry = open_entry(ring, record.key, record.index)
    if entry is None:
        return None
    return IndexedSession(record.key, entry, record.touched, record.expires)


def living(
    application: Application, records: Iterable[Record], now: int
) -> tuple[IndexedSession, ...]:
    """The live sessions of the application's provider, of any application, in no order."""
    sessions = (indexed(application.ring, record) for record in records)
    return tuple(
        session
        for session in sessions
        if session is not None
        and session.entry.issuer == application.client.issuer
        and now < min(session.expires, session.used + application.session_idle)
    )


def surplus(application: Application, records: Iterable[Record], now: int) -> tuple[bytes, ...]:
    """The keys of a user's oldest sessions at the application that exceed sessions_per_user.

    Every process chooses the same sessions, whichever others are beginning, so two logins at the
    same time never end each other.
    """
    if application.sessions_per_user is None:
        return ()
    sessions = [
        session
        for session in living(application, records, now)
        if session.entry.application == application.name
    ]
    sessions.sort(key=lambda session: (session.entry.created, session.key), reverse=True)
    return tuple(session.key for session in sessions[application.sessions_per_user :])


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


def sign_ins(
    application: Application, session: Session, records: Iterable[Record], now: int
) -> tuple[SignIn, ...]:
    """Group a user's live sessions into sign-ins: that of `session` first, then by last use."""
    groups: dict[str, list[IndexedSession]] = defaultdict(list)
    for found in living(application, records, now):
        sid = found.entry.sid if application.logout_everywhere else None
        groups[f"sid {sid}" if sid is not None else f"key {found.key.hex()}"].append(found)
    grouped = [_sign_in(application, session, group) for group in groups.values()]
    return tuple(sorted(grouped, key=lambda one: (not one.this, -one.used, one.handle)))


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
