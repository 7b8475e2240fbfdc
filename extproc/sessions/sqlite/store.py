"""SQLite: the embedded store. One file, WAL, several processes of one machine; it survives a
restart.

Reads of the inline lane use a connection of their own on the event loop that never waits: a locked
database is WouldBlock, and the request goes to the held lane. Everything else runs in a worker
thread, under a deadline: reads one at a time on a connection of their own, changes as the writer
commits them.

A clock that is set changes nothing about a lock: all processes that share the file share a machine,
whose monotonic clock they go by. And what is over for good outlives its end by LATE, or it would
not be known any more when a clock that was ahead is set back.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import trio

from extproc.core.errors import StoreUnavailable
from extproc.core.session_index import TAG_BYTES
from extproc.core.session_record import Record
from extproc.sessions.sqlite.schema import TABLES, migrate
from extproc.sessions.sqlite.writer import Writer
from extproc.sessions.store import Page, WouldBlock

T = TypeVar("T")
Row = tuple[bytes, bytes, int, int, bytes, bytes]
SWEEP_EVERY = 60  # seconds between deletions of what is past its end
SWEEP_ROWS = 1000  # at most so many at once: a sweep must not hold the lock for long
LATE = 7200  # seconds that an attempt and a grave stay after their end
# seconds: one that ends later than that from now is from before the machine started
LONGEST_LOCK = 600
_SWEEPS = {
    table: (
        f"DELETE FROM {table} WHERE key IN (SELECT key FROM {table} WHERE expires <= ? LIMIT ?)"  # noqa: S608
    )
    for table in TABLES
}
_SELECT = "SELECT key, sealed, expires, touched, entry, tags FROM session WHERE expires > ?"
_LOCK = (
    "INSERT INTO lock (key, holder, expires) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE"
    " SET holder = excluded.holder, expires = excluded.expires WHERE holder = "
    "excluded.holder OR expires <= ? OR expires > ?"
)
_REPLACE = (
    "UPDATE session SET sealed = ?, expires = ?, touched = max(touched, ?), entry = ?, tags "
    "= ? WHERE key = ? AND expires > ?"
    " AND EXISTS (SELECT 1 FROM lock WHERE lock.key = session.key AND holder = ? AND "
    "lock.expires > ?)"
)
_BURY = (
    "INSERT INTO grave (key, at, expires) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE"
    " SET at = max(at, excluded.at), expires = max(expires, excluded.expires)"
)


class SQLiteStore:
    """See SessionStore. deadline: seconds that one operation waits for locks, and a question for
    its turn.

    clock: for locks; seconds since the machine started.
    """

    def __init__(
        self, path: Path, deadline: float = 2.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Opens or makes the file, readable by this user only. Raises StoreUnavailable when it is
        no database of ours.
        """
        self._deadline, self._clock = deadline, clock
        self._one = trio.CapacityLimiter(1)
        self._swept = 0
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._changed = _open(path, deadline)
            _write_ahead(self._changed, deadline)
            self._changed.execute("PRAGMA synchronous = NORMAL")
            migrate(self._changed)
            self._writer = Writer(self._changed)
            self._peeked, self._read = _open(path, 0), _open(path, deadline)
            for connection in (self._peeked, self._read):
                connection.execute("PRAGMA query_only = 1")
        except (sqlite3.Error, OSError, StoreUnavailable) as error:
            raise StoreUnavailable(f"store.path {path}: {error}") from error

    # -- sessions ----------------------------------------------------------------------------------

    def get_nowait(self, key: bytes, now: int) -> Record | None:
        try:
            return _one(self._peeked, key, now)
        except sqlite3.Error as error:
            raise WouldBlock from error

    async def get(self, key: bytes, now: int) -> Record | None:
        return await self._ask(lambda db: _one(db, key, now))

    async def put(self, record: Record, replaces: bytes | None = None) -> None:
        def write(db: sqlite3.Connection) -> None:
            if replaces is not None:
                db.execute("DELETE FROM session WHERE key = ?", (replaces,))
            db.execute(
                "INSERT OR REPLACE INTO session (key, sealed, expires, touched, entry, "
                "tags) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    record.key,
                    record.sealed,
                    record.expires,
                    record.touched,
                    record.index,
                    _joined(record),
                ),
            )
            _tag(db, record)

        await self._writer.run(write)

    async def touch(self, key: bytes, now: int) -> None:
        await self._writer.run(
            lambda db: db.execute(
                "UPDATE session SET touched = ? WHERE key = ? AND touched < ?", (now, key, now)
            )
        )

    async def delete(self, key: bytes) -> None:
        await self._writer.run(lambda db: db.execute("DELETE FROM session WHERE key = ?", (key,)))

    async def tagged(self, tag: bytes, now: int) -> tuple[Record, ...]:
        query = f"{_SELECT} AND key IN (SELECT key FROM tag WHERE tag = ?) ORDER BY touched DESC"  # noqa: S608
        return await self._ask(lambda db: _records(db.execute(query, (now, tag))))

    async def end(self, tag: bytes, now: int) -> int:
        query = (
            "DELETE FROM session WHERE key IN (SELECT key FROM tag WHERE tag = ?) AND expires > ?"
        )
        return await self._writer.run(lambda db: db.execute(query, (tag, now)).rowcount)

    async def page(self, after: bytes | None, limit: int, now: int) -> Page:
        query = f"{_SELECT} AND key > ? ORDER BY key LIMIT ?"
        rows = await self._ask(lambda db: db.execute(query, (now, after or b"", limit)).fetchall())
        return Page(_records(rows), rows[-1][0] if len(rows) == limit else None)

    async def count(self, now: int) -> int | None:
        # an index has it: 10 ms for a hundred thousand
        query = "SELECT count(*) FROM session WHERE expires > ?"
        (number,) = await self._ask(lambda db: db.execute(query, (now,)).fetchone())
        return int(number)

    # -- one holder at a time ----------------------------------------------------------------------

    async def lock(self, key: bytes, owner: bytes, seconds: int, now: int) -> bool:
        def write(db: sqlite3.Connection) -> bool:
            at = int(self._clock())
            return (
                db.execute(_LOCK, (key, owner, at + seconds, at, at + LONGEST_LOCK)).rowcount == 1
            )

        return await self._writer.run(write)

    async def unlock(self, key: bytes, owner: bytes) -> None:
        await self._writer.run(
            lambda db: db.execute("DELETE FROM lock WHERE key = ? AND holder = ?", (key, owner))
        )

    async def replace(self, record: Record, owner: bytes, now: int) -> bool:
        values = (
            record.sealed,
            record.expires,
            record.touched,
            record.index,
            _joined(record),
            record.key,
            now,
        )

        def write(db: sqlite3.Connection) -> bool:
            written = db.execute(_REPLACE, (*values, owner, int(self._clock()))).rowcount == 1
            if written:
                _tag(db, record)
            return written

        return await self._writer.run(write)

    # -- what happens once, what is over -----------------------------------------------------------

    async def use_once(self, key: bytes, expires: int, now: int) -> bool:
        def write(db: sqlite3.Connection) -> bool:
            self._sweep(db, now)
            db.execute("DELETE FROM attempt WHERE key = ? AND expires <= ?", (key, now))
            row = (key, expires)
            return (
                db.execute(
                    "INSERT OR IGNORE INTO attempt (key, expires) VALUES (?, ?)", row
                ).rowcount
                == 1
            )

        return await self._writer.run(write)

    async def revoke_before(self, key: bytes, at: int, expires: int) -> None:
        await self._writer.run(lambda db: db.execute(_BURY, (key, at, expires)))

    def revoked_before_nowait(self, keys: Sequence[bytes], now: int) -> int:
        try:
            return _latest_burial(self._peeked, keys, now)
        except sqlite3.Error as error:
            raise WouldBlock from error

    async def revoked_before(self, keys: Sequence[bytes], now: int) -> int:
        return await self._ask(lambda db: _latest_burial(db, keys, now))

    @property
    def missing(self) -> str | None:
        return None

    async def start(self) -> None:
        """Nothing: it was opened when it was made."""

    async def aclose(self) -> None:
        for connection in (self._peeked, self._read, self._changed):
            connection.close()

    def _sweep(self, db: sqlite3.Connection, now: int) -> None:
        if self._swept <= now < self._swept + SWEEP_EVERY:
            return
        self._swept = now
        ends = {
            "session": now,
            "attempt": now - LATE,
            "grave": now - LATE,
            "lock": int(self._clock()),
        }
        for table, statement in _SWEEPS.items():
            db.execute(statement, (ends[table], SWEEP_ROWS))

    async def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with trio.fail_after(self._deadline):
                return await trio.to_thread.run_sync(question, self._read, limiter=self._one)
        except (sqlite3.Error, trio.TooSlowError) as error:
            raise StoreUnavailable(f"sqlite: {error or 'no answer in time'}") from error


