"""The tables of the embedded store, and how an older file becomes one of today's.

`user_version` is the schema's number. Each step is SQL that the step before it can be turned into;
a file that was made anew takes all of them. A program of the schema before may still have the file
open: what it writes must still fit.
"""

import sqlite3

from extproc.core.errors import StoreUnavailable

# schema 1, of 0.1.0: sessions and used login attempts
_SESSIONS = (
    "CREATE TABLE session (key BLOB PRIMARY KEY, sealed BLOB NOT NULL, expires INTEGER NOT "
    "NULL, touched INTEGER NOT NULL)"
    " WITHOUT ROWID",
    "CREATE INDEX session_expires ON session (expires)",
    "CREATE TABLE attempt (key BLOB PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX attempt_expires ON attempt (expires)",
)
# schema 2: the outer layer of a record, locks, tombstones. tags: those of a record one after the
# other, 32 bytes each
_FOUND_BY_TAG = (
    "ALTER TABLE session ADD COLUMN entry BLOB NOT NULL DEFAULT x''",
    "ALTER TABLE session ADD COLUMN tags BLOB NOT NULL DEFAULT x''",
    "CREATE TABLE tag (tag BLOB NOT NULL, key BLOB NOT NULL, PRIMARY KEY (tag, key)) WITHOUT ROWID",
    "CREATE INDEX tag_key ON tag (key)",
    "CREATE TRIGGER session_gone AFTER DELETE ON session BEGIN DELETE FROM tag WHERE key = "
    "old.key; END",
    "CREATE TABLE lock (key BLOB PRIMARY KEY, holder BLOB NOT NULL, expires INTEGER NOT "
    "NULL) WITHOUT ROWID",
    "CREATE INDEX lock_expires ON lock (expires)",
    "CREATE TABLE grave (key BLOB PRIMARY KEY, at INTEGER NOT NULL, expires INTEGER NOT "
    "NULL) WITHOUT ROWID",
    "CREATE INDEX grave_expires ON grave (expires)",
)
_STEPS = (_SESSIONS, _FOUND_BY_TAG)
SCHEMA = len(_STEPS)
TABLES = ("session", "attempt", "lock", "grave")  # all with a key and an end


def migrate(db: sqlite3.Connection) -> None:
    """Brings the file to SCHEMA, in one transaction; several processes may start at once. Raises
    StoreUnavailable for a newer one.
    """
    with transaction(db):
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA:
            raise StoreUnavailable(
                f"it has schema {version}; this program knows {SCHEMA}: a newer version wrote it"
            )
        for step in _STEPS[version:]:
            for statement in step:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {SCHEMA}")


class transaction:
    """BEGIN IMMEDIATE ... COMMIT, or ROLLBACK."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")
