"""What one provider may cost: tasks in a tick of the scheduler, bytes in memory, connections that
are being made; and that whoever waits loses nothing.
"""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import trio
import trio.testing
from harness.certificates import Authority
from trio.testing import wait_all_tasks_blocked

from extproc.core.errors import Overloaded, Refusal
from extproc.core.oidc.client import FormRequest
from extproc.core.provider_errors import ProviderTimeout
from extproc.provider.client import Provider
from extproc.provider.limits import (
    CONNECT_COMPLETE,
    CONNECT_STARTED,
    FREE_BYTES,
    REQUEST_STARTED,
    RESPONSE_STARTED,
    MemoryBudget,
    ResponseBody,
    TickLimiter,
)
from extproc.settings import Limits, ProviderSettings, Timeouts

# -- tasks in a tick -------------------------------------------------------------------------------


class Turns(trio.abc.Instrument):
    """Counts the scheduler's turns."""

    def __init__(self):
        self.count = 0

    def before_io_wait(self, timeout):
        self.count += 1


async def crowd(tick_limiter, people):
    turns, passed = Turns(), []
    trio.lowlevel.add_instrument(turns)

    async def person(number):
        await tick_limiter()
        passed.append((turns.count, number))

    async with trio.open_nursery() as nursery:
        for number in range(people):
            nursery.start_soon(person, number)
            await trio.testing.wait_all_tasks_blocked() if number % 50 == 49 else None
    trio.lowlevel.remove_instrument(turns)
    return passed


async def test_only_so_many_pass_in_a_turn():
    passed = await crowd(TickLimiter(3), 100)
    per_turn = {turn: sum(at == turn for at, _ in passed) for turn, _ in passed}
    assert len(passed) == 100 and max(per_turn.values()) <= 3


async def test_whoever_is_alone_waits_for_nothing():
    tick_limiter, turns = TickLimiter(2), Turns()
    trio.lowlevel.add_instrument(turns)
    before = turns.count
    await tick_limiter()
    await tick_limiter()
    assert turns.count == before
    trio.lowlevel.remove_instrument(turns)


async def test_first_come_first_served_and_those_who_leave_hold_nobody_up():
    tick_limiter, passed = TickLimiter(1), []

    async def person(number, scope):
        with scope:
            await tick_limiter()
            passed.append(number)

    scopes = [trio.CancelScope() for _ in range(9)]
    async with trio.open_nursery() as nursery:
        await tick_limiter()
        for number, scope in enumerate(scopes):
            nursery.start_soon(person, number, scope)
            if number % 3 == 1:
                scope.cancel()
    # who comes first in a turn passes at once, also when leaving
    assert {0, 2, 3, 5, 6, 8} <= set(passed)


# -- bytes in memory -------------------------------------------------------------------------------


def test_what_is_beyond_the_first_kilobytes_of_each_answer_is_bounded_in_all():
    bodies = MemoryBudget(most=100_000)
    with (
        ResponseBody(bodies) as first,
        ResponseBody(bodies) as second,
        ResponseBody(bodies) as small,
    ):
        for _ in range(10):
            first.add(b"x" * 10_000)
        assert bodies.held == 100_000 - FREE_BYTES
        second.add(b"x" * FREE_BYTES)
        second.add(b"x" * FREE_BYTES)
        with pytest.raises(Overloaded):
            second.add(b"x")
        small.add(b"x" * FREE_BYTES)
        assert bodies.held == 100_000
    assert bodies.held == 0
    with ResponseBody(bodies) as body:
        body.add(b"x" * 100_000)
        assert bytes(body.data) == b"x" * 100_000


# -- connections -----------------------------------------------------------------------------------

PLACES, CALLS = 3, 12


@dataclass(eq=False)
class SlowHandshake:
    """An https provider that accepts at once, and shakes hands when it is told to."""

    context: ssl.SSLContext
    port: int = 0
    accepted: int = 0
    shaken: int = 0
    most: int = 0
    heads: list[bytes] = field(default_factory=list)
    open: trio.Event = field(default_factory=trio.Event)
    one: trio.Semaphore = field(default_factory=lambda: trio.Semaphore(0))

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=256)
        self.port = listener.socket.getsockname()[1]
        task_status.started()
        await trio.serve_listeners(self._connection, [listener])

    async def _connection(self, plain: trio.SocketStream) -> None:
        self.accepted += 1
        self.most = max(self.most, self.accepted - self.shaken)
        if not self.open.is_set():
            await self.one.acquire()
        self.shaken += 1
        stream = trio.SSLStream(plain, self.context, server_side=True)
        try:
            data = b""
            while more := await stream.receive_some(65536):
                data += more
                if b"\r\n\r\n" in data and (data.startswith(b"GET") or data.endswith(b"token=t")):
                    self.heads.append(data.split(b"\r\n\r\n")[0].lower())
                    await stream.send_all(self._answer(data))
                    data = b""
        except trio.BrokenResourceError:
            pass

    def _answer(self, request: bytes) -> bytes:
        body = b"{}"
        if b"/.well-known/" in request.split(b"\r\n")[0]:
            names = ("authorization", "token", "revocation")
            ends = {f"{name}_endpoint": f"{self.url}/{name}" for name in names}
            body = json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/jwks", **ends}).encode()
        head = (
            b"HTTP/1.1 200 OK\r\nconnection: close\r\nset-cookie: PHPSESSID%d=u; path=/\r\n"
            % len(self.heads)
        )
        return head + b"content-length: %d\r\n\r\n" % len(body) + body


