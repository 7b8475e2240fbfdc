"""Live streams at the gRPC edge: held until their session is over, and then ended with an error, on
both bridges.
"""

import asyncio
import logging
from dataclasses import dataclass

import grpc
import pytest
from harness.memory_peers import MemoryStore, nothing
from harness.serving import ROUTE, Edge, head, until
from harness.tokens import ISSUER, NOW, application

from extproc._wire import ext_proc_pb2 as wire
from extproc.contract import CONTINUE, COOKIES, DECISION, LIVE, NAMESPACE, REASON
from extproc.core.decisions import StepKind
from extproc.core.device import Device
from extproc.core.errors import StoreUnavailable
from extproc.core.oidc.claims import Claims
from extproc.core.reasons import REASONS
from extproc.core.sealing import ENTROPY
from extproc.core.session import Session, SessionId
from extproc.core.session_record import to_record
from extproc.ext_proc.live_streams import PROCESSOR_LEAVING, SESSION_OVER
from extproc.settings import Limits

APP = application()
PEOPLE = {
    name: Session(
        SessionId.of(name.encode() * 16), ISSUER, name, Claims({"sub": name}), "idt", "at", None, NOW + 300, NOW, NOW + 9_000, NOW
    )
    for name in ("al", "bo")
}  # fmt: skip


class Store(MemoryStore):
    """Everybody's sessions. `reads` counts those that may wait; the key `garbled` cannot be read."""

    def __init__(self):
        super().__init__()
        self.reads = 0
        self.garbled = None
        for session in PEOPLE.values():
            self.records[session.id.key] = to_record(APP, session, Device(), bytes(2 * ENTROPY))

    async def get(self, key, now):
        self.reads += 1
        if key == self.garbled:
            raise ExceptionGroup("x", [ValueError("garbage")])
        return await super().get(key, now)

    def ends(self, name):
        del self.records[PEOPLE[name].id.key]

    def fails(self, error):
        def met(operation, when):
            raise error

        self.met = met


def opening(name: str) -> wire.ProcessingRequest:
    cookie = f"{APP.cookies.session}={PEOPLE[name].id.cookie}"
    return head("/chat", upgrade="websocket", **{COOKIES: cookie})


def phase(name: str) -> wire.ProcessingRequest:
    request = wire.ProcessingRequest()
    getattr(request, name).SetInParent()
    return request


@dataclass
class Here:
    """A processor with live streams, and the store of its sessions."""

    edge: Edge
    store: Store

    async def opens(self, name):
        """Begins a live stream; gives it and its first answer."""
        stream = self.edge.stream((*ROUTE, (LIVE, "1")))
        await stream.write(opening(name))
        answer = await stream.read()
        # the server's side of the write may end after the client has read: a round in between
        # misses the stream
        await until(lambda: not self.edge.servicer.admission.streams)
        return stream, answer

    async def round(self):
        await self.edge.bridge.run(self.edge.servicer.live_streams.round)

    def held(self):
        return self.edge.servicer.admission.held(StepKind.LIVE)


@pytest.fixture
def live(serving):
    """live(test, limits) runs `await test(here)` beside a listening processor."""

    def run(test, limits=None):
        store = Store()

        async def body(edge):
            here = Here(edge, store)
            await test(here)
            # what is still open is cancelled, and unwinds
            await edge.listener.drain(0)
            await until(lambda: not here.held() and not edge.servicer.admission.streams)

        serving(body, app=APP, store=store, limits=limits)

    return run


def goes_on(answer) -> bool:
    return (
        answer.dynamic_metadata.fields[NAMESPACE].struct_value.fields[DECISION].string_value
        == CONTINUE
    )


async def ended(stream, reason):
    """By an answer, and by an error should that not count."""
    last = await stream.read()
    said = last.dynamic_metadata.fields[NAMESPACE].struct_value.fields[REASON].string_value
    assert (last.immediate_response.status.code, last.immediate_response.details, said) == (
        401,
        reason,
        reason,
    )
    await aborted(stream, grpc.StatusCode.ABORTED)


