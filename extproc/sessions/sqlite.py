"""SQLite: the embedded store. One file, WAL, several processes of one machine; it survives a restart.

Reads of the inline lane use a connection of their own on the event loop that never waits: a locked database is StoreBusy, and
the request goes to the held lane. Everything else runs in a worker thread, one at a time, under a deadline.
"""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import trio

from extproc.oidc.errors import StoreUnavailable
from extproc.oidc.session import Record
from extproc.sessions import StoreBusy

T = TypeVar("T")
SCHEMA = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS session
  (key BLOB PRIMARY KEY, sealed BLOB NOT NULL, expires INTEGER NOT NULL, touched INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS session_expires ON session (expires);
CREATE TABLE IF NOT EXISTS attempt (key BLOB PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS attempt_expires ON attempt (expires);
"""
_SWEEPS = (
    "DELETE FROM session WHERE key IN (SELECT key FROM session WHERE expires <= ? LIMIT ?)",
    "DELETE FROM attempt WHERE key IN (SELECT key FROM attempt WHERE expires <= ? LIMIT ?)",
)
SWEEP_EVERY = 60  # seconds between deletions of what is past its end
SWEEP_ROWS = 1000  # at most so many at once: a sweep must not hold the lock for long
_SELECT = "SELECT sealed, expires, touched FROM session WHERE key = ? AND expires > ?"


class SQLiteStore:
    """See SessionStore. deadline: seconds for one operation, waiting for its turn and for locks included."""

    def __init__(self, path: Path, deadline: float = 2.0) -> None:
        """Opens or makes the file, readable by this user only. Raises StoreUnavailable when it is no database of ours."""
        self._deadline = deadline
        self._turn = trio.CapacityLimiter(1)
        self._swept = 0
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._writer = sqlite3.connect(path, timeout=deadline, isolation_level=None, check_same_thread=False)
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._writer.execute("PRAGMA synchronous = NORMAL")
            version = self._writer.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, SCHEMA):
                raise StoreUnavailable(f"{path} has schema {version}; this program knows {SCHEMA}")
            self._writer.executescript(_TABLES)
            self._writer.execute(f"PRAGMA user_version = {SCHEMA}")
            self._reader = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
            self._reader.execute("PRAGMA query_only = 1")
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"store.path {path}: {error}") from error

    def peek(self, key: bytes, now: int) -> Record | None:
        try:
            row = self._reader.execute(_SELECT, (key, now)).fetchone()
        except sqlite3.Error as error:
            raise StoreBusy from error
        return Record(key, *row) if row is not None else None

    async def get(self, key: bytes, now: int) -> Record | None:
        row = await self._run(lambda db: db.execute(_SELECT, (key, now)).fetchone())
        return Record(key, *row) if row is not None else None

    async def put(self, record: Record, replaces: bytes | None = None) -> None:
        def write(db: sqlite3.Connection) -> None:
            with _transaction(db):
                if replaces is not None:
                    db.execute("DELETE FROM session WHERE key = ?", (replaces,))
                row = (record.key, record.sealed, record.expires, record.touched)
                db.execute("INSERT OR REPLACE INTO session (key, sealed, expires, touched) VALUES (?, ?, ?, ?)", row)

        await self._run(write)

    async def touch(self, key: bytes, now: int) -> None:
        await self._run(
            lambda db: db.execute("UPDATE session SET touched = ? WHERE key = ? AND touched < ?", (now, key, now))
        )

    async def delete(self, key: bytes) -> None:
        await self._run(lambda db: db.execute("DELETE FROM session WHERE key = ?", (key,)))

    async def claim(self, key: bytes, expires: int, now: int) -> bool:
        def write(db: sqlite3.Connection) -> bool:
            self._sweep(db, now)
            return (
                db.execute("INSERT OR IGNORE INTO attempt (key, expires) VALUES (?, ?)", (key, expires)).rowcount == 1
            )

        return await self._run(write)

    async def aclose(self) -> None:
        self._reader.close()
        self._writer.close()

    def _sweep(self, db: sqlite3.Connection, now: int) -> None:
        if now < self._swept + SWEEP_EVERY:
            return
        self._swept = now
        for statement in _SWEEPS:
            db.execute(statement, (now, SWEEP_ROWS))

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with trio.fail_after(self._deadline):
                return await trio.to_thread.run_sync(work, self._writer, limiter=self._turn)
        except (sqlite3.Error, trio.TooSlowError) as error:
            raise StoreUnavailable(f"sqlite: {error or 'no answer in time'}") from error


class _transaction:
    """BEGIN IMMEDIATE ... COMMIT, or ROLLBACK."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")
