"""The embedded store: one file, several processes, and never "no session" for "cannot read"."""

import os
import sqlite3
import stat

import pytest
import trio

from extproc.oidc.errors import StoreUnavailable
from extproc.oidc.session import Record
from extproc.sessions import StoreBusy
from extproc.sessions.sqlite import SQLiteStore

NOW = 1_800_000_000


def record(key=b"k" * 32, sealed=b"sealed", expires=NOW + 100, touched=NOW):
    return Record(key, sealed, expires, touched)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sessions.sqlite3"


@pytest.fixture
async def store(path):
    store = SQLiteStore(path, deadline=0.3)
    yield store
    await store.aclose()


async def test_a_record_is_put_read_touched_and_deleted(store):
    assert store.peek(record().key, NOW) is None and await store.get(record().key, NOW) is None
    await store.put(record())
    assert store.peek(record().key, NOW) == record() == await store.get(record().key, NOW)
    await store.touch(record().key, NOW + 60)
    await store.touch(record().key, NOW + 30)  # never back
    assert store.peek(record().key, NOW).touched == NOW + 60
    await store.delete(record().key)
    await store.delete(record().key)
    assert store.peek(record().key, NOW) is None


async def test_a_record_past_its_end_is_none_and_is_swept(store, path):
    await store.put(record())
    assert store.peek(record().key, NOW + 100) is None and await store.get(record().key, NOW + 100) is None
    await store.claim(b"a", NOW + 500, NOW + 200)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM session").fetchone() == (0,)
    db.close()


async def test_a_new_record_replaces_the_old_in_one_transaction(store):
    await store.put(record(b"old"))
    await store.put(record(b"new"), replaces=b"old")
    assert store.peek(b"old", NOW) is None and store.peek(b"new", NOW) is not None


async def test_an_attempt_is_claimed_by_exactly_one_of_many(store, path):
    other = SQLiteStore(path)
    won = []

    async def claim(by):
        won.append(await by.claim(b"attempt", NOW + 60, NOW))

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(claim, store)
            nursery.start_soon(claim, other)
    assert sorted(won) == [False] * 19 + [True]
    await other.aclose()


async def test_it_survives_a_restart_and_is_this_user_s_alone(path):
    first = SQLiteStore(path)
    await first.put(record())
    await first.aclose()
    second = SQLiteStore(path)
    assert second.peek(record().key, NOW) == record()
    await second.aclose()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


async def test_reads_go_on_while_another_process_writes_and_writes_that_cannot_are_an_error(store, path):
    await store.put(record())
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        assert store.peek(record().key, NOW) == record()
        with pytest.raises(StoreUnavailable):
            await store.put(record(b"other"))
        with pytest.raises(StoreUnavailable):
            await store.claim(b"a", NOW + 60, NOW)
    finally:
        blocker.close()
    await store.put(record(b"other"))  # and it recovers


async def test_a_locked_database_is_busy_and_never_no_session(store, path):
    await store.put(record())
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("PRAGMA locking_mode = EXCLUSIVE")
    store._reader.execute("PRAGMA wal_checkpoint")
    store._reader.close()  # what a reader meets when its file went away under it
    with pytest.raises(StoreBusy):
        store.peek(record().key, NOW)
    blocker.close()
    store._reader = sqlite3.connect(path)


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
