"""The embedded store: one SQLite file that the processes of a machine share. It survives a restart.

The fast path reads on the event loop, on a connection of its own that never waits: a locked
database is WouldBlock, and the request goes to the held lane. Everything else runs in a worker
thread, under a deadline: reads one at a time on a connection of their own, changes as the writer
commits them.
"""

import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from extproc.core.errors import StoreUnavailable
from extproc.core.session_record import Record
from extproc.sessions.sqlite import database, markers, records
from extproc.sessions.sqlite.writer import Writer
from extproc.sessions.store import LISTED, Page, Replaced, WouldBlock

T = TypeVar("T")


class SQLiteStore:
    """A SessionStore in one SQLite file."""

    def __init__(
        self,
        path: Path,
        deadline: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        key: str = "store",
    ) -> None:
        """Open the file, or make it, readable by this user only.

        Args:
            path: of the file.
            deadline: seconds that one operation waits for the database's lock, and a read for its
                turn.
            clock: for locks; seconds since the machine started.
            now: for the sweep of what has expired; seconds since the epoch.
            key: where its settings stand, for messages to the operator.

        Raises:
            StoreUnavailable: it cannot be opened, or is not a database of this program.
        """
        self._deadline = deadline
        self._clock = clock
        self._now = now
        self._one_reader = trio.CapacityLimiter(1)
        self._sweeper = markers.Sweeper()
        try:
            database.create(path)
            with ExitStack() as opened:
                self._changes = opened.enter_context(
                    closing(database.connect_writer(path, deadline))
                )
                self._inline = opened.enter_context(closing(database.connect_reader(path, 0)))
                self._reads = opened.enter_context(closing(database.connect_reader(path, deadline)))
                opened.pop_all()
        except (sqlite3.Error, OSError, StoreUnavailable) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise StoreUnavailable(f"{key}.path {path}: {reason}") from error
        self._writer = Writer(self._changes)

    # -- records -----------------------------------------------------------------------------------

    def get_nowait(self, key: bytes, now: int) -> Record | None:
        return self._read_inline(lambda db: records.read(db, key, now))

    async def get(self, key: bytes, now: int) -> Record | None:
        return await self._read(lambda db: records.read(db, key, now))

    async def put(self, record: Record, replaces: bytes | None = None) -> None:
        await self._writer.run(lambda db: records.put(db, record, replaces))

    async def touch(self, key: bytes, now: int) -> None:
        await self._writer.run(lambda db: records.touch(db, key, now))

    async def delete(self, key: bytes) -> None:
        await self._writer.run(lambda db: records.delete(db, key))

    async def tagged(self, tag: bytes, now: int, limit: int = LISTED) -> tuple[Record, ...]:
        return await self._read(lambda db: records.tagged(db, tag, now, limit))

    async def tagged_page(self, tag: bytes, after: bytes | None, limit: int, now: int) -> Page:
        return await self._read(lambda db: records.tagged_page(db, tag, after, limit, now))

    async def end(self, tag: bytes, now: int, spare: Collection[bytes] = ()) -> int:
        return await self._writer.run(lambda db: records.delete_tagged(db, tag, now, spare))

    async def page(self, after: bytes | None, limit: int, now: int) -> Page:
        return await self._read(lambda db: records.page(db, after, limit, now))

    async def count(self, now: int) -> int | None:
        return await self._read(lambda db: records.count(db, now))

    async def replace(self, record: Record, owner: bytes, now: int) -> Replaced:
        return await self._writer.run(
            lambda db: records.replace(db, record, owner, now, int(self._clock()))
        )

    # -- locks, single-use markers, revocations ----------------------------------------------------

    async def lock(self, key: bytes, owner: bytes, seconds: int, now: int) -> bool:
        return await self._writer.run(
            lambda db: markers.lock(db, key, owner, seconds, int(self._clock()))
        )

    async def unlock(self, key: bytes, owner: bytes) -> None:
        await self._writer.run(lambda db: markers.unlock(db, key, owner))

    async def use_once(self, key: bytes, expires: int, now: int) -> bool:
        def write(db: sqlite3.Connection) -> bool:
            self._sweeper.sweep(db, now, int(self._clock()))
            return markers.use_once(db, key, expires, now)

        return await self._writer.run(write)

    async def revoke_before(self, key: bytes, at: int, expires: int) -> None:
        def write(db: sqlite3.Connection) -> None:
            # `at` may be any time: not every revocation is of this moment.
            self._sweeper.sweep(db, int(self._now()), int(self._clock()))
            markers.revoke_before(db, key, at, expires)

        await self._writer.run(write)

    def revoked_before_nowait(self, keys: Sequence[bytes], now: int) -> int:
        return self._read_inline(lambda db: markers.revoked_before(db, keys, now))

    async def revoked_before(self, keys: Sequence[bytes], now: int) -> int:
        return await self._read(lambda db: markers.revoked_before(db, keys, now))

    # -- the file ----------------------------------------------------------------------------------

    @property
    def missing(self) -> str | None:
        return None

    async def start(self) -> None:
        """Do nothing: the file was opened when the store was made."""

    async def aclose(self) -> None:
        # Otherwise a thread would use a connection that is closed meanwhile, which SQLite does not
        # survive. Each of them has a deadline.
        with trio.CancelScope(shield=True):
            async with self._writer.idle(), self._one_reader:
                for connection in (self._inline, self._reads, self._changes):
                    connection.close()

    def _read_inline(self, read: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return read(self._inline)
        except sqlite3.Error as error:
            raise WouldBlock from error

    async def _read(self, read: Callable[[sqlite3.Connection], T]) -> T:
        work = partial(read, self._reads)
        try:
            with trio.fail_after(self._deadline):
                return await trio.to_thread.run_sync(work, limiter=self._one_reader)
        except (sqlite3.Error, trio.TooSlowError) as error:
            raise StoreUnavailable(f"sqlite: {error or 'no answer in time'}") from error
