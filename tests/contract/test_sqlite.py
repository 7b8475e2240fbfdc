"""The embedded store: one file, several processes, and never "no session" for "cannot read"."""

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import trio
import trio.testing
from harness.tokens import NOW, application

from extproc.core.errors import StoreUnavailable
from extproc.core.session import SessionId
from extproc.core.session_record import Record, from_record
from extproc.sessions.sqlite.schema import SCHEMA, TABLES
from extproc.sessions.sqlite.store import LATE, SQLiteStore
from extproc.sessions.sqlite.writer import Writer
from extproc.sessions.store import WouldBlock


def record(key=b"k" * 32, sealed=b"sealed", expires=NOW + 100, touched=NOW):
    return Record(key, sealed, expires, touched, b"entry", (b"t" * 32,))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sessions.sqlite3"


@pytest.fixture
async def store(path):
    store = SQLiteStore(path, deadline=0.3)
    yield store
    await store.aclose()


async def test_what_is_past_its_end_is_swept_and_what_is_over_for_good_two_hours_later(path):
    clock = [5.0]
    store = SQLiteStore(path, clock=lambda: clock[0])
    await store.put(record())
    assert (
        store.get_nowait(record().key, NOW + 100) is None
        and await store.get(record().key, NOW + 100) is None
    )
    await store.revoke_before(b"a", NOW, NOW + 100)
    await store.lock(b"a", b"me", 100, NOW)
    await store.use_once(b"a", NOW + 100, NOW)
    clock[0] += 100
    await store.use_once(b"b", NOW + 500, NOW + 200)
    assert await store.use_once(b"a", NOW + 100, NOW) is False, "a clock that was ahead is set back"
    assert await store.revoked_before([b"a"], NOW) == NOW
    assert _rows(path) == {"session": 0, "grave": 1, "lock": 0, "attempt": 2, "tag": 0}
    await store.use_once(b"c", NOW + 100 + 2 * LATE, NOW + 100 + LATE)
    assert _rows(path) == {"session": 0, "grave": 0, "lock": 0, "attempt": 2, "tag": 0}
    await store.put(record())
    # the sweep before this one is in the future now
    await store.use_once(b"d", NOW + 100 + 2 * LATE, NOW + 100)
    assert _rows(path)["session"] == 0
    await store.aclose()


def _rows(path):
    with closing(sqlite3.connect(path)) as db:
        return {
            table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in (*TABLES, "tag")
        }


async def test_a_clock_that_is_set_changes_nothing_about_a_lock(path):
    clock = [5000.0]
    store = SQLiteStore(path, clock=lambda: clock[0])
    await store.put(record(expires=NOW + 10_000))
    # an hour ahead or back, while its holder asks the provider
    for now in (NOW + 3600, NOW - 3600):
        assert await store.lock(record().key, b"me", 30, NOW)
        assert not await store.lock(record().key, b"you", 30, now)
        assert await store.replace(record(expires=NOW + 10_000), b"me", now)
    clock[0] = 10.0  # the machine was started anew, and nobody is left who would give it back
    assert await store.lock(record().key, b"you", 30, NOW)
    await store.aclose()


async def test_threads_that_all_wait_for_a_name_server_hold_up_no_store(store):
    threads = trio.to_thread.current_default_thread_limiter()
    everybody = [object() for _ in range(int(threads.total_tokens))]
    for one in everybody:
        threads.acquire_on_behalf_of_nowait(one)
    try:
        with trio.fail_after(60):
            await store.put(record())
            assert await store.get(record().key, NOW) == record()
    finally:
        for one in everybody:
            threads.release_on_behalf_of(one)


async def test_it_survives_a_restart_and_is_this_user_s_alone(path):
    first = SQLiteStore(path)
    await first.put(record())
    await first.aclose()
    second = SQLiteStore(path)
    assert second.get_nowait(record().key, NOW) == record()
    await second.aclose()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


_OPENS = """
import sys
from pathlib import Path
from extproc.sessions.sqlite.store import SQLiteStore
print("ready", flush=True)
sys.stdin.readline()
SQLiteStore(Path(sys.argv[1]))
"""


