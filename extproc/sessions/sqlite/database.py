"""Opens the file of a SQLite store."""

import errno
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from extproc.core.errors import StoreUnavailable
from extproc.core.session_record import Record
from extproc.sessions.sqlite import records
from extproc.sessions.sqlite.schema import migrate

# Seconds between two attempts to turn a new file to write-ahead logging.
_RETRY_EVERY = 0.005


def create(path: Path) -> None:
    """Create the file unless it exists, readable by this user only. Raises OSError."""
    # A file that exists is not opened: a process that closes a descriptor of a file loses the locks
    # of all its connections, and the next process that leaves would delete the write-ahead log
    # (https://sqlite.org/howtocorrupt.html, section 2.2).
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        _create(path)
        return
    if not stat.S_ISREG(mode):
        # SQLite would write its database into a device, and read something else from it.
        raise OSError(errno.EINVAL, "is not a regular file", str(path))


def _create(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except FileNotFoundError:
        raise OSError(errno.ENOENT, f"there is no directory {path.parent}", str(path)) from None


def connect(path: Path, patience: float) -> sqlite3.Connection:
    """Open a connection whose statements wait `patience` seconds for a lock.

    Raises sqlite3.Error.
    """
    db = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
    # No column has text. A foreign text that is not UTF-8 would otherwise raise an error instead
    # of all rows of its query.
    db.text_factory = bytes
    return db


def connect_writer(path: Path, patience: float) -> sqlite3.Connection:
    """Open the connection for changes, with write-ahead logging and today's tables.

    Raises:
        sqlite3.Error: it is no database, or another process holds its lock for too long.
        StoreUnavailable: it is a database of a newer version.
    """
    with _closed_on_error(connect(path, patience)) as db:
        _write_ahead(db, patience)
        db.execute("PRAGMA synchronous = NORMAL")
        migrate(db)
        return db


def connect_reader(path: Path, patience: float) -> sqlite3.Connection:
    """Open a connection that cannot change anything. Raises sqlite3.Error."""
    with _closed_on_error(connect(path, patience)) as db:
        db.execute("PRAGMA query_only = 1")
        return db


@contextmanager
def _closed_on_error(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield db
    except BaseException:
        db.close()
        raise


def read_only(path: Path, key: bytes, now: int) -> Record | None:
    """Read one session from outside of the processor; no file is made or changed.

    Args:
        path: of the file.
        key: of the session.
        now: seconds since the epoch, by which an expired session is none.

    Raises:
        StoreUnavailable: there is no such file, or it cannot be read.
    """
    # SQLite would wait for the writer of a FIFO.
    if path.exists() and not path.is_file():
        raise StoreUnavailable(f"store.path {path}: is not a regular file")
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1)
        try:
            return records.read(db, key, now)
        finally:
            db.close()
    except sqlite3.Error as error:
        raise StoreUnavailable(f"store.path {path}: {error}") from error


def _write_ahead(db: sqlite3.Connection, patience: float) -> None:
    """Turn the file to write-ahead logging, in at most `patience` seconds.

    SQLite itself does not wait for a lock here, and workers that start together open a new file at
    the same moment.
    """
    until = time.monotonic() + patience
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_RETRY_EVERY)
