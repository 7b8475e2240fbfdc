"""A provider's connections: how many are made at once, who waits, and that whoever waits loses
nothing.
"""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
from harness.certificates import Authority
from trio.testing import wait_all_tasks_blocked

from extproc.core.errors import ProviderTimeout, Refusal
from extproc.core.oidc.client import FormRequest
from extproc.provider.client import Provider
from extproc.settings import Limits, ProviderSettings, Timeouts

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


async def test_a_providers_cookies_are_not_kept_nor_do_those_of_one_users_call_come_with_anothers(
    certified,
) -> None:
    done: list[str] = []
    async with provider(certified) as (made, server):
        server.open.set()
        for _ in range(3):
            await revoke(made, done)
        assert done == ["answered"] * 3 and len(server.heads) == 4
        assert not [head for head in server.heads if b"\r\ncookie:" in head]
