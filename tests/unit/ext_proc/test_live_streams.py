"""Live streams at the gRPC edge: held until their session is over, and then ended with an error, on
both bridges.
"""

import asyncio
from types import SimpleNamespace

import grpc
import pytest
from harness.bridges import BRIDGES
from harness.tokens import ISSUER, METADATA, NOW, application

from extproc._wire import ext_proc_pb2 as wire
from extproc.addresses import Address
from extproc.contract import (
    APPLICATION,
    CONTINUE,
    COOKIES,
    DECISION,
    LIVE,
    NAMESPACE,
    REASON,
    SERVICE,
)
from extproc.core.device import Device
from extproc.core.errors import StoreUnavailable
from extproc.core.oidc.claims import Claims
from extproc.core.sealing import ENTROPY
from extproc.core.session import Session, SessionId
from extproc.core.session_record import to_record
from extproc.ext_proc.credentials import Door
from extproc.ext_proc.live_streams import PROCESSOR_LEAVING, SESSION_OVER
from extproc.ext_proc.server import Listener
from extproc.ext_proc.servicer import Servicer
from extproc.relying_party.relying_party import RelyingParty
from extproc.sessions.stored import StoredSessions
from extproc.settings import Limits, Timeouts

APP = application()
PEOPLE = {
    name: Session(
        SessionId.of(name.encode() * 16), ISSUER, name, Claims({"sub": name}), "idt", "at", None, NOW + 300, NOW, NOW + 9_000, NOW
    )
    for name in ("al", "bo")
}  # fmt: skip


class Store:
    """A SessionStore with everybody's session; `asked` counts reads that may wait, `error` is what
    they then meet.
    """

    def __init__(self):
        self.records = {
            s.id.key: to_record(APP, s, Device(), bytes(2 * ENTROPY)) for s in PEOPLE.values()
        }
        self.asked, self.error = 0, None

    def get_nowait(self, key, now):
        return self.records.get(key)

    async def get(self, key, now):
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.records.get(key)

    async def delete(self, key):
        self.records.pop(key, None)


def opening(name: str) -> wire.ProcessingRequest:
    request = wire.ProcessingRequest()
    cookie = f"{APP.cookies.session}={PEOPLE[name].id.cookie}"
    said = {
        ":method": "GET",
        ":path": "/chat",
        ":authority": "app.example",
        "upgrade": "websocket",
        COOKIES: cookie,
    }
    for key, value in said.items():
        header = request.request_headers.headers.headers.add()
        header.key, header.raw_value = key, value.encode()
    return request


def phase(name: str) -> wire.ProcessingRequest:
    request = wire.ProcessingRequest()
    getattr(request, name).SetInParent()
    return request


@pytest.fixture(params=BRIDGES)
def serving(request):
    """serving(test, limits): runs `await test(here)`; here.opens(name) begins a live stream, and is
    given its first answer.
    """

    def run(test, limits=None):
        async def body(bridge):
            store = Store()
            provider = SimpleNamespace(name="main", metadata_nowait=lambda: METADATA)
            party = RelyingParty(
                {"app": APP}, {"app": provider}, StoredSessions(store), lambda: NOW
            )
            server = Servicer(party, bridge, Timeouts(), limits or Limits())
            listener = Listener(server, Door(Address(host="127.0.0.1", port=0)))
            await listener.start()
            async with grpc.aio.insecure_channel(f"127.0.0.1:{listener.port}") as channel:
                method = channel.stream_stream(
                    f"/{SERVICE}/Process",
                    wire.ProcessingRequest.SerializeToString,
                    wire.ProcessingResponse.FromString,
                )

                hold, held = server.live_streams.hold, []

                def holds(*arguments):
                    held.append(arguments)
                    return hold(*arguments)

                server.live_streams.hold = holds

                async def opens(name):
                    before = len(held)
                    stream = method(metadata=((APPLICATION, "app"), (LIVE, "1")))
                    await stream.write(opening(name))
                    answer = await stream.read()
                    # the server's side of the write may end after the client has read: a round in
                    # between misses the stream
                    while answer.HasField("request_headers") and len(held) == before:
                        await asyncio.sleep(0)
                    return stream, answer

                here = SimpleNamespace(
                    opens=opens,
                    store=store,
                    server=server,
                    leave=lambda: listener.drain(5),
                    round=lambda: bridge.run(server.live_streams.round),
                )
                async with asyncio.timeout(60):
                    try:
                        await test(here)
                    finally:
                        await listener.drain(0)
                        # what was cancelled unwinds
                        while server.admission.held("live") or server.admission.streams:
                            await asyncio.sleep(0.01)

        BRIDGES[request.param](body)

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