async def aborted(stream, code):
    with pytest.raises(grpc.aio.AioRpcError):
        await stream.read()
    assert await stream.code() == code


def test_a_live_stream_is_held_until_its_request_is_over(live):
    async def test(here):
        stream, answer = await here.opens("al")
        assert goes_on(answer)
        assert here.held() == 1, "it counts in a lane of its own"
        for name in ("response_headers", "response_trailers"):
            await stream.write(phase(name))
            assert (await stream.read()).WhichOneof("response") == name
        await here.round()
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        assert await stream.code() == grpc.StatusCode.OK

    live(test)


def test_it_ends_with_its_session_whose_streams_are_asked_for_once(live, caplog):
    caplog.set_level(logging.INFO, "extproc")

    async def test(here):
        mine = [(await here.opens("al"))[0] for _ in range(5)]
        other, _ = await here.opens("bo")
        await here.round()
        assert here.store.reads == 2
        here.store.ends("al")
        await here.round()
        for stream in mine:
            await ended(stream, SESSION_OVER)
        await other.write(phase("response_headers"))
        assert (await other.read()).WhichOneof("response") == "response_headers"

    live(test)
    lines = [each for each in caplog.records if each.getMessage() == "stream_ended"]
    assert [each.detail for each in lines if each.reason == SESSION_OVER] == ["ended"] * 5


def test_one_user_leaves_room_for_others(live):
    async def test(here):
        mine = [await here.opens("al") for _ in range(2)]
        assert all(goes_on(answer) for _, answer in mine)
        _, refused = await here.opens("al")
        assert refused.immediate_response.status.code == 503
        _, other = await here.opens("bo")
        assert goes_on(other)
        await mine[0][0].done_writing()
        assert await mine[0][0].read() is grpc.aio.EOF
        await until(lambda: here.held() == 2)
        _, again = await here.opens("al")
        assert goes_on(again)

    live(test, Limits(live=3, live_per_user=2))


def test_a_store_that_cannot_answer_ends_nothing(live):
    async def test(here):
        stream, _ = await here.opens("al")
        here.store.fails(StoreUnavailable("away"))
        await here.round()
        await stream.write(phase("response_headers"))
        assert (await stream.read()).WhichOneof("response") == "response_headers"
        here.store.met = nothing
        here.store.ends("al")
        await here.round()
        await ended(stream, SESSION_OVER)

    live(test)


@pytest.mark.attack("REL-43")
def test_a_session_that_cannot_be_read_keeps_no_other_s_stream_open(live):
    async def test(here):
        garbled = [(await here.opens("al"))[0] for _ in range(2)]
        other, _ = await here.opens("bo")
        here.store.garbled = PEOPLE["al"].id.key
        here.store.ends("bo")
        await here.round()
        await ended(other, SESSION_OVER)
        for stream in garbled:  # nobody knows that it is over
            await stream.write(phase("response_headers"))
            assert (await stream.read()).WhichOneof("response") == "response_headers"

    live(test)


def test_a_phase_that_nobody_asked_for_aborts_it(live):
    async def test(here):
        stream, _ = await here.opens("al")
        await stream.write(phase("response_body"))
        await aborted(stream, grpc.StatusCode.FAILED_PRECONDITION)

    live(test)


def test_one_that_nobody_could_watch_is_refused(live):
    async def test(here):
        first, answer = await here.opens("al")
        assert goes_on(answer)
        _, answer = await here.opens("bo")
        assert answer.immediate_response.status.code == 503
        first.cancel()
        await until(lambda: not here.held())
        _, answer = await here.opens("bo")
        assert goes_on(answer)

    live(test, Limits(live=1))


def test_a_processor_that_leaves_ends_them_first(live):
    async def test(here):
        stream, _ = await here.opens("al")
        leaving = asyncio.ensure_future(here.edge.listener.drain(5))
        await ended(stream, PROCESSOR_LEAVING)
        await leaving

    live(test)


def test_why_a_stream_is_ended_is_a_row_of_the_table():
    for reason in (SESSION_OVER, PROCESSOR_LEAVING):
        assert REASONS[reason].status is None and REASONS[reason].remedy
