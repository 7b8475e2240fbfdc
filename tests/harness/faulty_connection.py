"""One connection through a proxy, and the fault that the proxy causes on it.

See harness.fault_proxy for the kinds of faults.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Protocol

from harness import sockets

PIECE = 65_536
BOTH = ("hole", "lost")


@dataclass(eq=False, slots=True)
class Fault:
    """What happens to connections from now on, until another fault takes its place.

    struck: the number of times that it did something to a connection.
    """

    kind: str = "pass"
    after: int = 0
    seconds: float = 0.0
    requests: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    struck: int = 0

    async def wait(self, seconds: float | None = None) -> None:
        """Wait so long, or until the fault ends."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.ended.wait(), seconds)


class _Cut(Exception):
    """The connection is to end, by a RST if `reset`."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__()
        self.reset = reset


class FaultyLink(Protocol):
    """The proxy that a connection goes through."""

    current: Fault
    target: int

    async def watch(self, connection: "Connection", data: bytes) -> None:
        """Called with all that clients send, before it passes."""


class Connection:
    """A client's connection and the one to the server. lost: silent for ever."""

    def __init__(self, link: "FaultyLink", client: asyncio.StreamWriter) -> None:
        self.link = link
        self.lost = False
        self.resetting = False  # in place of the next answer
        self._writers = [client]
        self._fault = link.current
        self._passed = {True: 0, False: 0}  # bytes since the fault began; True: of requests

    async def carry(self, reader: asyncio.StreamReader) -> None:
        if self.link.current.kind == "hole":
            self.link.current.struck += 1
            await self.link.current.wait()
        answers, server = await asyncio.open_connection("127.0.0.1", self.link.target)
        self._writers.append(server)
        pumps = (
            self._pump(reader, server, requests=True),
            self._pump(answers, self._writers[0], requests=False),
        )
        tasks = [asyncio.ensure_future(pump) for pump in pumps]
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
                sockets.reset(writer)
            else:
                writer.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, requests: bool
    ) -> None:
        while data := await reader.read(PIECE):
            if requests:
                await self.link.watch(self, data)
            elif self.resetting:
                raise _Cut(reset=True)
            await self._pass(data, writer, requests=requests)
        if not self.lost:
            writer.write_eof()

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter, *, requests: bool) -> None:
        """Send one piece on, as the current fault allows."""
        fault = self.link.current
        if fault is not self._fault:
            self._fault = fault
            self._passed = {True: 0, False: 0}
        begins = max(0, fault.after - self._passed[requests])
        corrupted = fault.kind == "corrupt" and self._passed[requests] > fault.after
        self._passed[requests] += len(data)
        concerned = fault.requests == requests or fault.kind in BOTH
        if corrupted or fault.kind in ("pass", "refuse") or not concerned:
            begins = len(data)
        await self._send(writer, data[:begins])
        if rest := data[begins:]:
            fault.struck += 1
            await self._strike(fault, rest, writer)

    async def _strike(self, fault: Fault, rest: bytes, writer: asyncio.StreamWriter) -> None:
        match fault.kind:
            case "delay":
                await fault.wait(fault.seconds)
            case "drip":
                while rest and not fault.ended.is_set():
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
