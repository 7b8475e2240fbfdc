"""Notices that a store went back to an earlier state: restored from a backup, or a server that came
back without its newest writes.

Sessions that have ended since then would be there again, and which ones they are is not known; so
all sessions end. A store has an epoch, which only grows: the time of its last sign of life, written
every EVERY seconds by each process, in place of a revocation. It is compared with the highest
epoch that this process has seen, and, for a SQLite file, with a note beside the file, which stays
when the file alone is replaced.
"""

import hashlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import trio

from extproc import telemetry
from extproc.core import revocation
from extproc.core.errors import StoreUnavailable
from extproc.sessions.interfaces import Sessions

# Seconds between two signs of life.
EVERY = 20
# Seconds until a store that could not answer is looked at again.
AGAIN = 1
# Milliseconds. A power failure or a failover may cost a store its last writes; that is no restore.
LOST = 60_000
# Seconds for which a store keeps its epoch after the last process: ten years.
KEPT = 10 * 365 * 86400
# Digits of a note, which are enough for 30,000 years.
_DIGITS = 15
_KEY = hashlib.sha256(b"the epoch of the store").digest()


class Epoch:
    """The epoch of the store that some sessions are in."""

    def __init__(
        self,
        sessions: Sessions,
        note: Path | None = None,
        now: Callable[[], float] = time.time,
        *,
        counts_empty: bool = False,
    ) -> None:
        """
        Args:
            sessions: which all end if their store went back.
            note: a file that has the epoch as well, made if it is missing; None for none.
            now: in seconds since the epoch of Unix.
            counts_empty: whether a store without any epoch, which is an empty one, went back too.
                It did where sessions are in cookies, because it had the revocations. An empty
                store of sessions brings none back.
        """
        self._sessions = sessions
        self._note = note
        self._now = now
        self._counts_empty = counts_empty
        self._seen = 0

    async def watch(self) -> None:
        """Look every EVERY seconds, without end. Raises OSError when the note cannot be used."""
        while True:
            try:
                await self.look()
                pause = EVERY
            except StoreUnavailable:
                # Nobody is signed in by it meanwhile. What it has when it is back matters at once.
                pause = AGAIN
            await trio.sleep(pause)

    async def look(self) -> None:
        """End all sessions if the store went back, then give a sign of life.

        Raises:
            StoreUnavailable: the store cannot answer; it is to be looked at again.
            OSError: the note cannot be read or written.
        """
        now = self._now()
        revocations = self._sessions.revocations
        stored = await revocations.revoked_before((_KEY,), int(now))
        known = max(self._seen, await trio.to_thread.run_sync(self._noted))
        if stored < known - LOST and (stored or self._counts_empty):
            await self._end_all(stored, known, now)
        # Written last: a process that is killed before it has ended all of them does it again.
        epoch = max(stored, known, revocation.written(now))
        await revocations.revoke_before(_KEY, epoch, int(now) + KEPT)
        self._seen = epoch
        await trio.to_thread.run_sync(self._write, epoch)

    async def _end_all(self, stored: int, known: int, now: float) -> None:
        ended = await self._sessions.end_everything(now)
        by = (known - stored) // 1000 if stored else None
        telemetry.log(logging.WARNING, "store_went_back", by_seconds=by, ended=ended)

    def _noted(self) -> int:
        """The epoch of the note; 0 without one, and for one that is no number."""
        if self._note is None:
            return 0
        try:
            with self._note.open("rb") as note:
                text = note.read(_DIGITS + 1)
        except FileNotFoundError:
            return 0
        return int(text) if text.isdigit() and len(text) <= _DIGITS else 0

    def _write(self, epoch: int) -> None:
        if self._note is None:
            return
        # Several processes write it. A reader never meets half of it.
        part = self._note.with_name(f"{self._note.name}.{os.getpid()}")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(str(epoch))
        part.replace(self._note)
