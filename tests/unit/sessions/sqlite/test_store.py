"""The embedded store: one file, several processes, and never "no session" for "cannot read"."""

import logging
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing
from harness.tokens import NOW

from extproc.core.errors import StoreUnavailable
from extproc.core.session_record import Record
from extproc.sessions.sqlite import database
from extproc.sessions.sqlite.markers import LATE, SLICE_ROWS
from extproc.sessions.sqlite.schema import TABLES
from extproc.sessions.sqlite.store import SQLiteStore
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
    store._inline.execute("PRAGMA wal_checkpoint")
    store._inline.close()  # what a reader meets when its file went away under it
    with pytest.raises(WouldBlock):
        store.get_nowait(record().key, NOW)
    blocker.close()
    store._inline = sqlite3.connect(path)


@pytest.mark.parametrize("content", [b"not a database, but text of some length " * 200, None])
def test_a_file_that_is_no_database_of_ours_is_refused_clearly(path, content):
    if content is None:
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
    else:
        path.write_bytes(content)
    opened = len(os.listdir("/proc/self/fd"))
    with pytest.raises(StoreUnavailable, match=str(path)):
        SQLiteStore(path)
    assert len(os.listdir("/proc/self/fd")) == opened


def test_a_folder_that_is_not_there_is_refused_clearly(tmp_path):
    path = tmp_path / "gone" / "x.sqlite3"
    with pytest.raises(StoreUnavailable) as refused:
        SQLiteStore(path, key="store.tombstones")
    assert refused.value.detail == (
        f"store.tombstones.path {path}: there is no directory {path.parent}"
    )


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_regular_file_is_refused_clearly(path, kind):
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(StoreUnavailable, match=f"store.path {path}: is not a regular file"):
        SQLiteStore(path)
    with pytest.raises(StoreUnavailable, match=f"store.path {path}: is not a regular file"):
        database.read_only(path, b"k" * 32, NOW)


# -- garbage in the file, which no version of this program wrote -----------------------------------

ALICE = b"alice".ljust(32)
BAD, GOOD, GRAVE = b"bad".ljust(32), b"good".ljust(32), b"grave".ljust(32)


def kept(key: bytes) -> Record:
    return Record(key, b"sealed", NOW + 1000, NOW, b"entry", (ALICE,))


COLUMNS = ("sealed", "expires", "touched", "entry", "tags")
VALUES = ("'x'", "CAST(x'ff' AS TEXT)", "1.5", "x''", "x'ff'", "9223372036854775807", "-1", "''")


@pytest.mark.attack("REL-43")
@pytest.mark.threat("foreign-input")
@pytest.mark.parametrize("column", COLUMNS)
async def test_a_row_with_a_value_of_another_type_is_none(
    column: str, tmp_path: Path, caplog
) -> None:
    store = SQLiteStore(tmp_path / "store")
    db = sqlite3.connect(tmp_path / "store", isolation_level=None)
    try:
        await store.put(kept(GOOD))
        for value in VALUES:
            await store.put(kept(BAD))
            db.execute(f"UPDATE session SET {column} = {value} WHERE key = ?", (BAD,))
            (kind,) = db.execute(
                f"SELECT typeof({column}) FROM session WHERE key = ?", (BAD,)
            ).fetchone()
            right = "integer" if column in ("expires", "touched") else "blob"
            for found in (store.get_nowait(BAD, NOW), await store.get(BAD, NOW)):
                assert found is None or (kind == right or (right, kind) == ("blob", "text")), (
                    value,
                    kind,
                )
            if kind != right:
                await others_go_on_beside(store)
            await store.touch(BAD, NOW)
            await store.delete(BAD)
    finally:
        db.close()
        await store.aclose()
    assert not [line for line in caplog.records if line.levelno >= logging.ERROR]


async def test_a_flood_of_markers_does_not_outgrow_the_sweeps(tmp_path):
    """Anonymous clients can end logins that they began: each leaves a marker until it expires."""
    now = [float(NOW)]
    store = SQLiteStore(tmp_path / "store.sqlite3", now=lambda: now[0])
    for number in range(20 * SLICE_ROWS):
        await store.use_once(b"%d" % number, NOW + 60, NOW)
    now[0] += LATE + 60
    for number in range(30):
        # Revocations sweep as well: a logout that nobody is signed in for leaves one.
        if number % 2:
            await store.use_once(b"later %d" % number, int(now[0]) + 60, int(now[0]))
        else:
            await store.revoke_before(b"later %d" % number, 0, int(now[0]) + 60)
    await store.aclose()
    with closing(sqlite3.connect(tmp_path / "store.sqlite3")) as db:
        assert db.execute("SELECT count(*) FROM attempt").fetchone() == (15,)


async def others_go_on_beside(store: SQLiteStore) -> None:
    assert await store.get(GOOD, NOW) == kept(GOOD)
    assert replace(kept(GOOD), sealed=b"") in await store.tagged(ALICE, NOW)
    assert kept(GOOD) in (await store.page(None, 10, NOW)).records
    await store.count(NOW)


@pytest.mark.attack("REL-43")
async def test_a_row_whose_key_is_no_key_is_nobody_s(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "store")
    db = sqlite3.connect(tmp_path / "store", isolation_level=None)
    try:
        await store.put(kept(GOOD))
        for key in ("'x'", "5", "CAST(x'ff' AS TEXT)", "x''"):
            db.execute(
                "INSERT INTO session (key, sealed, expires, touched, entry, tags) VALUES "
                f"({key}, x'00', {NOW + 9}, {NOW}, x'', x'')"
            )
        await others_go_on_beside(store)
        assert len((await store.page(None, 10, NOW)).records) == 1
    finally:
        db.close()
        await store.aclose()


@pytest.mark.attack("REL-43")
@pytest.mark.parametrize("value", ["'x'", "CAST(x'ff' AS TEXT)", "1.5", "x'ff'"])
async def test_a_tombstone_that_is_no_number_is_a_refusal_of_its_own_sessions_alone(
    value: str, tmp_path: Path
) -> None:
    store = SQLiteStore(tmp_path / "store")
    db = sqlite3.connect(tmp_path / "store", isolation_level=None)
    try:
        await store.revoke_before(GRAVE, NOW, NOW + 1000)
        db.execute(f"UPDATE grave SET at = {value}")
        with pytest.raises(WouldBlock):
            store.revoked_before_nowait([GOOD, GRAVE], NOW)
        with pytest.raises(StoreUnavailable):
            await store.revoked_before([GOOD, GRAVE], NOW)
        assert (
            store.revoked_before_nowait([GOOD], NOW) == await store.revoked_before([GOOD], NOW) == 0
        )
    finally:
        db.close()
        await store.aclose()


@pytest.mark.parametrize("operation", ["read", "write"])
async def test_a_store_is_closed_only_when_no_thread_uses_it(tmp_path, operation):
    began, go_on = threading.Event(), threading.Event()

    def slow(db, *_):
        began.set()
        assert go_on.wait(60)
        return db.execute("SELECT 1").fetchone()

    store = SQLiteStore(tmp_path / "x.sqlite3", deadline=60)
    results = []

    async def use():
        if operation == "read":
            results.append(await store._read(slow))
        else:
            results.append(await store._writer.run(slow))

    async def close():
        # As where the whole program is cancelled.
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(use)
        await trio.to_thread.run_sync(began.wait, 60)
        nursery.start_soon(close)
        await trio.testing.wait_all_tasks_blocked()
        go_on.set()
    assert results == [(1,)]
    with pytest.raises(StoreUnavailable):
        await store.count(0)
