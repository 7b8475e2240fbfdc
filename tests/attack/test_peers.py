"""Strangers at the processor's own port.

Whatever they send, each message gets one answer or the stream is aborted, and the processor
continues.
"""

import asyncio
import gc
import os
import random
import socket
import stat
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import grpc
import pytest
import trio
from harness.bridges import BRIDGES
from harness.serving import ROUTE, Edge, encoded, head, listening
from harness.tokens import METADATA, NOW, application, key_set

from extproc._wire import ext_proc_pb2 as wire
from extproc.addresses import Address
from extproc.contract import APPLICATION, CONTINUE, DECISION, NAMESPACE, PUBLIC
from extproc.ext_proc.credentials import ListenAddress
from extproc.ext_proc.server import Listener
from extproc.ext_proc.servicer import Servicer
from extproc.relying_party.relying_party import RelyingParty
from extproc.sessions.stored import StoredSessions
from extproc.settings import Limits, Timeouts

NAVIGATION = {"accept": "text/html", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}


class Provider:
    """A provider without cached metadata, so that a navigation is held. `gate` releases it."""

    name = "main"

    def __init__(self) -> None:
        self.gate: trio.Event | None = None

    def metadata_nowait(self):
        return None

    async def metadata(self):
        if self.gate is not None:
            await self.gate.wait()
        await trio.lowlevel.checkpoint()
        return METADATA

    async def keys(self):
        return key_set()


class Store:
    """A store without sessions."""

    def get_nowait(self, key, now):
        return None

    async def get(self, key, now):
        return None


def party(provider: Provider | None = None) -> RelyingParty:
    return RelyingParty(
        {"app": application()},
        {"app": provider or Provider()},
        StoredSessions(Store()),
        lambda: NOW,
    )  # type: ignore[dict-item, arg-type]


@pytest.fixture(params=BRIDGES)
def edge(request: pytest.FixtureRequest) -> Callable[[Callable[[Edge], Awaitable[None]]], None]:
    """edge(test): runs `await test(edge)` beside a processor, which afterwards still answers."""

    def run(test: Callable[[Edge], Awaitable[None]]) -> None:
        async def body(bridge):
            async with listening(bridge, party()) as edge:
                await test(edge)
                (answer,) = await edge.call(head())
                assert answer.immediate_response.status.code == 401

        BRIDGES[request.param](body)

    return run


def answers_of(messages: list[wire.ProcessingResponse]) -> list[str | None]:
    """The kind of each message. An override has no response in it."""
    return [message.WhichOneof("response") for message in messages]


async def ended(
    edge: Edge, *messages: wire.ProcessingRequest | bytes, metadata=ROUTE
) -> list[str | None] | str:
    try:
        return answers_of(await edge.call(*messages, metadata=metadata))
    except (grpc.aio.AioRpcError, AssertionError) as error:
        return error.code().name if isinstance(error, grpc.aio.AioRpcError) else str(error)


def unknown_fields(message: wire.ProcessingRequest) -> bytes:
    """The message with fields that no version has: a varint, bytes, and a group."""
    return encoded(message) + b"\xf8\x3f\x01" + b"\xfa\x3f\x03abc" + b"\xfb\x3f\xfc\x3f"


BODY = wire.ProcessingRequest(
    request_body=wire.HttpBody(body=b"logout_token=x", end_of_stream=True)
)
LOGOUT = head(
    "/oauth2/backchannel-logout", "POST", content_type="application/x-www-form-urlencoded"
)
TWICE = wire.ProcessingRequest()
TWICE.MergeFrom(head())
for each in head("/public/x").request_headers.headers.headers:
    TWICE.request_headers.headers.headers.add().CopyFrom(each)
NESTED = b"\x12\x00" * 50_000
ONE, ABORTED = ["immediate_response"], "FAILED_PRECONDITION"
# This client's error for a stream that ends before all messages are sent.
TOO_LATE = "INTERNAL"

