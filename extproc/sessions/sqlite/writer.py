"""Writer: changes to one SQLite database; those that wait at the same time are committed together.
Runs in trio.

When a slow provider answers thousands of held logins at once, each wants to store its session: one
transaction and one trip into a thread for each would take longer than any of them may wait.
"""

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar

import trio

from extproc.core.errors import StoreUnavailable

T = TypeVar("T")
MOST = 250  # changes in one transaction: other processes wait for the lock meanwhile


class _Change(Generic[T]):
    """begun: the thread has it, so it must be waited for. done: `value` or `error` is there."""

    __slots__ = ("begun", "done", "error", "value", "work")

    def __init__(self, work: Callable[[sqlite3.Connection], T]) -> None:
        self.work = work
        self.begun = self.done = False
        self.value: T
        self.error: Exception | None = None


class Writer:
    """The connection's own timeout bounds how long a lock is waited for; a turn is waited for as
    long as the caller's deadline lets it: a busy process is no broken store.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._turn = trio.Lock()
        # its own: threads that all share may all be waiting for a name server
        self._thread = trio.CapacityLimiter(1)
        self._waiting: deque[_Change[Any]] = deque()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Whole or not at all, and apart from the others that are committed with it. Raises
        StoreUnavailable: not at all, then.
        """
        change = _Change(work)
        self._waiting.append(change)
        try:
            while not change.done:
                # first come, first served: whoever has it works for those behind it too
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

    async def _commit(self) -> None:
        batch = list(islice(self._waiting, MOST))
        try:
            await trio.to_thread.run_sync(_together, self._database, batch, limiter=self._thread)
        finally:
            while self._waiting and self._waiting[0].done:
                self._waiting.popleft()


def _together(database: sqlite3.Connection, batch: Sequence[_Change[Any]]) -> None:
    """In a thread."""
    for change in batch:
        change.begun = True
    try:
        database.execute("BEGIN IMMEDIATE")
        for change in batch:
            _apart(database, change)
        database.execute("COMMIT")
    except Exception as error:
        # whatever it is (no memory, say): nobody is left without an answer, and none is made twice
        if database.in_transaction:
            database.execute("ROLLBACK")
        for change in batch:
            change.error = error
    for change in batch:
        change.done = True


def _apart(database: sqlite3.Connection, change: _Change[Any]) -> None:
    database.execute("SAVEPOINT change")
    try:
        change.value = change.work(database)
    except Exception as error:
        change.error = error
        if database.in_transaction:  # a full disk, say, has rolled back everything already
            database.execute("ROLLBACK TO change")
    database.execute("RELEASE change")
