"""What operators do with sessions without having their cookies: list them, and end them by user, by the provider's sid, or all.

The store is opened for each request, so that it is the same where the admin is the processor's and where it is the supervisor's.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from extproc.oidc.index import open_entry, sid_tags, subject_tags
from extproc.oidc.session import Record
from extproc.sessions import Sessions
from extproc.sessions.opening import open_sessions
from extproc.sessions.stored import StoredSessions
from extproc.settings import Settings
from extproc.settings.store import shares_tombstones

MOST = 1000  # sessions in one answer
PATIENCE = 2.0  # seconds for a remote store to be there
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which sessions; nothing said: all of them."""

    user: str | None = None
    sid: str | None = None

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in (("user", self.user), ("sid", self.sid)) if value) or "all"


@dataclass(frozen=True, slots=True)
class Listed:
    """One session as its index has it. id: for the eye only. Times are seconds since the epoch."""

    id: str
    application: str
    issuer: str
    subject: str
    sid: str | None
    created: int
    used: int
    expires: int
    agent: str
    address: str


class NotPossible(Exception):
    """This kind of store cannot do it; its text is for the operator."""


class Operators:
    """In trio. Every method raises StoreUnavailable, and NotPossible."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._ring = settings.key_ring()
        self._issuers = sorted({provider.issuer for provider in settings.providers.values()})
        self._clock = clock

    async def listed(self, wanted: Wanted) -> tuple[Listed, ...]:
        """At most MOST, newest use first."""
        async with self._sessions() as sessions:
            if not isinstance(sessions, StoredSessions):
                raise NotPossible("sessions are in cookies: nobody can list them")
            records = await self._records(sessions, wanted)
        found = (self._entry(record) for record in records)
        return tuple(sorted((entry for entry in found if entry is not None), key=lambda e: -e.used))[:MOST]

    async def end(self, wanted: Wanted) -> int | None:
        """How many ended; None where nobody can know."""
        now = int(self._clock())
        async with self._sessions() as sessions:
            if wanted != Wanted():
                if not shares_tombstones(self._settings.store):
                    raise NotPossible(
                        "sessions are in cookies: set store.tombstones, by which the processor learns what is over"
                    )
                return await sessions.end_tagged(self._tags(wanted), now, now + int(self._settings.session.lifetime))
            if not isinstance(sessions, StoredSessions):
                raise NotPossible("sessions are in cookies: a new secret in place of the old ends them all")
            ended = 0
            while page := await sessions.store.page(None, _PAGE, now):
                for record in page.records:
                    await sessions.store.delete(record.key)
                ended += len(page.records)
                if page.after is None:
                    break
            return ended

    async def _records(self, sessions: StoredSessions, wanted: Wanted) -> list[Record]:
        now, found, after = int(self._clock()), {}, None
        if wanted != Wanted():
            for tag in self._tags(wanted):
                found.update({record.key: record for record in await sessions.store.tagged(tag, now)})
            return list(found.values())
        while len(found) < MOST:
            page = await sessions.store.page(after, _PAGE, now)
            found.update({record.key: record for record in page.records})
            after = page.after
            if after is None:
                break
        return list(found.values())

    def _tags(self, wanted: Wanted) -> tuple[bytes, ...]:
        """Of every provider: a sub or sid is rarely two people's, and then the list says so."""
        tags: tuple[bytes, ...] = ()
        for issuer in self._issuers:
            tags += subject_tags(self._ring, issuer, wanted.user) if wanted.user is not None else ()
            tags += sid_tags(self._ring, issuer, wanted.sid) if wanted.sid is not None else ()
        return tags

    def _entry(self, record: Record) -> Listed | None:
        entry = open_entry(self._ring, record.key, record.index)
        if entry is None:
            return None
        e, device = entry, entry.device
        return Listed(
            record.key.hex()[:16], e.application, e.issuer, e.subject, e.sid, e.created, record.touched, record.expires,
            device.agent, device.address,
        )  # fmt: skip

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