def _open(path: Path, patience: float) -> sqlite3.Connection:
    """patience: seconds that a statement waits for a lock."""
    db = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
    # nothing of ours is text, and one that is no UTF-8 would take every row of a question away
    db.text_factory = bytes
    return db


def _write_ahead(db: sqlite3.Connection, patience: float) -> None:
    """Turns the file to WAL. Here SQLite does not wait for a lock by itself, and workers that start
    together meet at a new file.
    """
    until = time.monotonic() + patience
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.005)


def read_only(path: Path, key: bytes, now: int) -> Record | None:
    """One session, for a look from outside: nothing is made, and nothing changed. Raises
    StoreUnavailable.
    """
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1)
        try:
            return _one(db, key, now)
        finally:
            db.close()
    except sqlite3.Error as error:
        raise StoreUnavailable(f"store.path {path}: {error}") from error


def _one(db: sqlite3.Connection, key: bytes, now: int) -> Record | None:
    row = db.execute(f"{_SELECT} AND key = ?", (now, key)).fetchone()
    return _record(row) if row is not None else None


def _records(rows: Iterable[Row]) -> tuple[Record, ...]:
    return tuple(record for row in rows if (record := _record(row)) is not None)


def _record(row: Row) -> Record | None:
    """None for what no version of this program wrote: SQLite keeps a value of any type in any
    column, and nobody has such a session.
    """
    key, sealed, expires, touched, entry, tags = row
    if not all(isinstance(value, bytes) for value in (key, sealed, entry, tags)):
        return None
    if not (isinstance(expires, int) and isinstance(touched, int)):
        return None
    split = tuple(tags[start : start + TAG_BYTES] for start in range(0, len(tags), TAG_BYTES))
    return Record(key, sealed, expires, touched, entry, split)


def _joined(record: Record) -> bytes:
    if any(len(tag) != TAG_BYTES for tag in record.tags):
        raise ValueError(f"a tag has {TAG_BYTES} bytes")
    return b"".join(record.tags)


def _tag(db: sqlite3.Connection, record: Record) -> None:
    db.execute("DELETE FROM tag WHERE key = ?", (record.key,))
    db.executemany(
        "INSERT OR IGNORE INTO tag (tag, key) VALUES (?, ?)",
        [(tag, record.key) for tag in record.tags],
    )


def _latest_burial(db: sqlite3.Connection, keys: Sequence[bytes], now: int) -> int:
    marks = ", ".join("?" * len(keys))
    query = f"SELECT coalesce(max(at), 0) FROM grave WHERE key IN ({marks}) AND expires > ?"  # noqa: S608
    (at,) = db.execute(query, (*keys, now)).fetchone()
    if not isinstance(at, int):  # whose sessions are over nobody knows then
        raise sqlite3.DataError("a tombstone is no number")
    return at