CONVERSATIONS: dict[str, tuple[list[wire.ProcessingRequest | bytes], object]] = {
    "the headers twice": ([head(), head()], ONE),
    "a body where none was asked for": ([head(**NAVIGATION), BODY], [None, "immediate_response"]),
    "the body first": ([BODY, LOGOUT], ABORTED),
    "trailers first": ([wire.ProcessingRequest(request_trailers=wire.HttpTrailers())], ABORTED),
    "the response's headers first": (
        [wire.ProcessingRequest(response_headers=wire.HttpHeaders()), head()],
        ABORTED,
    ),
    "the headers in place of the body": ([LOGOUT, LOGOUT], ABORTED),
    "nothing in a message": ([b""], ABORTED),
    "headers without a header": ([wire.ProcessingRequest(request_headers=wire.HttpHeaders())], ONE),
    "pseudo headers twice": ([TWICE], ONE),
    "unknown fields": ([unknown_fields(head())], ONE),
    "a phase twice in one message": ([encoded(head()) + encoded(BODY)], ABORTED),
    "the same phase in fifty thousand pieces": ([encoded(head()) + NESTED], ONE),
    "ten thousand headers": ([head(**{f"x_{n}": "1" for n in range(10_000)})], ONE),
    "a header of 3 MB": ([head(accept="a" * 3_000_000)], ONE),
    "ten thousand cookies": (
        [head(x_extproc_cookies="; ".join(f"extproc-{n}=1" for n in range(10_000)))],
        ONE,
    ),
    "a path of 1 MB": ([head("/" + "a/../" * 200_000)], ONE),
    "a path of zeros": ([head(b"\x00" * 100)], ONE),
    "more than a message may have": ([head(accept="a" * 5_000_000)], "RESOURCE_EXHAUSTED"),
    "no message at all": ([], "ABORTED"),
}


@pytest.mark.attack("EXTP-12")
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_one_answer_for_a_message_or_the_stream_is_aborted(edge, name: str) -> None:
    messages, expected = CONVERSATIONS[name]

    async def test(edge: Edge) -> None:
        what = await ended(edge, *messages)
        assert what == expected or (len(messages) > 1 and what == TOO_LATE)

    edge(test)


@pytest.mark.attack("EXTP-07")
def test_bytes_that_are_no_message_are_an_error_and_never_a_way_through(edge) -> None:
    chance = random.Random(7)
    good = encoded(head(**NAVIGATION))

    def mutated() -> bytes:
        data = bytearray(good)
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        return bytes(data[: chance.randrange(1, len(data) + 1)])

    async def test(edge: Edge) -> None:
        for _ in range(150):
            what = await ended(edge, mutated())
            assert what in (ONE, [None, "immediate_response"], ABORTED, "UNKNOWN", "INTERNAL"), what

    edge(test)


FORGED = {
    "no application": ((), ABORTED),
    "an empty application": (((APPLICATION, ""),), ONE),
    "two applications": (((APPLICATION, "app"), (APPLICATION, "other")), ONE),
    "an application of bytes": (((APPLICATION + "-bin", b"app"),), ABORTED),
    "a long application": (((APPLICATION, "a" * 4000),), ONE),
    "another word for public": (((APPLICATION, "app"), (PUBLIC, "true"), (PUBLIC, "2")), ONE),
}


@pytest.mark.parametrize("name", FORGED)
def test_metadata_that_no_route_writes_lets_nothing_through(edge, name: str) -> None:
    metadata, expected = FORGED[name]

    async def test(edge: Edge) -> None:
        assert await ended(edge, head(), metadata=metadata) == expected

    edge(test)


