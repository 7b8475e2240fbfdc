"""TCP proxies that do to a connection what networks do. All in one thread, so that tests of whole
gateways may use them:

    with Network() as network:
        link = network.link()               # link.address is where clients connect
        link.target = 8080                  # the server's port on 127.0.0.1
        with link.fault("reset", after=100): ...    # from now on, on connections that there are and
        on new ones
                                            # after the block everything passes again

A fault is of one direction, the server's answers unless `requests=True`, and begins `after` so many
bytes of it on each connection:

    delay    each piece comes `seconds` later          stall    nothing more comes, until the block
    ends
    drip     a byte at a time, `seconds` apart         corrupt  one byte of each connection is
    another
    reset    both sides get a RST                      close    both sides get a FIN

These are of both directions: `refuse` (connections are reset, new ones refused), `hole` (nothing
comes, and new ones are not answered, until the block ends) and `lost` (connections that there are
stay silent for ever, as when a firewall forgot them).
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

LINGER = struct.pack("ii", 1, 0)  # close is a reset
PIECE = 65_536
BOTH = ("hole", "lost")


@dataclass(eq=False, slots=True)
class Fault:
    """over: set when another takes its place. struck: how many connections it did something to."""

    kind: str = "pass"
    after: int = 0
    seconds: float = 0.0
    requests: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)
    struck: int = 0

    async def wait(self, seconds: float | None = None) -> None:
        """For so long, or until it is over."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), seconds)


class _Cut(Exception):
    """The connection ends; reset: by RST."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__()
        self.reset = reset


class _Connection:
    """Two directions. `lost`: for good."""

    def __init__(self, link: "Link", client: asyncio.StreamWriter) -> None:
        self.link, self.lost = link, False
        self._writers = [client]
        self._fault, self._seen = link.current, {True: 0, False: 0}

    async def carry(self, reader: asyncio.StreamReader) -> None:
        if self.link.current.kind == "hole":
            self.link.current.struck += 1
            await self.link.current.wait()
        there, server = await asyncio.open_connection("127.0.0.1", self.link.target)
        self._writers.append(server)
        both = (
            self._pump(reader, server, requests=True),
            self._pump(there, self._writers[0], requests=False),
        )
        tasks = [asyncio.ensure_future(each) for each in both]
        try:
            await asyncio.gather(*tasks)
        except _Cut as cut:
            self.cut(reset=cut.reset)
        finally:
            for task in tasks:
                task.cancel()

    def cut(self, *, reset: bool) -> None:
        for writer in self._writers:
            if reset:
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, LINGER
                )
                writer.transport.abort()
            else:
                writer.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, requests: bool
    ) -> None:
        while data := await reader.read(PIECE):
            await self._pass(data, writer, requests=requests)
        if not self.lost:
            writer.write_eof()

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter, *, requests: bool) -> None:
        """One piece, as the fault of now has it."""
        fault = self.link.current
        if fault is not self._fault:
            self._fault, self._seen = fault, {True: 0, False: 0}
        begins = max(0, fault.after - self._seen[requests])
        corrupted = fault.kind == "corrupt" and self._seen[requests] > fault.after
        self._seen[requests] += len(data)
        if (
            corrupted
            or fault.kind in ("pass", "refuse")
            or not (fault.requests == requests or fault.kind in BOTH)
        ):
            begins = len(data)
        passes, rest = data[:begins], data[begins:]
        await self._send(writer, passes)
        if rest:
            fault.struck += 1
            await self._struck(fault, rest, writer)

    async def _struck(self, fault: Fault, rest: bytes, writer: asyncio.StreamWriter) -> None:
        match fault.kind:
            case "delay":
                await fault.wait(fault.seconds)
            case "drip":
                while rest and not fault.over.is_set():
                    await self._send(writer, rest[:1])
                    rest = rest[1:]
                    await fault.wait(fault.seconds)
            case "stall" | "hole":
                await fault.wait()
            case "corrupt":
                rest = bytes([rest[0] ^ 0xFF]) + rest[1:]
            case "reset" | "close":
                raise _Cut(reset=fault.kind == "reset")
        await self._send(writer, rest)

    async def _send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        if data and not self.lost:
            writer.write(data)
            await writer.drain()


class Link:
    """Between two parts. Used from the test's thread; what begins with _ is in the network's."""

    def __init__(self, network: "Network") -> None:
        self._network = network
        self.target = 0
        self.current = Fault()
        self._connections: dict[_Connection, asyncio.Task[None] | None] = {}
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @contextmanager
    def fault(
        self, kind: str, after: int = 0, seconds: float = 0.0, *, requests: bool = False
    ) -> Iterator[Fault]:
        fault = Fault(kind, after, seconds, requests)
        self._network.call(self._set, fault)
        try:
            yield fault
        finally:
            self._network.call(self._set, Fault())

    async def _set(self, fault: Fault) -> None:
        before, self.current = self.current, fault
        before.over.set()
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
        """Nothing listens any more; connections are reset."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection, task in list(self._connections.items()):
            connection.cut(reset=True)
            if task is not None:
                task.cancel()
        await asyncio.gather(
            *(task for task in self._connections.values() if task), return_exceptions=True
        )

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, writer)
        self._connections[connection] = asyncio.current_task()
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await connection.carry(reader)
        finally:
            connection.cut(reset=False)
            del self._connections[connection]


class Network:
    """The thread, and its links."""

    def __init__(self) -> None:
        # not by policy: trio_asyncio, once imported, has one of its own
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._links: list[Link] = []

    def link(self) -> Link:
        link = Link(self)
        self._links.append(link)
        self.call(link._open)
        return link

    def call(self, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
        async def run() -> None:
            await work(*arguments)

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(60)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for link in self._links:
            self.call(link._close)
        self.call(asyncio.sleep, 0.01)  # for what is closed to be closed
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()
