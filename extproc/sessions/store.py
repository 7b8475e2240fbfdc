"""The interface of a store: session records (opaque bytes under a key, found by tags), locks, and
revocations.

Every method that is awaited runs in trio, and raises StoreUnavailable when the store cannot answer
in time; a missing answer never counts as "no session", "not locked" or "not revoked". What has
expired is treated as absent, and the store removes it by itself. Times are seconds since the epoch;
`now` is the caller's clock (a store may trust its own instead).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from extproc.core.session_record import Record

# Records of one list, at most: far more than people have sessions, and a few megabytes.
LISTED = 10_000


class WouldBlock(Exception):
    """A store cannot answer without waiting: ask again in the held lane. Never "no session"."""


class Replaced(Enum):
    """What came of replacing a record. It counts as true only if the record was written.

    Only GONE means that the session has ended.
    """

    WRITTEN = "written"
    GONE = "gone"
    NOT_MINE = "the lock is not the caller's, or not any more"

    def __bool__(self) -> bool:
        return self is Replaced.WRITTEN


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a store's records, in no particular order.

    `after` asks for the next page; None on the last one.
    """

    records: tuple[Record, ...]
    after: bytes | None


class Locks(Protocol):
    """The right to change a session, for one owner at a time among all processes."""

    async def lock(self, key: bytes, owner: bytes, seconds: int, now: int) -> bool:
        """Take the lock of a key, or renew it if `owner` has it already.

        Args:
            key: of a session, or any other; the session does not have to exist.
            owner: random bytes of the caller's.
            seconds: how long the lock lasts unless it is renewed or given up.
            now: the caller's clock.

        Returns:
            Whether `owner` has the lock now.
        """

    async def unlock(self, key: bytes, owner: bytes) -> None:
        """Give up a lock; without effect if another owner has it by now."""


class Revocations(Protocol):
    """Single-use markers and revocations, each kept until it expires.

    Every store has them; they are shared among processes if the store is.
    """

    async def use_once(self, key: bytes, expires: int, now: int) -> bool:
        """Mark a login attempt, or a logout token's jti, as used.

        Args:
            key: what is used.
            expires: until when the marker is kept.
            now: the caller's clock.

        Returns:
            True for exactly one caller, also among several processes.
        """

    async def revoke_before(self, key: bytes, at: int, expires: int) -> None:
        """Revoke the sessions of a key that were created at `at` or earlier.

        Args:
            key: a session's own key, a tag, or a mark.
            at: in milliseconds since the epoch (core/revocation.py). Never moves back: the latest
                of several calls counts.
            expires: until when the revocation is kept.
        """

    def revoked_before_nowait(self, keys: Sequence[bytes], now: int) -> int:
        """Answer revoked_before() on the event loop. Raises WouldBlock, always if it is remote."""

    async def revoked_before(self, keys: Sequence[bytes], now: int) -> int:
        """Give the latest `at` of these keys; 0 if none of them is revoked."""

    @property
    def missing(self) -> str | None:
        """Why the store cannot be used right now, for the operator; None if it can."""

    async def start(self) -> None:
        """Begin background work such as connecting; otherwise the first operation begins it."""

    async def aclose(self) -> None:
        """Close files and connections."""


class SessionStore(Revocations, Locks, Protocol):
    """Session records, with their locks and revocations."""

    def get_nowait(self, key: bytes, now: int) -> Record | None:
        """Answer get() on the event loop. Raises WouldBlock, always if the store is remote."""

    async def get(self, key: bytes, now: int) -> Record | None:
        """Read a record; None if there is none, or if it has expired."""

    async def put(self, record: Record, replaces: bytes | None = None) -> None:
        """Write a record, and delete the one under the key `replaces`.

        Both happen in one transaction if the store has them; otherwise the write comes first.
        """

    async def touch(self, key: bytes, now: int) -> None:
        """Record a session's last use. Never moves back; without effect if the session is gone."""

    async def delete(self, key: bytes) -> None:
        """Delete a record; no error if it is gone already."""

    async def tagged(self, tag: bytes, now: int, limit: int = LISTED) -> tuple[Record, ...]:
        """List records that carry a tag, the most recently used first.

        They come without their inner layer, `sealed`, which may have a quarter of a megabyte and
        which a list never needs.

        Args:
            tag: what the records carry.
            now: the caller's clock.
            limit: how many records are listed at most. A store that does not know the order of
                their last use chooses those that expire last.
        """

    async def tagged_page(self, tag: bytes, after: bytes | None, limit: int, now: int) -> Page:
        """List all records that carry a tag, page by page, as page(), and without `sealed`.

        Args:
            tag: what the records carry.
            after: of the page before; None for the first page.
            limit: how many records a page has at most.
            now: the caller's clock.
        """

    async def end(self, tag: bytes, now: int, spare: Collection[bytes] = ()) -> int:
        """Delete every record that carries a tag, but those of the keys in `spare`; count them."""

    async def page(self, after: bytes | None, limit: int, now: int) -> Page:
        """List records, page by page.

        A record that exists from the first page to the last comes at least once.

        Args:
            after: of the page before; None for the first page.
            limit: about how many records a page has.
            now: the caller's clock.
        """

    async def count(self, now: int) -> int | None:
        """Count the records, roughly; None if that would be expensive."""

    async def replace(self, record: Record, owner: bytes, now: int) -> Replaced:
        """Write what the lock's owner changed, tags included, in one atomic step.

        Nothing is written if the session is gone or `owner` has lost its lock, so a logout during a
        refresh is never undone. The later `touched` of both records stays, and so does the lock.

        Args:
            record: the changed record.
            owner: of the lock of the record's key.
            now: the caller's clock.

        Returns:
            Whether it was written, and if not, why. A lock can be lost: to a failover that does not
            know it, an eviction, or its end while the process stood still.
        """