def test_what_a_stranger_gets_is_what_every_client_gets_and_a_header_is_no_word_of_a_route(
    edge,
) -> None:
    async def test(edge: Edge) -> None:
        (answer,) = await edge.call(
            head(x_auth_sub="root", x_extproc_public="1", x_extproc_application="app")
        )
        assert answer.immediate_response.status.code == 401 and not answer.HasField(
            "request_headers"
        )
        (public,) = await edge.call(head(x_auth_sub="root"), metadata=(*ROUTE, (PUBLIC, "1")))
        assert not public.request_headers.response.header_mutation.set_headers
        assert "x-auth-sub" in public.request_headers.response.header_mutation.remove_headers
        assert (
            public.dynamic_metadata.fields[NAMESPACE].struct_value.fields[DECISION].string_value
            == CONTINUE
        )

    edge(test)


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
RAW = {
    "HTTP/1.1": b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500,
    "zeros": b"\x00" * 100_000,
    "a preface and garbage": PREFACE + b"\xff" * 5_000,
    "a frame of 16 MB that does not come": PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
    "headers without end": PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82" + (b"\x00\x00\x01\x09\x00\x00\x00\x00\x01\x84" * 20_000),
    "ten thousand pings": PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + (b"\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678" * 10_000),
    "ten thousand settings": PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" * 10_000,
    "a window of zero": PREFACE + b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00",
}  # fmt: skip


@pytest.mark.attack("EXTP-07")
def test_peers_that_speak_no_grpc_disturb_nobody(edge) -> None:
    async def test(edge: Edge) -> None:
        open_ones = []
        for data in RAW.values():
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            open_ones.append(writer)
            try:
                writer.write(data)
                await writer.drain()
                writer.write_eof()
                # By time: some stay open, without an effect.
                async with asyncio.timeout(1):
                    while await reader.read(65536):
                        pass
            except (OSError, TimeoutError):
                pass
            assert await ended(edge, head()) == ONE
        for writer in open_ones:
            writer.close()

    edge(test)


@pytest.mark.attack("EXTP-11")
def test_a_socket_lets_in_its_owner_and_group_alone(tmp_path: Path) -> None:
    where = tmp_path / "extproc.sock"

    async def body(bridge) -> None:
        listener = Listener(
            Servicer(party(), bridge, Timeouts(), Limits()), ListenAddress(Address(path=str(where)))
        )
        before = os.umask(0)
        try:
            await listener.start()
            assert os.umask(0) == 0, "the umask is as it was"
        finally:
            os.umask(before)
        assert stat.S_IMODE(where.stat().st_mode) == 0o660
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(where))
        await listener.drain(0)

    BRIDGES["guest"](body)


ROUNDS, STREAMS = 4, 150


@pytest.mark.attack("REL-32")
@pytest.mark.parametrize("bridge", BRIDGES)
def test_rounds_of_streams_that_are_cancelled_leave_as_much_as_the_round_before(
    bridge: str,
) -> None:
    provider, left = Provider(), []

    async def body(bridge) -> None:
        async with listening(bridge, party(provider)) as edge:
            for _ in range(ROUNDS):
                gate = provider.gate = trio.Event()
                streams = [edge.stream() for _ in range(STREAMS)]
                for stream in streams:
                    await stream.write(head(**NAVIGATION))
                for stream in streams:
                    assert (await stream.read()).HasField("override_message_timeout")
                assert edge.servicer.admission.streams == STREAMS
                for stream in streams:
                    stream.cancel()
                while edge.servicer.admission.streams or bridge.busy:
                    await asyncio.sleep(0.01)
                await bridge.run(opens(gate))
                assert await ended(edge, head(**NAVIGATION)) == [None, "immediate_response"]
                del streams, stream
                gc.collect()
                left.append(
                    (
                        len(asyncio.all_tasks()),
                        len(os.listdir("/proc/self/fd")),
                        len(gc.get_objects()),
                    )
                )

    BRIDGES[bridge](body)
    # The first round fills caches.
    tasks, files, objects = zip(*left[1:], strict=True)
    # A leak grows from round to round. A single round may differ by an ending task, a connection or
    # a cache.
    assert any(later <= before for before, later in pairwise(tasks)), (
        f"a stream left a task behind: {tasks}"
    )
    assert any(later <= before for before, later in pairwise(files)), (
        f"a stream left a file open: {files}"
    )
    assert any(later - before < STREAMS for before, later in pairwise(objects)), (
        "a stream left something behind"
    )


def opens(gate: trio.Event) -> Callable[[], Awaitable[None]]:
    async def work() -> None:
        gate.set()

    return work
