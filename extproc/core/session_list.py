"""A user's sessions as the index shows them: which live, which are too many."""

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
    """A session by its outer layer. Times are seconds since the epoch."""

    key: bytes
    entry: IndexEntry
    used: int
    expires: int


def indexed(ring: KeyRing, record: Record) -> IndexedSession | None:
    """None: a record of before there was an index, or of another gateway's key."""
    entry = open_entry(ring, record.key, record.index)
    return (
        IndexedSession(record.key, entry, record.touched, record.expires)
        if entry is not None
        else None
    )


def living(
    application: Application, records: Iterable[Record], now: int
) -> tuple[IndexedSession, ...]:
    """Those of this application's provider that were not left idle for too long, in no order."""
    found = (indexed(application.ring, record) for record in records)
    return tuple(
        each
        for each in found
        if each is not None
        and each.entry.issuer == application.client.issuer
        and now < min(each.expires, each.used + application.session_idle)
    )


def surplus(application: Application, records: Iterable[Record], now: int) -> tuple[bytes, ...]:
    """The keys of those sessions of a user at this application that are more than it allows: the
    oldest.

    Every process finds the same ones, whatever else is beginning: two logins at once never end each
    other.
    """
    if application.sessions_per_user is None:
        return ()
    here = [
        each
        for each in living(application, records, now)
        if each.entry.application == application.name
    ]
    newest_first = sorted(here, key=lambda each: (each.entry.created, each.key), reverse=True)
    return tuple(each.key for each in newest_first[application.sessions_per_user :])


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a user takes for one session: the records that end together. this: the browser that asks
    is among them.
    """

    handle: str
    keys: tuple[bytes, ...]
    sid: str | None  # None: only these records
    applications: tuple[str, ...]
    device: Device
    created: int
    used: int
    expires: int
    this: bool


def sign_ins(
    application: Application, session: Session, records: Iterable[Record], now: int
) -> tuple[SignIn, ...]:
    """This one first, then by last use."""
    groups: dict[str, list[IndexedSession]] = defaultdict(list)
    for each in living(application, records, now):
        sid = each.entry.sid if application.logout_everywhere else None
        groups[f"sid {sid}" if sid is not None else f"key {each.key.hex()}"].append(each)
    found = [_sign_in(application, session, group) for group in groups.values()]
    return tuple(sorted(found, key=lambda each: (not each.this, -each.used, each.handle)))


def _sign_in(application: Application, session: Session, group: Sequence[IndexedSession]) -> SignIn:
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
