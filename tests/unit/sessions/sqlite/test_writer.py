"""Changes to one database: committed together, and each for itself."""

import sqlite3
from contextlib import closing

import pytest
import trio
import trio.testing

from extproc.core.errors import StoreUnavailable
from extproc.sessions.sqlite.writer import Writer


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sessions.sqlite3"


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


@pytest.fixture
def counted(path):
    counted = Counted(path)
    with closing(counted.database):
        yield counted


@pytest.fixture
def blocker(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as blocker:
        yield blocker


def insert(key):
    return lambda db: db.execute("INSERT INTO t (k) VALUES (?)", (key,)).rowcount


async def test_changes_that_wait_at_the_same_time_are_committed_together(counted):
    writer = Writer(counted.database)
    async with trio.open_nursery() as nursery:
        for key in range(2000):
            nursery.start_soon(writer.run, insert(key))
    # how many depends on the threads; alone they were 2,000
    assert counted.rows() == list(range(2000)) and counted.begun <= 200


async def test_a_change_that_fails_takes_no_other_with_it(counted):
    failed = []
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


async def test_a_change_whose_time_is_over_is_never_made(counted, blocker):
    counted.database.execute("PRAGMA busy_timeout = 300")
    writer = Writer(counted.database)
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


async def test_whoever_leaves_before_their_turn_changes_nothing_and_holds_nobody_up(
    counted, blocker
):
    writer = Writer(counted.database)
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
