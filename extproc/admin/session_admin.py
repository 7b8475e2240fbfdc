"""Lists and ends sessions for operators, who do not have their cookies: by id, by user, by the
provider's sid, or all.

The store is opened for each request, so that it makes no difference whether the admin listener is
the processor's or the supervisor's.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from extproc.core.session_index import open_entry, sid_tags, subject_tags
from extproc.core.session_record import Record
from extproc.core.session_selection import of_user_and_sid
from extproc.sessions.factory import opened
from extproc.sessions.interfaces import Sessions
from extproc.sessions.stored import StoredSessions
from extproc.settings import Settings
from extproc.settings.store import shares_tombstones

# Sessions in one list, at most.
MOST = 1000
# Hexadecimal digits of a whole id, which is the key of a record.
ID_DIGITS = 64
# Records that are read from the store at a time.
_PAGE = 200


@dataclass(frozen=True, slots=True)
class SessionSelector:
    """Which sessions an operator means; all of them if nothing is given.

    user: the `sub` of the ID token. sid: of the session at the provider. id: as in the list, or
    more of its digits.
    """

    user: str | None = None
    sid: str | None = None
    id: str | None = None

    def __str__(self) -> str:
        criteria = (("user", self.user), ("sid", self.sid), ("id", self.id))
        return " ".join(f"{name}={value}" for name, value in criteria if value) or "all"


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """One session, as far as its index entry shows it. Times are seconds since the epoch.

    used: last use. idle: when it ends if it is not used. provider: its name in the settings; empty
    if the application is not in the settings any more.
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
    provider: str


class NotPossible(Exception):
    """The processor cannot do what the operator asks for; the text is for the operator.

    Sessions are in cookies and cannot be listed, or the beginning of an id fits several sessions.
    """


