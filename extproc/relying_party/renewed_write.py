"""RenewedWrite: writes a session whose tokens were renewed, although its lock may have been lost.

A lock can be lost while the provider is asked: to a failover of the store, to an eviction, or to
its own end while the process stood still. That is no logout.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from extproc import telemetry
from extproc.core.application import Application
from extproc.core.errors import StoreUnavailable
from extproc.core.http import Request
from extproc.core.session import Session
from extproc.sessions.interfaces import Sessions
from extproc.sessions.store import Replaced

FIRST_PAUSE = 0.05  # seconds until the lock, or a failed write, is tried again


@dataclass(frozen=True, slots=True)
class RenewedWrite:
    """The write of one renewed session.

    Args:
        application: The session's application.
        request: The request whose session it is.
        sessions: Where sessions are kept.
        owner: Who holds the session's lock.
        timeout: Seconds for the write, even after the deadline of the request.
        now: Returns the time, in seconds since the epoch.
    """

    application: Application
    request: Request
    sessions: Sessions = field(repr=False)
    owner: bytes = field(repr=False)
    timeout: float
    now: Callable[[], int] = field(repr=False)

    async def make(self, new: Session, earlier: Session) -> Session | None:
        """Write the session, again and again while there is time, because the new tokens exist
        nowhere else.

        A lock that was lost is taken again. Then the session is written only over the state that it
        was made from: what another process has renewed meanwhile stays.

        Args:
            new: The session with its new tokens.
            earlier: The state that it was made from.

        Returns:
            The session as it is kept now; None if it is over.

        Raises:
            StoreUnavailable: It could not be written in time.
            SessionTooLarge: The cookies cannot hold it.
        """
        failure = StoreUnavailable("the renewed tokens could not be written in time")
        lost = False
        with trio.move_on_after(self.timeout, shield=True), telemetry.span("store replace"):
            while True:
                try:
                    written = await self.sessions.replace(
                        self.application, self.request, new, self.owner, self.now()
                    )
                    if written is not Replaced.NOT_MINE:
                        return new if written else None
                    if not lost:
                        lost = True
                        name = self.application.name
                        telemetry.log(logging.WARNING, "refresh_lock_lost", application=name)
                    current = await self._locked_again(new)
                    if current is None or current.recency > earlier.recency:
                        return current
                except StoreUnavailable as error:
                    failure = error
                await trio.sleep(FIRST_PAUSE)
        raise failure

    async def _locked_again(self, session: Session) -> Session | None:
        """Take the lock again, and return the session as the store has it.

        Another process that has the lock by now may be renewing the session, so it is waited for.
        """
        seconds = math.ceil(self.timeout) + 1
        while True:
            if await self.sessions.lock(session, self.owner, seconds, self.now()):
                return await self.sessions.load_again(self.application, session, self.now())
            await trio.sleep(FIRST_PAUSE)
