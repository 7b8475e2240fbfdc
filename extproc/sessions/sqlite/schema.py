"""The tables of the SQLite store, and how an older file gets today's.

`user_version` of the file is the number of its schema. Each step turns the schema before it into
the next one; a new file takes all of them. A processor of the version before may still have the
file open, so what it writes must still fit.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from extproc.core.errors import StoreUnavailable

# Schema 1, of 0.1.0: sessions and used login attempts.
_SESSIONS = (
    "CREATE TABLE session (key BLOB PRIMARY KEY, sealed BLOB NOT NULL, expires INTEGER NOT NULL,"
    " touched INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX session_expires ON session (expires)",
    "CREATE TABLE attempt (key BLOB PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX attempt_expires ON attempt (expires)",
)
# Schema 2: the outer layer of a record, locks, revocations (`grave`). The column `tags` has those
# of a record one after the other, 32 bytes each.
_FOUND_BY_TAG = (
    "ALTER TABLE session ADD COLUMN entry BLOB NOT NULL DEFAULT x''",
    "ALTER TABLE session ADD COLUMN tags BLOB NOT NULL DEFAULT x''",
    "CREATE TABLE tag (tag BLOB NOT NULL, key BLOB NOT NULL, PRIMARY KEY (tag, key)) WITHOUT ROWID",
    "CREATE INDEX tag_key ON tag (key)",
    "CREATE TRIGGER session_gone AFTER DELETE ON session"
    " BEGIN DELETE FROM tag WHERE key = old.key; END",
    "CREATE TABLE lock (key BLOB PRIMARY KEY, holder BLOB NOT NULL, expires INTEGER NOT NULL)"
    " WITHOUT ROWID",
    "CREATE INDEX lock_expires ON lock (expires)",
    "CREATE TABLE grave (key BLOB PRIMARY KEY, at INTEGER NOT NULL, expires INTEGER NOT NULL)"
    " WITHOUT ROWID",
    "CREATE INDEX grave_expires ON grave (expires)",
)
_STEPS = (_SESSIONS, _FOUND_BY_TAG)
SCHEMA = len(_STEPS)
# All of these have a key and an expiry.
TABLES = ("session", "attempt", "lock", "grave")


def migrate(db: sqlite3.Connection) -> None:
    """Bring the file to SCHEMA, in one transaction; several processes may start at once.

    Raises StoreUnavailable for a file of a newer version.
    """
    with _transaction(db):
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA:
            raise StoreUnavailable(
                f"it has schema {version}; this program knows {SCHEMA}: a newer version wrote it"
            )
        for step in _STEPS[version:]:
            for statement in step:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {SCHEMA}")


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Lock the database for writing, and commit; roll back after any exception."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
