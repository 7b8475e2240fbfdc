"""Session records as rows of a SQLite database: the tables `session` and `tag`.

Every function works on the connection that it is given, within the caller's transaction, and may
raise sqlite3.Error. Whether a record has expired goes by `now`, in seconds since the epoch.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable

from extproc.core.session_index import TAG_BYTES
from extproc.core.session_record import Record
from extproc.sessions.store import Page, Replaced

Row = tuple[bytes, bytes, int, int, bytes, bytes]

_SELECT = "SELECT key, sealed, expires, touched, entry, tags FROM session WHERE expires > ?"
# Without the inner layer of a record, which a list does not need.
_SELECT_TAGGED = (
    "SELECT key, x'', expires, touched, entry, tags FROM session WHERE expires > ?"
    " AND key IN (SELECT key FROM tag WHERE tag = ?) ORDER BY touched DESC LIMIT ?"
)
_SELECT_TAGGED_PAGE = (
    "SELECT key, x'', expires, touched, entry, tags FROM session WHERE expires > ?"
    " AND key IN (SELECT key FROM tag WHERE tag = ? AND key > ?) ORDER BY key LIMIT ?"
)
_INSERT = (
    "INSERT OR REPLACE INTO session (key, sealed, expires, touched, entry, tags)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_REPLACE = (
    "UPDATE session SET sealed = ?, expires = ?, touched = max(touched, ?), entry = ?, tags = ?"
    " WHERE key = ? AND expires > ?"
    " AND EXISTS (SELECT 1 FROM lock"
    " WHERE lock.key = session.key AND holder = ? AND lock.expires > ?)"
)
# `spare` is a JSON list of keys in hexadecimal digits: a statement takes any number of them.
_DELETE_TAGGED = (
    "DELETE FROM session WHERE key IN (SELECT key FROM tag WHERE tag = ?) AND expires > ?"
    " AND lower(hex(key)) NOT IN (SELECT value FROM json_each(?))"
)


def read(db: sqlite3.Connection, key: bytes, now: int) -> Record | None:
    """Read the record of a key; None if there is none, or if it has expired."""
    row = db.execute(f"{_SELECT} AND key = ?", (now, key)).fetchone()
    return _record(row) if row is not None else None


def tagged(db: sqlite3.Connection, tag: bytes, now: int, limit: int) -> tuple[Record, ...]:
    """List at most `limit` records that carry a tag, without `sealed`, the last used first."""
    return _records(db.execute(_SELECT_TAGGED, (now, tag, limit)))


def tagged_page(
    db: sqlite3.Connection, tag: bytes, after: bytes | None, limit: int, now: int
) -> Page:
    """List at most `limit` records that carry a tag, with a key beyond `after`, by their keys."""
    rows = db.execute(_SELECT_TAGGED_PAGE, (now, tag, after or b"", limit)).fetchall()
    return Page(_records(rows), rows[-1][0] if len(rows) == limit else None)


def page(db: sqlite3.Connection, after: bytes | None, limit: int, now: int) -> Page:
    """List at most `limit` records with a key beyond `after`, in the order of their keys."""
    query = f"{_SELECT} AND key > ? ORDER BY key LIMIT ?"
    rows = db.execute(query, (now, after or b"", limit)).fetchall()
    return Page(_records(rows), rows[-1][0] if len(rows) == limit else None)


def count(db: sqlite3.Connection, now: int) -> int:
    """Count the records by the index of their expiry: 10 ms for a hundred thousand."""
    (number,) = db.execute("SELECT count(*) FROM session WHERE expires > ?", (now,)).fetchone()
    return int(number)


def put(db: sqlite3.Connection, record: Record, replaces: bytes | None) -> None:
    """Write a record, and delete the one under the key `replaces`."""
    if replaces is not None:
        delete(db, replaces)
    tags = _joined_tags(record)
    row = (record.key, record.sealed, record.expires, record.touched, record.index, tags)
    db.execute(_INSERT, row)
    _write_tags(db, record)


def replace(
    db: sqlite3.Connection, record: Record, owner: bytes, now: int, lock_clock: int
) -> Replaced:
    """Write a record over an earlier one whose lock `owner` has; the later `touched` stays.

    Args:
        db: the database.
        record: the changed record.
        owner: of the lock of the record's key.
        now: by which the earlier record has not expired.
        lock_clock: by which the lock has not expired, see markers.

    Returns:
        Whether it was written, and if not, why.
    """
    tags = _joined_tags(record)
    values = (record.sealed, record.expires, record.touched, record.index, tags)
    found = db.execute(_REPLACE, (*values, record.key, now, owner, lock_clock))
    if found.rowcount == 1:
        _write_tags(db, record)
        return Replaced.WRITTEN
    known = db.execute("SELECT 1 FROM session WHERE key = ? AND expires > ?", (record.key, now))
    return Replaced.NOT_MINE if known.fetchone() is not None else Replaced.GONE


def touch(db: sqlite3.Connection, key: bytes, now: int) -> None:
    """Record a session's last use; it never moves back."""
    db.execute("UPDATE session SET touched = ? WHERE key = ? AND touched < ?", (now, key, now))


def delete(db: sqlite3.Connection, key: bytes) -> None:
    """Delete a record; its tags go by a trigger."""
    db.execute("DELETE FROM session WHERE key = ?", (key,))


def delete_tagged(
    db: sqlite3.Connection, tag: bytes, now: int, spare: Collection[bytes] = ()
) -> int:
    """Delete the records that carry a tag, but those of the keys in `spare`, and count them."""
    spared = json.dumps([key.hex() for key in spare])
    return db.execute(_DELETE_TAGGED, (tag, now, spared)).rowcount


def _records(rows: Iterable[Row]) -> tuple[Record, ...]:
    records = (_record(row) for row in rows)
    return tuple(record for record in records if record is not None)


def _record(row: Row) -> Record | None:
    """Give the record of a row; None for a row that no version of this program wrote.

    SQLite keeps a value of any type in any column. Such a row is no user's session.
    """
    key, sealed, expires, touched, entry, tags = row
    if not all(isinstance(value, bytes) for value in (key, sealed, entry, tags)):
        return None
    if not (isinstance(expires, int) and isinstance(touched, int)):
        return None
    split = tuple(tags[start : start + TAG_BYTES] for start in range(0, len(tags), TAG_BYTES))
    return Record(key, sealed, expires, touched, entry, split)


def _joined_tags(record: Record) -> bytes:
    if any(len(tag) != TAG_BYTES for tag in record.tags):
        raise ValueError(f"a tag has {TAG_BYTES} bytes")
    return b"".join(record.tags)


def _write_tags(db: sqlite3.Connection, record: Record) -> None:
    db.execute("DELETE FROM tag WHERE key = ?", (record.key,))
    db.executemany(
        "INSERT OR IGNORE INTO tag (tag, key) VALUES (?, ?)",
        [(tag, record.key) for tag in record.tags],
    )