def test_processes_that_open_a_new_file_at_the_same_time_all_get_it(tmp_path):
    for turn in range(5):  # without the wait a third of them fails
        started = [
            subprocess.Popen(
                [sys.executable, "-c", _OPENS, str(tmp_path / f"{turn}.sqlite3")],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for _ in range(4)
        ]  # fmt: skip
        for process in started:
            assert process.stdout.readline() == "ready\n"
        for process in started:
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in started:
            said = process.communicate()[1]
            assert process.returncode == 0, said


async def test_reads_go_on_while_another_process_writes_and_writes_that_cannot_are_an_error(
    store, path
):
    await store.put(record())
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        assert store.get_nowait(record().key, NOW) == record()
        with pytest.raises(StoreUnavailable):
            await store.put(record(b"other"))
        with pytest.raises(StoreUnavailable):
            await store.use_once(b"a", NOW + 60, NOW)
    finally:
        blocker.close()
    await store.put(record(b"other"))  # and it recovers


@pytest.mark.threat("errors-close")
async def test_a_locked_database_is_busy_and_never_no_session(store, path):
    await store.put(record())
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("PRAGMA locking_mode = EXCLUSIVE")
    store._peeked.execute("PRAGMA wal_checkpoint")
    store._peeked.close()  # what a reader meets when its file went away under it
    with pytest.raises(WouldBlock):
        store.get_nowait(record().key, NOW)
    blocker.close()
    store._peeked = sqlite3.connect(path)


class Counted:
    """A connection of which one knows how many transactions it had."""

    def __init__(self, path):
        self.begun = 0
        self.database = sqlite3.connect(
            path, timeout=60, isolation_level=None, check_same_thread=False
        )
        self.database.execute("CREATE TABLE IF NOT EXISTS t (k INTEGER PRIMARY KEY)")
        self.database.set_trace_callback(self._seen)

    def _seen(self, statement):
        self.begun += statement == "BEGIN IMMEDIATE"

    def rows(self):
        return [key for (key,) in self.database.execute("SELECT k FROM t ORDER BY k")]


def insert(key):
    return lambda db: db.execute("INSERT INTO t (k) VALUES (?)", (key,)).rowcount


async def test_changes_that_wait_at_the_same_time_are_committed_together(path):
    counted = Counted(path)
    writer = Writer(counted.database)
    async with trio.open_nursery() as nursery:
        for key in range(2000):
            nursery.start_soon(writer.run, insert(key))
    # how many depends on the threads; alone they were 2,000
    assert counted.rows() == list(range(2000)) and counted.begun <= 200


async def test_a_change_that_fails_takes_no_other_with_it(path):
    counted, failed = Counted(path), []
    writer = Writer(counted.database)

    def half(db):
        insert(100)(db)
        raise LookupError("a bug")

    async def expect(work, error):
        with pytest.raises(error):
            await writer.run(work)
        failed.append(error)

    async with trio.open_nursery() as nursery:
        for key in range(5):
            nursery.start_soon(writer.run, insert(key))
        nursery.start_soon(expect, half, LookupError)
        nursery.start_soon(expect, lambda db: db.execute("nonsense"), StoreUnavailable)
    assert counted.rows() == list(range(5)) and len(failed) == 2


async def test_a_change_whose_time_is_over_is_never_made(path):
    counted = Counted(path)
    counted.database.execute("PRAGMA busy_timeout = 300")
    writer = Writer(counted.database)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    refused = []

    async def expect(key):
        with pytest.raises(StoreUnavailable):
            await writer.run(insert(key))
        refused.append(key)

    async with trio.open_nursery() as nursery:
        for key in range(3):
            nursery.start_soon(expect, key)
    blocker.execute("ROLLBACK")
    assert await writer.run(insert(9)) == 1
    assert counted.rows() == [9] and sorted(refused) == [0, 1, 2]


async def test_whoever_leaves_before_their_turn_changes_nothing_and_holds_nobody_up(path):
    counted = Counted(path)
    writer = Writer(counted.database)
    blocker = sqlite3.connect(path, isolation_level=None)
    async with trio.open_nursery() as nursery:
        blocker.execute("BEGIN IMMEDIATE")
        nursery.start_soon(writer.run, lambda db: insert(1)(db))
        await trio.testing.wait_all_tasks_blocked()  # it has its turn, in a thread
        with trio.CancelScope() as left:
            left.cancel()
            await writer.run(insert(2))
        nursery.start_soon(writer.run, insert(3))
        blocker.execute("ROLLBACK")
    assert counted.rows() == [1, 3]


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


@pytest.mark.parametrize("content", [b"not a database, but text of some length " * 200, None])
def test_a_file_that_is_no_database_of_ours_is_refused_clearly(path, content):
    if content is None:
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
    else:
        path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match=str(path)):
        SQLiteStore(path)


def test_a_folder_that_is_not_there_is_refused_clearly(tmp_path):
    with pytest.raises(StoreUnavailable, match="gone"):
        SQLiteStore(tmp_path / "gone" / "x.sqlite3")
