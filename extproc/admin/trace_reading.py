"""Reads the last traces for a page, which may be 16 MB of spans that any sender of spans wrote.

They are decoded off the event loop and in pieces, between which a page can be cancelled; a page
keeps of each trace only what it shows, so no more than one trace is decoded at a time. One page is
read at a time, because the memory of several adds up.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

import trio
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive

from extproc import background
from extproc.traces import Span, Trace, TraceStore
from extproc.traces.store import StoredTrace
from extproc.traces.values import LazySpan

T = TypeVar("T")

# Of one piece: some milliseconds of work. A larger span is a piece of its own.
SPANS = 200
BYTES = 500_000
# Pages that wait for their turn; a further one is refused.
WAITING = 8
# Nobody reads it.
_GONE = Response(status_code=503)
_BUSY = PlainTextResponse("Too many people are looking at traces.\n", 503, {"retry-after": "1"})


class TraceReader:
    """Reads the traces of a store, page by page."""

    def __init__(self, traces: TraceStore) -> None:
        """Take the store; nothing is read yet."""
        self._traces = traces
        self._turn = trio.CapacityLimiter(1)

    async def in_turn(self, receive: Receive, page: Callable[[], Awaitable[Response]]) -> Response:
        """Make a page when those before it are done; a response with 503 if WAITING others wait.

        receive: of the request; the page is given up when the client leaves.
        """
        if self._turn.statistics().tasks_waiting >= WAITING:
            return _BUSY
        response = _GONE
        async with trio.open_nursery() as nursery:

            async def leave() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                nursery.cancel_scope.cancel()

            nursery.start_soon(leave)
            async with self._turn:
                response = await page()
            nursery.cancel_scope.cancel()
        return response

    async def trace(self, trace_id: str) -> Trace | None:
        """Read the trace of this id; None if the store has none. Raises what decoding it raises."""
        stored = self._traces.stored(trace_id)
        return await _decoded(stored) if stored is not None else None

    async def each(self, read: Callable[[Trace], T]) -> list[T]:
        """Read something of each trace, in a thread; the one with the latest span comes first.

        A trace that cannot be decoded or read is logged and left out.
        """
        found = []
        for stored in self._traces.all_stored():
            try:
                trace = await _decoded(stored)
                found.append(await trio.to_thread.run_sync(read, trace))
            except Exception as error:  # the boundary
                background.bug("trace_unreadable", error)
        return found


async def _decoded(stored: StoredTrace) -> Trace:
    spans: list[Span] = []
    for piece in _pieces(stored.spans):
        spans += await trio.to_thread.run_sync(_spans, piece)
    return stored.decoded(spans)


def _spans(piece: Sequence[LazySpan]) -> list[Span]:
    return [lazy.span() for lazy in piece]


def _pieces(spans: Sequence[LazySpan]) -> Iterator[list[LazySpan]]:
    """The spans, in pieces of SPANS and of BYTES at most."""
    piece: list[LazySpan] = []
    size = 0
    for span in spans:
        if piece and (len(piece) == SPANS or size + span.size > BYTES):
            yield piece
            piece, size = [], 0
        piece.append(span)
        size += span.size
    yield piece
