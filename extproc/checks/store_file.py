"""Checks the file of a store, and its directory, without making or changing anything."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from extproc.checks.findings import Finding, ok, warning
from extproc.sessions.sqlite.schema import SCHEMA
from extproc.settings import CookieSettings, Settings
from extproc.settings.store import SQLiteSettings

_REMEDY = (
    "make it so that the processor's user can write there, or correct {part}: otherwise the "
    "processor does not start (if the processor runs on another machine, ignore this)"
)
_WRITABLE = os.R_OK | os.W_OK


def check_store_file(settings: Settings) -> Iterator[Finding]:
    """A finding about each file that the processor keeps sessions or revocations in."""
    store = settings.store
    if isinstance(store, SQLiteSettings):
        yield _file("store.path", store.path)
    if isinstance(store, CookieSettings) and isinstance(store.tombstones, SQLiteSettings):
        yield _file("store.tombstones.path", store.tombstones.path)


def _file(part: str, path: Path) -> Finding:
    problem = _problem(path)
    if problem is None:
        return ok(part, f"{path.absolute()} can be opened")
    return warning(part, problem, _REMEDY.format(part=part))


def _problem(path: Path) -> str | None:
    """Why the file could not be opened by this user; None if it could."""
    absolute = path.absolute()
    try:
        problem = _directory_problem(absolute.parent)
        if problem is not None or not absolute.exists():
            return problem
        if not absolute.is_file():
            return f"{absolute} is not a file"
        if not os.access(absolute, _WRITABLE):
            return f"this user cannot write {absolute}"
        return _not_a_store(absolute)
    except (OSError, ValueError) as error:
        return f"{absolute} cannot be used: {error}"


def _directory_problem(directory: Path) -> str | None:
    if not directory.is_dir():
        return f"there is no directory {directory}"
    # SQLite makes files beside its own.
    if not os.access(directory, _WRITABLE | os.X_OK):
        return f"this user cannot make files in {directory}"
    return None


def _not_a_store(path: Path) -> str | None:
    """Why the file is no database of this program; None if it is one, or is empty."""
    try:
        # A reader of a write-ahead log would make files beside it, as its own user, and leave them.
        db = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True, timeout=1)
        try:
            version = db.execute("PRAGMA user_version").fetchone()[0]
        finally:
            db.close()
    except sqlite3.OperationalError:
        # In use, or being recovered: that is for the processor.
        return None
    except sqlite3.Error as error:
        return f"{path} is no database of this program: {error}"
    if version > SCHEMA:
        return f"a newer version wrote {path}: it has schema {version}, this program knows {SCHEMA}"
    return None
