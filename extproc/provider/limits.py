"""Limits on what one provider may cost the process: CPU per scheduler tick, memory, and connections
that are being made.

CPU (TickLimiter): a tick of trio's scheduler runs every task that is ready, and nothing else
happens meanwhile: no redirect, no refresh, no 401. When a slow provider answers a thousand logins
at the same moment, one tick would verify a thousand ID tokens. So only a few calls begin, or come
back from a provider, in each tick, and between two ticks other work has its turn.

Memory (MemoryBudget): one response has a limit of its own (limits.response_bytes), but a thousand
logins at a provider that sends all it may would still need a gigabyte. So the bytes beyond the
first kilobytes of each response, which honest responses never reach, come out of one budget, of
which one of several providers gets half at most.

Connections (ConnectLimiter): a burst of logins that all connect at the same moment takes the CPU
(TLS handshakes) from everything else, and from the provider. A call that finds no place waits for
one, first come, first served, inside its own deadline.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Self, cast

import trio

from extproc.core.errors import Overloaded

CALLS_PER_TICK = 2  # each is some milliseconds of CPU
FREE_BYTES = 16_384  # of each response, which the budget does not count
BUDGET_BYTES = 32_000_000  # of all responses together

# The names of httpcore's trace events by which ConnectLimiter steers. The last two follow the name
# of the protocol: http11 or http2.
CONNECT_STARTED = "connection.connect_tcp.started"
CONNECT_COMPLETE = "connection.connect_tcp.complete"
REQUEST_STARTED = ".send_request_headers.started"
RESPONSE_STARTED = ".receive_response_headers.complete"


class TickLimiter:
    """Lets a few tasks continue in each tick of trio's scheduler, first come, first served.

    A task waits for no tick while there is room and no other task waits.
    """

    def __init__(self, per_tick: int = CALLS_PER_TICK) -> None:
        self._per_tick = per_tick
        self._free = per_tick
        self._waiting = trio.lowlevel.ParkingLot()
        self._scheduled = False

    @property
    def waiting(self) -> int:
        """How many tasks wait for a tick."""
        return len(self._waiting)

    async def __call__(self) -> None:
        """Return in this tick if it has room, otherwise in the first that has. Can be cancelled."""
        if self._free > 0 and not self._waiting:
            self._free -= 1
            self._schedule()
            return
        self._schedule()
        await self._waiting.park()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            trio.lowlevel.current_trio_token().run_sync_soon(self._tick)

    def _tick(self) -> None:
        self._scheduled = False
        self._free = self._per_tick - len(self._waiting.unpark(count=self._per_tick))
        if self._free < self._per_tick:
            self._schedule()


class MemoryBudget:
    """Bytes that the responses of all providers of a process may hold together, or, within such a
    budget, those of one provider.
    """

    def __init__(self, most: int = BUDGET_BYTES, within: "MemoryBudget | None" = None) -> None:
        self._most = most
        self._within = within
        self.held = 0

    def half(self) -> "MemoryBudget":
        """A budget of half the bytes, which come out of this one too."""
        return MemoryBudget(self._most // 2, self)

    def take(self, more: int) -> None:
        """Reserve bytes.

        Raises:
            Overloaded: The budget is used up.
        """
        if self.held + more > self._most:
            whose = "all providers" if self._within is None else "one of several providers"
            raise Overloaded(f"the responses of {whose} may hold {self._most} bytes together")
        if self._within is not None:
            self._within.take(more)
        self.held += more

    def release(self, held: int) -> None:
        """Return reserved bytes."""
        self.held -= held
        if self._within is not None:
            self._within.release(held)


class ResponseBody:
    """One response's body while it is read; a context manager that returns its share of the budget
    at the end.
    """

    def __init__(self, memory_budget: MemoryBudget) -> None:
        self._memory_budget = memory_budget
        self._taken = 0
        self.data = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._memory_budget.release(self._taken)

    def add(self, chunk: bytes) -> None:
        """Append a chunk.

        Raises:
            Overloaded: The budget is used up.
        """
        more = max(0, len(self.data) + len(chunk) - FREE_BYTES) - self._taken
        self._memory_budget.take(more)
        self._taken += more
        self.data += chunk


class ConnectLimiter:
    """Limits how many connections to one provider are being made: httpcore's `trace` extension of
    one request.

    httpcore has no hook for this, so the limiter is steered by the names of its trace events, which
    tests/unit/provider/test_limits.py checks against the installed httpcore. A request that has to
    connect holds a place from then until it sends its head (TCP and TLS). Its response passes the
    TickLimiter before anything is done with it. Call `aclose` when the request ends, however it
    ends.

    Args:
        places: One provider's own, so that waiting for one provider starves no other.
        tick_limiter: One for all providers of the process.
    """

    __slots__ = ("_holds", "_places", "_stream", "_tick_limiter")

    def __init__(self, places: trio.Semaphore, tick_limiter: TickLimiter) -> None:
        self._places = places
        self._tick_limiter = tick_limiter
        self._holds = False
        self._stream: trio.abc.AsyncResource | None = None

    async def __call__(self, event: str, info: Mapping[str, object]) -> None:
        """Receive a trace event. httpcore awaits it, so waiting here delays the request."""
        if event == CONNECT_STARTED and not self._holds:
            await self._places.acquire()
            self._holds = True
        elif event == CONNECT_COMPLETE:
            self._stream = cast(trio.abc.AsyncResource, info["return_value"])
        elif event.endswith(REQUEST_STARTED):
            self._connected()
        elif event.endswith(RESPONSE_STARTED):
            await self._tick_limiter()

    def _connected(self) -> None:
        self._stream = None
        if self._holds:
            self._holds = False
            self._places.release()

    async def aclose(self) -> None:
        """Release the place, and close the socket of a handshake that was cancelled: httpcore
        leaves it to the garbage collector.
        """
        stream = self._stream
        self._connected()
        if stream is not None:
            with trio.CancelScope(shield=True):
                await stream.aclose()
