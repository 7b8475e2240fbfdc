"""Connections of the admin listener: how many, and for how long."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from hypercorn.config import Config

from extproc.admin.connections import Connections

ASKS = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


async def app(scope, receive, send) -> None:
    if scope["path"] == "/body":
        while (await receive()).get("more_body"):
            pass
    size = 10_000_000 if scope["path"] == "/much" else 2
    start = {"type": "http.response.start", "status": 200}
    await send({**start, "headers": [(b"content-length", b"%d" % size)]})
    await send({"type": "http.response.body", "body": b"x" * size})


@asynccontextmanager
async def listening(connections: Connections, family: int) -> AsyncIterator[str]:
    with socket.socket(family) as sock:
        sock.bind(("127.0.0.1", 0) if family == socket.AF_INET else "")
        sock.listen(200)
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, connections.serve, [listener])
            yield sock.getsockname()
            nursery.cancel_scope.cancel()


@pytest.fixture(params=[socket.AF_INET, socket.AF_UNIX], ids=["TCP", "unix"])
def family(request: pytest.FixtureRequest) -> int:
    return int(request.param)


async def connected(family: int, address: object) -> trio.SocketStream:
    sock = trio.socket.socket(family)
    await sock.connect(address)
    return trio.SocketStream(sock)


def patient() -> Config:
    """A configuration that closes no idle connection by itself."""
    config = Config()
    config.keep_alive_timeout = 3600
    return config


async def asks(stream: trio.SocketStream) -> None:
    """Send a request and receive its whole response."""
    await stream.send_all(ASKS)
    got = b""
    while not got.endswith(b"\r\n\r\nxx"):
        data = await stream.receive_some()
        assert data, got
        got += data
    assert got.startswith(b"HTTP/1.1 200")


async def ended(stream: trio.SocketStream) -> bytes:
    """Everything until the server closes the connection."""
    got = b""
    while True:
        try:
            data = await stream.receive_some()
        except trio.BrokenResourceError:
            return got
        if not data:
            return got
        got += data


async def test_idle_connections_beyond_the_limit_keep_nobody_out(family) -> None:
    connections = Connections(app, patient(), most=10)
    async with listening(connections, family) as address:
        idle = [await connected(family, address) for _ in range(40)]
        asking = await connected(family, address)
        await asks(asking)
        assert len(connections) == 10
        for one in idle[:31]:
            assert await ended(one) == b""
        for one in (*idle, asking):
            await one.aclose()


async def test_the_connection_whose_last_request_is_the_longest_ago_makes_room(family) -> None:
    connections = Connections(app, patient(), most=2)
    async with listening(connections, family) as address:
        first, second = [await connected(family, address) for _ in range(2)]
        for one in (second, first):
            await asks(one)
        third = await connected(family, address)
        await asks(third)
        assert await ended(second) == b""
        await asks(first)
        for one in (first, second, third):
            await one.aclose()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HT",
        b"POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nx",
        b"GET /much HTTP/1.1\r\nhost: a\r\n\r\n",
    ],
    ids=["nothing", "half a head", "half a body", "reads nothing"],
)
async def test_a_slow_client_is_left_after_a_time(family, sent, autojump_clock) -> None:
    connections = Connections(app, Config())
    async with listening(connections, family) as address:
        slow = await connected(family, address)
        await slow.send_all(sent)
        while not len(connections):
            await trio.sleep(0.01)
        # The clock jumps to the next deadline of the server.
        while len(connections):
            await trio.sleep(1)
        await slow.aclose()


async def test_a_client_that_reads_nothing_does_not_keep_the_listener_from_ending(family) -> None:
    connections = Connections(app, Config())
    async with listening(connections, family) as address:
        slow = await connected(family, address)
        await slow.send_all(b"GET /much HTTP/1.1\r\nhost: a\r\n\r\n")
        # Its first bytes are there, and the rest of ten megabytes has no room.
        assert await slow.receive_some(1)
        await trio.testing.wait_all_tasks_blocked(0.05)
    assert not len(connections)
    await slow.aclose()


async def test_a_client_that_leaves_takes_its_connection_along_at_once(family) -> None:
    connections = Connections(app, patient())
    async with listening(connections, family) as address:
        kept = [await connected(family, address) for _ in range(3)]
        await asks(kept[0])
        await kept[1].send_all(ASKS[:9])
        await until(lambda: len(connections) == 3)
        for one in kept:
            await one.aclose()
        await until(lambda: len(connections) == 0)


async def test_a_request_of_a_client_that_leaves_is_finished_first(family) -> None:
    began, go_on, finished = trio.Event(), trio.Event(), trio.Event()

    async def slow(scope, receive, send) -> None:
        began.set()
        await go_on.wait()
        await trio.lowlevel.checkpoint()
        finished.set()
        await app(scope, receive, send)

    connections = Connections(slow, patient())
    async with listening(connections, family) as address:
        client = await connected(family, address)
        await client.send_all(ASKS)
        await began.wait()
        await client.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert len(connections) == 1
        go_on.set()
        await until(lambda: len(connections) == 0)
    assert finished.is_set()


async def test_a_request_that_is_the_last_thing_a_client_sends_is_carried_out(family) -> None:
    asked = 0

    async def counted(scope, receive, send) -> None:
        nonlocal asked
        asked += 1
        await app(scope, receive, send)

    connections = Connections(counted, patient())
    async with listening(connections, family) as address:
        for number in range(1, 31):
            client = await connected(family, address)
            await client.send_all(ASKS)
            await client.aclose()
            await until(lambda number=number: asked == number)
        await until(lambda: len(connections) == 0)


async def until(check: Callable[[], bool]) -> None:
    with trio.fail_after(60):
        while not check():
            await trio.sleep(0.01)
