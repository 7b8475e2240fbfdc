"""Changes to one SQLite database; those that wait at the same time are committed together. Runs in
trio.

When a slow provider responds to thousands of held logins at the same time, each of them stores its
session: a transaction and a worker thread for each would take longer than any of them may wait.
"""

import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any, Generic, TypeVar

import trio

from extproc.core.errors import StoreUnavailable

T = TypeVar("T")
# Changes in one transaction: other processes wait for the lock meanwhile.
MOST = 250


class _Change(Generic[T]):
    """A change that waits, is under way, or is done.

    begun: the worker thread has it, so its end must be awaited. done: `value` or `error` is set.
    """

    __slots__ = ("begun", "done", "error", "value", "work")

    def __init__(self, work: Callable[[sqlite3.Connection], T]) -> None:
        self.work = work
        self.begun = False
        self.done = False
        self.value: T
        self.error: Exception | None = None


class Writer:
    """Makes changes, in the order in which they come.

    The connection's own timeout bounds the wait for the database's lock. The wait for a turn is
    bounded by the caller's deadline alone, because a busy process is not a broken store.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._turn = trio.Lock()
        # Its own thread: those of trio's default limiter may all be waiting for a name server.
        self._thread = trio.CapacityLimiter(1)
        self._waiting: deque[_Change[Any]] = deque()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Make a change, completely or not at all, independently of those committed with it.

        Raises StoreUnavailable if it was not made.
        """
        change = _Change(work)
        self._waiting.append(change)
        try:
            while not change.done:
                # The task whose turn it is commits the changes of the tasks behind it as well.
                async with self._turn:
                    if not change.done:
                        await self._commit()
        finally:
            if change.begun and not change.done:
                with trio.CancelScope(shield=True):
                    async with self._turn:
                        pass
            elif not change.done:
                self._waiting.remove(change)
        if isinstance(change.error, sqlite3.Error):
            raise StoreUnavailable(f"sqlite: {change.error}") from change.error
        if change.error is not None:
            raise change.error
        return change.value

    @asynccontextmanager
    async def idle(self) -> AsyncIterator[None]:
        """Wait until no change is being made; none is made within the block."""
        async with self._turn:
            yield

    async def _commit(self) -> None:
        batch = list(islice(self._waiting, MOST))
        try:
            await trio.to_thread.run_sync(
                _commit_batch, self._database, batch, limiter=self._thread
            )
        finally:
            while self._waiting and self._waiting[0].done:
                self._waiting.popleft()


def _commit_batch(database: sqlite3.Connection, batch: Sequence[_Change[Any]]) -> None:
    """Make changes in one transaction, in a worker thread."""
    for change in batch:
        change.begun = True
    try:
        database.execute("BEGIN IMMEDIATE")
        for change in batch:
            _make(database, change)
        database.execute("COMMIT")
    except Exception as error:
        # Any error, such as a lack of memory: every change gets an answer, and none is made twice.
        if database.in_transaction:
            database.execute("ROLLBACK")
        for change in batch:
            change.error = error
    for change in batch:
        change.done = True


def _make(database: sqlite3.Connection, change: _Change[Any]) -> None:
    """Make one change of a transaction; if it fails, the others are not affected."""
    database.execute("SAVEPOINT change")
    try:
        change.value = change.work(database)
    except Exception as error:
        change.error = error
        # Some errors, such as a full disk, have rolled back the whole transaction already.
        if database.in_transaction:
            database.execute("ROLLBACK TO change")
    database.execute("RELEASE change")
