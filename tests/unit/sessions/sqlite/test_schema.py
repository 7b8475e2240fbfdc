"""A file of an older version: its sessions, its tables, and those that still have it open."""

import sqlite3
from pathlib import Path

import pytest
import trio
from harness.tokens import NOW, application

from extproc.core.errors import StoreUnavailable
from extproc.core.session import SessionId
from extproc.core.session_record import Record, from_record
from extproc.sessions.sqlite.schema import SCHEMA, TABLES, migrate
from extproc.sessions.sqlite.store import SQLiteStore


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sessions.sqlite3"


def from_dump(path: Path) -> None:
    """A file as 0.1.0 left it: its tables, a session, a used login."""
    with sqlite3.connect(path) as db:
        db.executescript((Path(__file__).parent / "schema_1.sql").read_text())
    db.close()


async def test_a_file_of_the_first_schema_is_brought_to_today_s_with_its_sessions(path):
    from_dump(path)
    store = SQLiteStore(path)
    session_id = SessionId.of(b"s" * 32)
    found = store.get_nowait(session_id.key, NOW)
    session = from_record(application(), session_id, found)
    assert (session.subject, session.claims.get("groups"), session.refresh_token) == (
        "alice",
        ["dev"],
        "rt",
    )
    assert (session.sid, session.auth_time, session.acr, session.touched) == (
        "sid-1",
        NOW - 5,
        "loa1",
        NOW + 120,
    )
    assert (found.index, found.tags) == (b"", ()) and (await store.page(None, 10, NOW)).records == (
        found,
    )
    assert not await store.use_once(b"attempt", NOW + 1800, NOW)
    await store.aclose()


async def test_an_old_file_has_the_same_tables_then_as_a_new_one(path, tmp_path):
    from_dump(path)
    tables = []
    for file in (path, tmp_path / "new.sqlite3"):
        await SQLiteStore(file).aclose()
        with sqlite3.connect(file) as db:
            tables.append(
                sorted(
                    db.execute(
                        "SELECT type, name, replace(sql, 'IF NOT EXISTS ', '') FROM sqlite_master"
                    )
                )
            )
            assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
        db.close()
    old, new = ([(kind, name) for kind, name, _ in one] for one in tables)
    assert old == new


async def test_a_process_of_the_version_before_goes_on_writing_while_another_migrates(path):
    from_dump(path)
    before = sqlite3.connect(path, isolation_level=None)
    store = SQLiteStore(path)
    row = (b"k" * 32, b"sealed", NOW + 100, NOW)
    before.execute(
        "INSERT OR REPLACE INTO session (key, sealed, expires, touched) VALUES (?, ?, ?, ?)", row
    )
    before.close()
    assert store.get_nowait(b"k" * 32, NOW) == Record(*row)
    await store.aclose()


async def test_many_processes_may_start_at_once_on_an_old_file(path):
    from_dump(path)
    opened = []

    def start() -> None:
        opened.append(SQLiteStore(path))

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(trio.to_thread.run_sync, start)
    assert all(store.get_nowait(SessionId.of(b"s" * 32).key, NOW) is not None for store in opened)
    for store in opened:
        await store.aclose()


def test_a_newer_schema_is_refused_and_left_as_it_is(path):
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    with pytest.raises(StoreUnavailable, match=f"schema {SCHEMA + 1}"):
        migrate(db)
    assert not db.in_transaction
    assert db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    db.close()


def test_every_table_with_an_expiry_is_known_to_the_sweep(path):
    db = sqlite3.connect(path, isolation_level=None)
    migrate(db)
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    expiring = {
        name
        for name in tables
        if "expires" in [column[1] for column in db.execute(f"PRAGMA table_info({name})")]
    }
    assert expiring == set(TABLES)
    db.close()