@pytest.fixture
def certified(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """The server's context, and what a client verifies it with."""
    authority, ca = Authority(), tmp_path / "ca.pem"
    ca.write_bytes(authority.pem)
    authority.issue("127.0.0.1", certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context, ca


@asynccontextmanager
async def provider(
    certified: tuple[ssl.SSLContext, Path], call: float = 60
) -> AsyncIterator[tuple[Provider, SlowHandshake]]:
    """A provider that holds its handshakes, whose metadata is known."""
    context, ca = certified
    server = SlowHandshake(context)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        settings = ProviderSettings(issuer=server.url, client_id="gateway", ca_file=ca)
        made = Provider(
            "main", settings, Timeouts(connect=call, call=call), Limits(connects=PLACES)
        )
        server.open.set()
        await made.metadata()
        server.open, server.accepted, server.shaken, server.most = trio.Event(), 0, 0, 0
        try:
            yield made, server
        finally:
            await made.aclose()
            nursery.cancel_scope.cancel()


async def revoke(made: Provider, done: list[str]) -> None:
    try:
        await made.revoke(FormRequest((("token", "t"),)))
        done.append("answered")
    except Refusal as error:
        done.append(type(error).__name__)


async def test_connects_under_way_are_bounded_and_every_call_is_answered(certified) -> None:
    done: list[str] = []
    async with provider(certified) as (made, server), trio.open_nursery() as nursery:
        for _ in range(CALLS):
            nursery.start_soon(revoke, made, done)
        for shaken in range(CALLS):
            await wait_all_tasks_blocked(0.05)
            assert server.accepted == min(PLACES + shaken, CALLS)
            server.one.release()
    assert done == ["answered"] * CALLS
    assert server.most == PLACES


async def test_waiting_for_a_place_counts_in_a_calls_deadline_and_what_failed_gives_its_place_back(
    certified,
) -> None:
    done: list[str] = []
    async with provider(certified, call=3) as (made, server):
        async with trio.open_nursery() as nursery:
            for _ in range(CALLS):
                nursery.start_soon(revoke, made, done)
        assert done == [ProviderTimeout.__name__] * CALLS
        assert PLACES <= server.accepted < CALLS
        server.open.set()
        await revoke(made, done)
    assert done[CALLS:] == ["answered"]


async def test_a_caller_that_leaves_gives_its_place_back(certified) -> None:
    done: list[str] = []
    async with provider(certified) as (made, server):
        async with trio.open_nursery() as nursery:
            for _ in range(CALLS):
                nursery.start_soon(revoke, made, done)
            await wait_all_tasks_blocked(0.05)
            nursery.cancel_scope.cancel()
        server.open.set()
        async with trio.open_nursery() as nursery:
            for _ in range(CALLS):
                nursery.start_soon(revoke, made, done)
    assert done == ["answered"] * CALLS


async def test_a_provider_without_places_takes_none_of_another(certified) -> None:
    done: list[str] = []
    async with provider(certified) as (stuck, _), provider(certified) as (other, server):
        server.open.set()
        async with trio.open_nursery() as nursery:
            for _ in range(CALLS):
                nursery.start_soon(revoke, stuck, [])
            await wait_all_tasks_blocked(0.05)
            for _ in range(CALLS):
                await revoke(other, done)
            nursery.cancel_scope.cancel()
    assert done == ["answered"] * CALLS


async def test_the_installed_httpcore_has_the_events_that_the_connect_limiter_goes_by(certified):
    """Without them nothing would fail: connections would not be limited, that is all."""
    events: list[tuple[str, object]] = []

    async def trace(event: str, info: dict[str, object]) -> None:
        events.append((event, info.get("return_value")))

    context, ca = certified
    server = SlowHandshake(context)
    server.open.set()
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        trusted = ssl.create_default_context(cafile=ca)
        async with httpx.AsyncClient(verify=trusted, trust_env=False) as client:
            await client.get(f"{server.url}/x", extensions={"trace": trace})
        nursery.cancel_scope.cancel()
    names = [name for name, _ in events]
    started, complete = names.index(CONNECT_STARTED), names.index(CONNECT_COMPLETE)
    (sending,) = [number for number, name in enumerate(names) if name.endswith(REQUEST_STARTED)]
    (answered,) = [number for number, name in enumerate(names) if name.endswith(RESPONSE_STARTED)]
    handshake = names.index("connection.start_tls.complete")
    assert started < complete < handshake < sending < answered
    assert callable(events[complete][1].aclose)


@pytest.mark.threat("bounds")
def test_one_of_several_providers_leaves_half_of_the_memory_to_the_others() -> None:
    whole = MemoryBudget(1000)
    slow, quick = whole.half(), whole.half()
    slow.take(500)
    with pytest.raises(Overloaded, match="one of several providers may hold 500 bytes"):
        slow.take(1)
    quick.take(500)
    assert whole.held == 1000
    slow.release(500)
    quick.release(500)
    assert (whole.held, slow.held, quick.held) == (0, 0, 0)
    whole.take(900)
    with pytest.raises(Overloaded, match="all providers may hold 1000 bytes"):
        slow.take(200)
    assert (whole.held, slow.held) == (900, 0)
