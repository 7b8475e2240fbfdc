"""Locks, single-use markers and revocations as rows of a SQLite database, and the sweep of what has
expired: the tables `lock`, `attempt` and `grave`.

A change of the system clock does not affect a lock: all processes that share the file share a
machine, and its monotonic clock, in seconds since the machine started, decides (`clock`). Markers
and revocations go by the wall clock. They are kept for LATE seconds beyond their expiry; otherwise
they would be lost when a clock that was ahead is set back.

Every function works on the connection that it is given, within the caller's transaction, and may
raise sqlite3.Error.
"""

import sqlite3
from collections.abc import Sequence

from extproc.sessions.sqlite.schema import TABLES

# Seconds between two sweeps, which delete what has expired.
SWEEP_EVERY = 60
# Rows of each table that the first slice of a sweep deletes at most: it must not hold the
# database's lock for long.
SWEEP_ROWS = 1000
# Rows of each table that a further slice deletes. Every new marker may bring one, and one
# transaction has many markers. It is far more than one, so no flood of markers outgrows the sweeps.
SLICE_ROWS = 100
# Seconds that a single-use marker and a revocation are kept beyond their expiry.
LATE = 7200
# Seconds. A lock that expires later than that from now is from before the machine started.
LONGEST_LOCK = 600

_LOCK = (
    "INSERT INTO lock (key, holder, expires) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE"
    " SET holder = excluded.holder, expires = excluded.expires"
    " WHERE holder = excluded.holder OR expires <= ? OR expires > ?"
)
_REVOKE = (
    "INSERT INTO grave (key, at, expires) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE"
    " SET at = max(at, excluded.at), expires = max(expires, excluded.expires)"
)
_SWEEPS = {
    table: (
        f"DELETE FROM {table} WHERE key IN (SELECT key FROM {table} WHERE expires <= ? LIMIT ?)"  # noqa: S608
    )
    for table in TABLES
}


def lock(db: sqlite3.Connection, key: bytes, owner: bytes, seconds: int, clock: int) -> bool:
    """Take or renew a lock.

    Args:
        db: the database.
        key: what is locked.
        owner: of the lock.
        seconds: until it expires.
        clock: the monotonic clock.

    Returns:
        Whether `owner` has it now.
    """
    row = (key, owner, clock + seconds)
    return db.execute(_LOCK, (*row, clock, clock + LONGEST_LOCK)).rowcount == 1


def unlock(db: sqlite3.Connection, key: bytes, owner: bytes) -> None:
    """Delete a lock if `owner` has it."""
    db.execute("DELETE FROM lock WHERE key = ? AND holder = ?", (key, owner))


def use_once(db: sqlite3.Connection, key: bytes, expires: int, now: int) -> bool:
    """Write a single-use marker; whether there was none."""
    db.execute("DELETE FROM attempt WHERE key = ? AND expires <= ?", (key, now))
    query = "INSERT OR IGNORE INTO attempt (key, expires) VALUES (?, ?)"
    return db.execute(query, (key, expires)).rowcount == 1


def revoke_before(db: sqlite3.Connection, key: bytes, at: int, expires: int) -> None:
    """Write a revocation; the latest `at` and `expires` of a key stay."""
    db.execute(_REVOKE, (key, at, expires))


def revoked_before(db: sqlite3.Connection, keys: Sequence[bytes], now: int) -> int:
    """Give the latest `at` of these keys; 0 if none of them is revoked."""
    marks = ", ".join("?" * len(keys))
    query = f"SELECT coalesce(max(at), 0) FROM grave WHERE key IN ({marks}) AND expires > ?"  # noqa: S608
    (at,) = db.execute(query, (*keys, now)).fetchone()
    if not isinstance(at, int):
        # Garbage in the table. Which sessions are revoked is unknown, so none may pass.
        raise sqlite3.DataError("a tombstone is no number")
    return at


class Sweeper:
    """Deletes what has expired, in slices: a sweep goes on until nothing is past its end.

    A sweep begins SWEEP_EVERY seconds after the one before. Each new marker or revocation takes it
    further by one slice.
    """

    def __init__(self) -> None:
        self._last = 0
        self._unfinished = False

    def sweep(self, db: sqlite3.Connection, now: int, clock: int) -> None:
        """Delete some of what has expired, unless all of it was deleted a short time ago.

        A last sweep in the future, from before the clock was set back, does not count.

        Args:
            db: the database.
            now: the wall clock, for everything but locks.
            clock: the monotonic clock, for locks.
        """
        lately = self._last <= now < self._last + SWEEP_EVERY
        if lately and not self._unfinished:
            return
        rows = SLICE_ROWS if lately else SWEEP_ROWS
        if not lately:
            self._last = now
        ends = {"session": now, "attempt": now - LATE, "grave": now - LATE, "lock": clock}
        deleted = [
            db.execute(statement, (ends[table], rows)).rowcount
            for table, statement in _SWEEPS.items()
        ]
        self._unfinished = max(deleted) == rows
