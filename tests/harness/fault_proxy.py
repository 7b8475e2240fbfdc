"""TCP proxies on loopback that do to connections what networks do: delay, stall, corrupt, cut.

    with Network() as network:
        link = network.link(8080)           # clients connect to link.address, not to port 8080
        with link.fault("reset", after=100): ...    # on existing and on new connections; after the
                                                    # block everything passes again

A fault concerns one direction, the server's answers unless `requests=True`, and begins after so
many bytes of it on each connection:

    delay    each piece arrives `seconds` later      stall    nothing arrives until the block ends
    drip     a byte at a time, `seconds` apart       corrupt  one byte of each connection is changed
    reset    both sides get a RST                    close    both sides get a FIN

These concern both directions: `refuse` (connections are reset, new ones refused), `hole` (nothing
arrives, and new connections are not answered, until the block ends) and `lost` (existing
connections stay silent for ever, as behind a firewall that forgot them).

A trio test can also stop single requests by their bytes:

    async with proxied(server.port) as proxy:
        proxy.hold(b"HMGET")            # the next request with these bytes waits in the proxy;
        await proxy.held.wait()         # it has arrived there
        proxy.release()                 # the server gets it
        proxy.reset_after(b"HMGET")     # the server gets the next one, the client a reset: once
        proxy.seen(b"HMGET")            # how often the client sent these bytes

All proxies of a Network run in one thread, so tests of whole gateways can use them as well.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Self

import trio

from harness.faulty_connection import Connection, Fault


class Link:
    """A proxy between two parts. Its public methods are for the test's thread.

    `watch`, and methods whose name begins with _, run in the network's thread.
    """

    def __init__(self, network: "Network", target: int) -> None:
        self._network = network
        self.target = target
        self.current = Fault()
        self._connections: dict[Connection, asyncio.Task[None] | None] = {}
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @contextmanager
    def fault(
        self, kind: str, after: int = 0, seconds: float = 0.0, *, requests: bool = False
    ) -> Iterator[Fault]:
        """Cause this fault until the block ends.

        Args:
            kind: One of those in the module's docstring.
            after: Bytes of the direction that pass before it begins, on each connection.
            seconds: Of `delay` and `drip`.
            requests: It concerns what clients send, not what the server answers.
        """
        fault = Fault(kind, after, seconds, requests)
        self._network.call(self._set, fault)
        try:
            yield fault
        finally:
            self._network.call(self._set, Fault())

    async def watch(self, connection: Connection, data: bytes) -> None:
        """Called with all that clients send, before it passes."""

    async def _set(self, fault: Fault) -> None:
        before = self.current
        self.current = fault
        before.ended.set()
        if fault.kind == "refuse":
            await self._close()
            fault.struck += 1
        elif fault.kind == "lost":
            fault.struck += 1
            for connection in self._connections:
                connection.lost = True
        if self._server is None and fault.kind != "refuse":
            await self._open()

    async def _open(self) -> None:
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", self.port, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        """Stop listening, and reset all connections."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._reset()

    async def _reset(self) -> None:
        tasks = [task for task in self._connections.values() if task]
        for connection in self._connections:
            connection.cut(reset=True)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self, writer)
        self._connections[connection] = asyncio.current_task()
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await connection.carry(reader)
        finally:
            connection.cut(reset=False)
            del self._connections[connection]


class Proxy(Link):
    """A link that stops requests by their bytes, for a test in trio. See `proxied`."""

    def __init__(self, network: "Network", target: int) -> None:
        super().__init__(network, target)
        self.held = trio.Event()
        self._trio = trio.lowlevel.current_trio_token()
        self._holding = b""
        self._reset_after = b""
        self._released = asyncio.Event()
        self._sent = bytearray()

    def hold(self, pattern: bytes) -> None:
        """Hold what a client sends from its first piece with these bytes on; `held` is set then."""
        self.held = trio.Event()
        self._released = asyncio.Event()
        self._holding = pattern

    def release(self) -> None:
        """Let what is held pass, and all that follows."""
        self._holding = b""
        self._network.call(self._release)

    def stall(self) -> None:
        """Keep what is held for ever, and let everything else pass."""
        self._holding = b""

    def reset_after(self, pattern: bytes) -> None:
        """Reset the next connection on which the client sends these bytes, instead of an answer."""
        self._reset_after = pattern

    def reset(self) -> None:
        """Reset all connections now."""
        self._network.call(self._reset)

    def seen(self, pattern: bytes) -> int:
        """How often clients have sent these bytes."""
        return self._sent.count(pattern)

    async def watch(self, connection: Connection, data: bytes) -> None:
        self._sent += data
        if self._holding and self._holding in data:
            released = self._released
            self._trio.run_sync_soon(self.held.set)
            await released.wait()
        if self._reset_after and self._reset_after in data:
            self._reset_after = b""
            connection.resetting = True

    async def _release(self) -> None:
        self._released.set()


class Network:
    """The thread in which all links run."""

    def __init__(self) -> None:
        # Not made by the event loop policy, because trio_asyncio installs one of its own.
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._links: list[Link] = []

    def link(self, target: int = 0) -> Link:
        """A link to this port of 127.0.0.1, which may also be set later as `target`."""
        link = Link(self, target)
        self._open(link)
        return link

    def proxy(self, target: int) -> Proxy:
        """A link that a trio test, from which this is called, steers by the bytes of requests."""
        proxy = Proxy(self, target)
        self._open(proxy)
        return proxy

    def _open(self, link: Link) -> None:
        self._links.append(link)
        self.call(link._open)

    def call(self, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Run this in the network's thread, and return when it is done."""

        async def run() -> None:
            await work(*arguments)

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(60)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for link in self._links:
            self.call(link._close)
        self.call(asyncio.sleep, 0.01)  # Closed transports end in the loop's next rounds.
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()


@asynccontextmanager
async def proxied(target: int) -> AsyncIterator[Proxy]:
    """A Proxy to this port in a Network of its own, until the block ends."""
    with Network() as network:
        yield network.proxy(target)