class SessionAdmin:
    """Lists and ends sessions. Runs in trio; every method may raise StoreUnavailable."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        """
        Args:
            settings: of the processor: its store, keys, providers and applications.
            clock: seconds since the epoch.
        """
        self._settings = settings
        self._ring = settings.key_ring()
        self._issuers = sorted({provider.issuer for provider in settings.providers.values()})
        self._providers = {
            name: application.provider or "" for name, application in settings.applications.items()
        }
        self._clock = clock

    async def listed(self, selector: SessionSelector) -> tuple[SessionSummary, ...]:
        """List at most MOST sessions, the most recently used first.

        Raises NotPossible if sessions are in cookies.
        """
        async with opened(self._settings.store) as sessions:
            if not isinstance(sessions, StoredSessions):
                raise NotPossible("sessions are in cookies: they cannot be listed")
            records = await self._records(sessions, selector)
        summaries = (self._summary(record) for record in records)
        known = [summary for summary in summaries if summary is not None]
        return tuple(sorted(known, key=lambda summary: -summary.used))[:MOST]

    async def end(self, selector: SessionSelector) -> int | None:
        """End sessions, and count them; None if that cannot be known.

        Raises NotPossible if the beginning of an id fits several sessions. If sessions are in
        cookies, also for an id, for all sessions, and for a user or sid without store.tombstones.
        """
        now = int(self._clock())
        async with opened(self._settings.store) as sessions:
            if selector.id is not None:
                return await self._end_one(sessions, selector)
            if selector != SessionSelector():
                return await self._end_named(sessions, selector)
            return await self._end_all(sessions, now)

    async def _end_one(self, sessions: Sessions, selector: SessionSelector) -> int:
        if not isinstance(sessions, StoredSessions):
            raise NotPossible(
                "sessions are in cookies: none can be found by its id; end those of its "
                "user, or of its sid"
            )
        records = await self._records(sessions, selector)
        if len(records) > 1:
            raise NotPossible(
                f"{len(records)} sessions have an id that begins so; give more digits of it (list "
                "--json has the whole id)"
            )
        await sessions.delete_many([record.key for record in records])
        return len(records)

    async def _end_named(self, sessions: Sessions, selector: SessionSelector) -> int | None:
        """End the sessions of a user, of a sid, or of a user that have the sid."""
        if not shares_tombstones(self._settings.store):
            raise NotPossible(
                "sessions are in cookies: set store.tombstones, by which the processor learns "
                "which sessions have ended"
            )
        moment = self._clock()
        until = int(moment) + self._settings.longest_session
        if selector.user is None or selector.sid is None:
            return await sessions.end_tagged(self._tags(selector), moment, until)
        ended: int | None = 0
        for issuer in self._issuers:
            both = of_user_and_sid(self._ring, issuer, selector.user, selector.sid)
            found = await sessions.end_selected(both, moment, until)
            ended = ended + found if ended is not None and found is not None else None
        return ended

    async def _end_all(self, sessions: Sessions, now: int) -> int | None:
        if not isinstance(sessions, StoredSessions):
            raise NotPossible(
                "sessions are in cookies: a new secret in place of the old ends them all"
            )
        return await sessions.end_everything(now)

    async def _records(self, sessions: StoredSessions, selector: SessionSelector) -> list[Record]:
        now = int(self._clock())
        if selector.user is not None or selector.sid is not None:
            records = await sessions.tagged(self._tags(selector), now) or ()
            return [record for record in records if self._has_both(selector, record)]
        if selector.id is not None and len(selector.id) == ID_DIGITS:
            record = await sessions.record(bytes.fromhex(selector.id), now)
            return [record] if record is not None else []
        # No store knows sessions by a part of their key, so all of them are read.
        return await _with_id(sessions, selector.id or "", now)

    def _tags(self, selector: SessionSelector) -> tuple[bytes, ...]:
        """Give the tags of a user, or of a sid, at every provider.

        The same sub or sid at two providers is rare; the list then shows both.
        """
        tags: list[bytes] = []
        for issuer in self._issuers:
            if selector.user is not None:
                tags += subject_tags(self._ring, issuer, selector.user)
            if selector.sid is not None:
                tags += sid_tags(self._ring, issuer, selector.sid)
        return tuple(tags)

    def _has_both(self, selector: SessionSelector, record: Record) -> bool:
        """Whether a record of the user or the sid has both, if the operator gave both."""
        if selector.user is None or selector.sid is None:
            return True
        entry = open_entry(self._ring, record.key, record.index)
        return entry is not None and (entry.subject, entry.sid) == (selector.user, selector.sid)

    def _summary(self, record: Record) -> SessionSummary | None:
        """Give what the index entry shows; None if it is another key's, or damaged."""
        entry = open_entry(self._ring, record.key, record.index)
        if entry is None:
            return None
        settings = self._settings.session
        # The settings may have no such application any more.
        if entry.application in self._settings.applications:
            settings = self._settings.session_at(entry.application)
        expires = min(record.expires, entry.created + int(settings.lifetime))
        return SessionSummary(
            id=record.key.hex(),
            application=entry.application,
            issuer=entry.issuer,
            subject=entry.subject,
            sid=entry.sid,
            created=entry.created,
            used=record.touched,
            expires=expires,
            idle=min(expires, record.touched + int(settings.idle)),
            agent=entry.device.agent,
            address=entry.device.address,
            provider=self._providers.get(entry.application, ""),
        )


async def _with_id(sessions: StoredSessions, beginning: str, now: int) -> list[Record]:
    """Read the records whose id has this beginning, until there are MOST."""
    # By key, because a page may have a record that an earlier page had.
    records: dict[bytes, Record] = {}
    after: bytes | None = None
    while len(records) < MOST:
        page = await sessions.page(after, _PAGE, now)
        records |= {
            record.key: record for record in page.records if record.key.hex().startswith(beginning)
        }
        after = page.after
        if after is None:
            break
    return list(records.values())