def test_a_live_stream_is_held_until_its_request_is_over(serving):
    async def test(here):
        stream, answer = await here.opens("al")
        assert goes_on(answer)
        while here.server.admission.streams:  # it counts in a lane of its own
            await asyncio.sleep(0.01)
        assert here.server.admission.held("live") == 1
        for name in ("response_headers", "response_trailers"):
            await stream.write(phase(name))
            assert (await stream.read()).WhichOneof("response") == name
        await here.round()
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        assert await stream.code() == grpc.StatusCode.OK

    serving(test)


def test_it_ends_with_its_session_whose_streams_are_asked_for_once(serving):
    async def test(here):
        mine = [(await here.opens("al"))[0] for _ in range(5)]
        other, _ = await here.opens("bo")
        await here.round()
        assert here.store.asked == 2
        await here.store.delete(PEOPLE["al"].id.key)
        await here.round()
        for stream in mine:
            await ended(stream, SESSION_OVER)
        await other.write(phase("response_headers"))
        assert (await other.read()).WhichOneof("response") == "response_headers"

    serving(test)


def test_a_store_that_cannot_answer_ends_nothing(serving):
    async def test(here):
        stream, _ = await here.opens("al")
        here.store.error = StoreUnavailable("away")
        await here.round()
        await stream.write(phase("response_headers"))
        assert (await stream.read()).WhichOneof("response") == "response_headers"
        here.store.error = None
        await here.store.delete(PEOPLE["al"].id.key)
        await here.round()
        await ended(stream, SESSION_OVER)

    serving(test)


@pytest.mark.attack("REL-43")
def test_a_session_that_cannot_be_read_keeps_no_other_s_stream_open(serving):
    async def test(here):
        garbled = [(await here.opens("al"))[0] for _ in range(2)]
        other, _ = await here.opens("bo")
        right, here.store.get = here.store.get, None

        async def get(key, now):
            if key == PEOPLE["al"].id.key:
                raise ExceptionGroup("x", [ValueError("garbage")])
            return await right(key, now)

        here.store.get = get
        await here.store.delete(PEOPLE["bo"].id.key)
        await here.round()
        await ended(other, SESSION_OVER)
        for stream in garbled:  # nobody knows that it is over
            await stream.write(phase("response_headers"))
            assert (await stream.read()).WhichOneof("response") == "response_headers"

    serving(test)


def test_a_phase_that_nobody_asked_for_aborts_it(serving):
    async def test(here):
        stream, _ = await here.opens("al")
        await stream.write(phase("response_body"))
        await aborted(stream, grpc.StatusCode.FAILED_PRECONDITION)

    serving(test)


def test_one_that_nobody_could_watch_is_refused(serving):
    async def test(here):
        first, answer = await here.opens("al")
        assert goes_on(answer)
        _, answer = await here.opens("bo")
        assert answer.immediate_response.status.code == 503
        first.cancel()
        while here.server.admission.held("live"):
            await asyncio.sleep(0.01)
        _, answer = await here.opens("bo")
        assert goes_on(answer)

    serving(test, Limits(live=1))


def test_a_processor_that_leaves_ends_them_first(serving):
    async def test(here):
        stream, _ = await here.opens("al")
        leaving = asyncio.ensure_future(here.leave())
        await ended(stream, PROCESSOR_LEAVING)
        await leaving

    serving(test)
