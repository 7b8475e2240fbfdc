"""A TCP proxy on loopback, in trio, that does to connections what networks do.

async with proxied(server.port) as proxy:
    proxy.hold(b"HMGET")     # what the client sends from this on stays here; proxy.held is set,
    proxy.release() lets it go proxy.reset_after(b"x")  # the server gets it, and the client gets no
    answer: its connection is reset, once
    proxy.reset()            # all connections, now
    proxy.seen(b"HMGET")     # how often the client sent that
"""

import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from extproc.addresses import Address

LINGER = struct.pack("ii", 1, 0)  # close is a reset


class Proxy:
    def __init__(self, port: int, target: int) -> None:
        self.address = Address("127.0.0.1", port)
        self._target = target
        self._holding, self._reset_after = b"", b""
        self._resetting = False
        self._released = trio.Event()
        self.held = trio.Event()
        self._sent = bytearray()
        self._clients: list[trio.SocketStream] = []

    def hold(self, pattern: bytes) -> None:
        self._holding, self.held, self._released = pattern, trio.Event(), trio.Event()

    def release(self) -> None:
        self._holding = b""
        self._released.set()

    def stall(self) -> None:
        """What is held stays so for ever; the rest passes."""
        self._holding = b""

    def reset_after(self, pattern: bytes) -> None:
        self._reset_after = pattern

    def reset(self) -> None:
        for client in self._clients:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
            client.socket.close()
        self._clients.clear()

    def seen(self, pattern: bytes) -> int:
        return self._sent.count(pattern)

    async def carry(self, client: trio.SocketStream) -> None:
        self._clients.append(client)
        with contextlib.suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            server = await trio.open_tcp_stream("127.0.0.1", self._target)
            async with client, server, trio.open_nursery() as nursery:
                nursery.start_soon(self._there, client, server, nursery.cancel_scope)
                await self._back(client, server)
                nursery.cancel_scope.cancel()

    async def _there(
        self, client: trio.SocketStream, server: trio.SocketStream, over: trio.CancelScope
    ) -> None:
        with contextlib.suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            async for data in client:
                self._sent += data
                if self._holding and self._holding in data:
                    self.held.set()
                    await self._released.wait()
                if self._reset_after and self._reset_after in data:
                    self._reset_after, self._resetting = b"", True
                await server.send_all(data)
        over.cancel()

    async def _back(self, client: trio.SocketStream, server: trio.SocketStream) -> None:
        with contextlib.suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            async for data in server:
                if self._resetting:
                    self._resetting = False
                    return self.reset()
                await client.send_all(data)


@asynccontextmanager
async def proxied(target: int) -> AsyncIterator[Proxy]:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    proxy = Proxy(listeners[0].socket.getsockname()[1], target)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, proxy.carry, listeners)
        yield proxy
        nursery.cancel_scope.cancel()
