"""What one provider may cost the process: connections that are being made, answers in memory, CPU
in one turn of the scheduler.

Connections: a burst of logins that all connect at the same moment takes the CPU (TLS handshakes)
from everything else, and from the provider. A call that finds no place waits for one, first come
first served, inside its own deadline.

Memory: one answer has a limit of its own (limits.response_bytes); a thousand logins at a provider
that sends all it may would still need a gigabyte. So what is beyond the first kilobytes of each,
which honest answers never are, comes out of one budget.

CPU: a turn of trio's scheduler runs every task that is ready, and nothing else happens meanwhile:
no redirect, no renewal, no 401. When a slow provider answers a thousand logins at once, one turn
would verify a thousand ID tokens. So every call that comes back from a provider passes a turnstile,
a few in a turn, and between two turns the event loop has its own.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Self, cast

import trio

from extproc.core.errors import Overloaded

IN_A_TURN = 2  # each is some milliseconds of CPU


class TickLimiter:
    """First come, first served. Where nobody waits it costs no turn."""

    def __init__(self, in_a_turn: int = IN_A_TURN) -> None:
        self._in_a_turn = self._free = in_a_turn
        self._waiting = trio.lowlevel.ParkingLot()
        self._turning = False

    @property
    def waiting(self) -> int:
        """How many wait for a turn."""
        return len(self._waiting)

    async def __call__(self) -> None:
        """Returns in this turn while it has room, else in one that has. Cancelled as any wait
        is.
        """
        if self._free > 0 and not self._waiting:
            self._free -= 1
            self._turn_soon()
            return
        self._turn_soon()
        await self._waiting.park()

    def _turn_soon(self) -> None:
        if not self._turning:
            self._turning = True
            trio.lowlevel.current_trio_token().run_sync_soon(self._turn)

    def _turn(self) -> None:
        self._turning = False
        self._free = self._in_a_turn - len(self._waiting.unpark(count=self._in_a_turn))
        if self._free < self._in_a_turn:
            self._turn_soon()


FREE = 16_384  # bytes of each answer that are not counted


MOST = 32_000_000  # bytes of all that is


class MemoryBudget:
    """One for all providers of a process."""

    def __init__(self, most: int = MOST) -> None:
        self._most, self.held = most, 0

    def take(self, more: int) -> None:
        """Raises Overloaded."""
        if self.held + more > self._most:
            raise Overloaded(
                f"the answers of providers that are being read have {self._most} bytes "
                "together already"
            )
        self.held += more

    def release(self, held: int) -> None:
        self.held -= held


class ResponseBody:
    """One answer while it is read: `with ResponseBody(bodies) as body`. What it was given goes back
    at the end.
    """

    def __init__(self, memory_budget: MemoryBudget) -> None:
        self._memory_budget, self._taken = memory_budget, 0
        self.data = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._memory_budget.release(self._taken)

    def add(self, chunk: bytes) -> None:
        """Raises Overloaded."""
        more = max(0, len(self.data) + len(chunk) - FREE) - self._taken
        self._memory_budget.take(more)
        self._taken += more
        self.data += chunk


class ConnectLimiter:
    """httpcore's `trace` of one request: from its connect, if it makes one, until it sends its
    head, it holds a place.

    Places are a provider's own, so that waiting for one provider starves no other. Call `over` when
    the request ends, however. An answer passes the turnstile before anything is done with it.
    """

    __slots__ = ("_holds", "_places", "_stream", "_tick_limiter")

    def __init__(self, places: trio.Semaphore, tick_limiter: TickLimiter) -> None:
        self._places, self._tick_limiter = places, tick_limiter
        self._holds = False
        self._stream: trio.abc.AsyncResource | None = None

    async def __call__(self, event: str, info: Mapping[str, object]) -> None:
        if event == "connection.connect_tcp.started" and not self._holds:
            await self._places.acquire()
            self._holds = True
        elif event == "connection.connect_tcp.complete":
            self._stream = cast(trio.abc.AsyncResource, info["return_value"])
        elif event.endswith(".send_request_headers.started"):
            self._connected()
        elif event.endswith(".receive_response_headers.complete"):
            await self._tick_limiter()

    def _connected(self) -> None:
        self._stream = None
        if self._holds:
            self._holds = False
            self._places.release()

    async def over(self) -> None:
        stream = self._stream
        self._connected()
        # httpcore leaves the socket of a cancelled handshake to the garbage collector
        if stream is not None:
            with trio.CancelScope(shield=True):
                await stream.aclose()
