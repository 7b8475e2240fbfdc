"""What operators do with sessions without having their cookies: list them, and end them by id, by
user, by the provider's sid, or all.

The store is opened for each request, so that it is the same where the admin is the processor's and
where it is the supervisor's.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from extproc.core.session_index import open_entry, sid_tags, subject_tags
from extproc.core.session_record import Record
from extproc.sessions.factory import open_sessions
from extproc.sessions.interfaces import Sessions
from extproc.sessions.stored import StoredSessions
from extproc.settings import Settings
from extproc.settings.store import shares_tombstones

MOST = 1000  # sessions in one answer
PATIENCE = 2.0  # seconds for a remote store to be there
KEY_BYTES = 32  # of a record's key
_PAGE = 200


@dataclass(frozen=True, slots=True)
class SessionSelector:
    """Which sessions; nothing said: all of them."""

    user: str | None = None
    sid: str | None = None
    id: str | None = None  # as it is listed, or more of it: the record's key in hex

    def __str__(self) -> str:
        said = (("user", self.user), ("sid", self.sid), ("id", self.id))
        return " ".join(f"{name}={value}" for name, value in said if value) or "all"


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """One session as its index has it. idle: when it ends if nobody uses it. Times are seconds
    since the epoch.
    """

    id: str
    application: str
    issuer: str
    subject: str
    sid: str | None
    created: int
    used: int
    expires: int
    idle: int
    agent: str
    address: str
    provider: str  # its name in the settings; '' where the application is not in them any more


class NotPossible(Exception):
    """This kind of store cannot do it; its text is for the operator."""


class SessionAdmin:
    """In trio. Every method raises StoreUnavailable, and NotPossible."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._ring = settings.key_ring()
        self._issuers = sorted({provider.issuer for provider in settings.providers.values()})
        self._providers = {
            name: each.provider or "" for name, each in settings.applications.items()
        }
        self._clock = clock

    async def listed(self, wanted: SessionSelector) -> tuple[SessionSummary, ...]:
        """At most MOST, newest use first."""
        async with self._sessions() as sessions:
            if not isinstance(sessions, StoredSessions):
                raise NotPossible("sessions are in cookies: nobody can list them")
            records = await self._records(sessions, wanted)
        found = (self._entry(record) for record in records)
        return tuple(
            sorted((entry for entry in found if entry is not None), key=lambda e: -e.used)
        )[:MOST]

    async def end(self, wanted: SessionSelector) -> int | None:
        """How many ended; None where nobody can know."""
        now = int(self._clock())
        async with self._sessions() as sessions:
            if wanted.id is not None:
                return await self._end_one(sessions, wanted, now)
            if wanted != SessionSelector():
                if not shares_tombstones(self._settings.store):
                    raise NotPossible(
                        "sessions are in cookies: set store.tombstones, by which the "
                        "processor learns what is over"
                    )
                return await sessions.end_tagged(
                    self._tags(wanted), now, now + int(self._settings.session.lifetime)
                )
            if not isinstance(sessions, StoredSessions):
                raise NotPossible(
                    "sessions are in cookies: a new secret in place of the old ends them all"
                )
            ended = 0
            while page := await sessions.store.page(None, _PAGE, now):
                await sessions.delete_many([record.key for record in page.records])
                ended += len(page.records)
                if page.after is None:
                    break
            return ended

    async def _end_one(self, sessions: Sessions, wanted: SessionSelector, now: int) -> int:
        if not isinstance(sessions, StoredSessions):
            raise NotPossible(
                "sessions are in cookies: none can be found by its id; end those of its "
                "user, or of its sid"
            )
        found = await self._records(sessions, wanted)
        if len(found) > 1:
            raise NotPossible(
                f"{len(found)} sessions have an id that begins so; say more of it (list "
                "--json has it whole)"
            )
        await sessions.delete_many([record.key for record in found])
        return len(found)

    async def _records(self, sessions: StoredSessions, wanted: SessionSelector) -> list[Record]:
        now, found, after = int(self._clock()), dict[bytes, Record](), None
        if wanted.user is not None or wanted.sid is not None:
            return list(await sessions.tagged(self._tags(wanted), now) or ())
        if wanted.id is not None and len(wanted.id) == 2 * KEY_BYTES:
            one = await sessions.store.get(bytes.fromhex(wanted.id), now)
            return [one] if one is not None else []
        while len(found) < MOST:
            page = await sessions.store.page(after, _PAGE, now)
            # by its beginning one is found by looking at all: no store knows sessions by half a key
            found.update(
                {
                    each.key: each
                    for each in page.records
                    if each.key.hex().startswith(wanted.id or "")
                }
            )
            after = page.after
            if after is None:
                break
        return list(found.values())

    def _tags(self, wanted: SessionSelector) -> tuple[bytes, ...]:
        """Of every provider: a sub or sid is rarely two people's, and then the list says so."""
        tags: tuple[bytes, ...] = ()
        for issuer in self._issuers:
            tags += subject_tags(self._ring, issuer, wanted.user) if wanted.user is not None else ()
            tags += sid_tags(self._ring, issuer, wanted.sid) if wanted.sid is not None else ()
        return tags

    def _entry(self, record: Record) -> SessionSummary | None:
        entry = open_entry(self._ring, record.key, record.index)
        if entry is None:
            return None
        e, device = entry, entry.device
        idle = min(record.expires, record.touched + int(self._settings.session.idle))
        return SessionSummary(
            record.key.hex(),
            e.application,
            e.issuer,
            e.subject,
            e.sid,
            e.created,
            record.touched,
            record.expires,
            idle,
            device.agent,
            device.address,
            self._providers.get(e.application, ""),
        )

    @asynccontextmanager
    async def _sessions(self) -> AsyncIterator[Sessions]:
        sessions = open_sessions(self._settings.store)
        try:
            await sessions.start()
            with trio.move_on_after(PATIENCE):
                while sessions.missing is not None:  # noqa: ASYNC110 - an operator asks, not a user
                    await trio.sleep(0.05)
            yield sessions
        finally:
            with trio.CancelScope(shield=True):
                await sessions.aclose()
