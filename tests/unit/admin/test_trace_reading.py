"""Reading the traces of the store is work in pieces, for a bounded number of pages."""

import gc
from collections.abc import Callable
from functools import partial

import pytest
import trio
import trio.testing
from harness import spans
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message

from extproc.admin.trace_reading import BYTES, SPANS, WAITING, TraceReader
from extproc.traces import Span, Trace, TraceStore, summary
from extproc.traces.values import LazySpan

MANY = 499


def filled(traces: int, size: int, load: Callable[[Span], Span]) -> TraceStore:
    """A store with MANY spans in each of so many traces, of which each counts for `size` bytes."""
    store = TraceStore(max_bytes=10**12)
    for trace in range(1, traces + 1):
        trace_id = f"{trace:032x}"
        for number in range(1, MANY + 1):
            span = spans.span(number, 0, "a", "x", 0, 1, trace_id=trace_id)
            store.take([LazySpan(trace_id, span.span_id, 1, False, (), size, partial(load, span))])
    return store


async def stays() -> Message:
    """What a client that waits for its response sends."""
    await trio.sleep_forever()
    raise AssertionError


async def all_of(reader: TraceReader) -> object:
    return await reader.each(summary)


async def one(reader: TraceReader) -> object:
    return await reader.trace(f"{1:032x}")


@pytest.mark.threat("bounds")
@pytest.mark.parametrize("work", [all_of, one])
@pytest.mark.parametrize(
    ("size", "piece"), [(100, SPANS), (BYTES // 10, 10), (2 * BYTES, 1)], ids=str
)
async def test_a_page_that_is_cancelled_decodes_no_more_than_its_piece(
    work: Callable[[TraceReader], object], size: int, piece: int
) -> None:
    decoded: list[str] = []

    def load(span: Span) -> Span:
        decoded.append(span.span_id)
        if len(decoded) == piece + 1:
            trio.from_thread.run_sync(scope.cancel)
        return span

    store = filled(2, size, load)
    assert store.all_stored(), "so there is something to decode"
    with trio.CancelScope() as scope:
        await work(TraceReader(store))  # type: ignore[misc]
    assert scope.cancelled_caught
    assert len(decoded) == 2 * piece


async def test_of_all_traces_the_spans_of_one_are_in_memory_at_a_time() -> None:
    def alive() -> int:
        return sum(isinstance(each, Span) for each in gc.get_objects())

    store = filled(
        8, 100, lambda span: Span(**{name: getattr(span, name) for name in Span.__slots__})
    )
    gc.collect()
    before, most = alive(), 0

    def read(trace: Trace) -> None:
        nonlocal most
        gc.collect()
        most = max(most, alive() - before)

    await TraceReader(store).each(read)
    assert MANY <= most <= 2 * MANY + SPANS


@pytest.mark.threat("bounds")
async def test_beyond_so_many_pages_that_wait_another_is_refused_at_once() -> None:
    reader, go_on, began = TraceReader(TraceStore()), trio.Event(), trio.Event()
    answers: list[int] = []

    async def page() -> Response:
        began.set()
        await go_on.wait()
        return PlainTextResponse("")

    async def ask() -> None:
        answers.append((await reader.in_turn(stays, page)).status_code)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await began.wait()
        for _ in range(WAITING):
            nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        assert answers == []
        refused = await reader.in_turn(stays, page)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        go_on.set()
    assert answers == [200] * (WAITING + 1)


@pytest.mark.threat("bounds")
async def test_a_client_that_leaves_makes_room_whether_its_page_is_read_or_waits() -> None:
    reader, leave, given_up = TraceReader(TraceStore()), trio.Event(), trio.Event()

    async def leaves() -> Message:
        await leave.wait()
        return {"type": "http.disconnect"}

    async def endless() -> Response:
        try:
            await trio.sleep_forever()
        finally:
            given_up.set()
        raise AssertionError

    async def page() -> Response:
        return PlainTextResponse("")

    async with trio.open_nursery() as nursery:
        for _ in range(WAITING + 1):
            nursery.start_soon(reader.in_turn, leaves, endless)
        await trio.testing.wait_all_tasks_blocked()
        leave.set()
    assert given_up.is_set()
    assert (await reader.in_turn(stays, page)).status_code == 200
