"""The connections of the admin listener: how many there are, and how long a client may take.

Any process that reaches the listener can connect. A connection holds a file descriptor of the
processor and memory, so there are at most MOST. Another one takes the place of the one whose last
request is the longest ago, so that idle connections keep no probe and no operator out.
"""

from typing import Any, cast

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, ConnectionState, Scope
from starlette.types import ASGIApp

from extproc import background

# Connections at the same time.
MOST = 100
# Seconds from the head of a request to the last byte of its response. hypercorn bounds the wait for
# a head by 5 s, however slowly its bytes come.
LONGEST = 60.0


class _Connection:
    """One connection, as hypercorn reads and writes it.

    Attributes:
        socket: where hypercorn looks for the addresses.
        until: when it is closed, on trio's clock; it moves with each request.
        scope: of all work for it. It is cancelled when the client has left and no request is under
            way; otherwise hypercorn waits for another one for five seconds more.
        requests: how many are under way.
    """

    def __init__(self, stream: trio.SocketStream, longest: float) -> None:
        self._stream = stream
        self._left = False
        self.socket = stream.socket
        self.until = trio.current_time() + longest
        self.crowded_out = trio.Event()
        self.scope = trio.CancelScope()
        self.requests = 0

    async def receive_some(self, most: int) -> bytes:
        data = b""
        try:
            data = bytes(await self._stream.receive_some(most))
            if not data:
                # A request that came just before begins now.
                await trio.lowlevel.checkpoint()
        finally:
            self._left = not data
            self.end_if_unused()
        return data

    async def send_all(self, data: bytes) -> None:
        await self._stream.send_all(data)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def end_if_unused(self) -> None:
        """Cancel what is done for a client that has left, but not a request."""
        if self._left and self.requests == 0:
            self.scope.cancel()

    async def close_in_time(self) -> None:
        """Close the connection when its time is over, or when it has to make room.

        Closed and not cancelled, because hypercorn shields the write of a response. So does the
        end of the listener, which cancels this wait.
        """
        try:
            while not self.crowded_out.is_set() and trio.current_time() < self.until:
                with trio.move_on_at(self.until):
                    await self.crowded_out.wait()
        finally:
            await trio.aclose_forcefully(self._stream)


class Connections:
    """Serves connections with an ASGI application."""

    def __init__(
        self,
        app: ASGIApp,
        config: Config,
        most: int = MOST,
        longest: float = LONGEST,
    ) -> None:
        """
        Args:
            app: the application.
            config: hypercorn's.
            most: connections at the same time.
            longest: seconds for a request.
        """
        self._app = app
        self._config = config
        self._most = most
        self._longest = longest
        self._context = WorkerContext(None)
        # the one whose last request is the longest ago is the first
        self._open: dict[_Connection, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    async def terminate(self) -> None:
        """Let connections without a request end."""
        await self._context.terminated.set()

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve a connection until its end."""
        connection = _Connection(stream, self._longest)
        self._open[connection] = None
        if len(self._open) > self._most:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.crowded_out.set()
        try:
            with connection.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(connection.close_in_time)
                    await self._serve(connection)
                    nursery.cancel_scope.cancel()
        except Exception as error:  # the boundary: no client ends the listener
            background.bug("admin_connection_failed", error)
        finally:
            self._open.pop(connection, None)

    async def _serve(self, connection: _Connection) -> None:
        async def timed(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            connection.until = trio.current_time() + self._longest
            if self._open.pop(connection, connection) is None:
                self._open[connection] = None
            connection.requests += 1
            try:
                await self._app(scope, receive, send)  # type: ignore[arg-type]
            finally:
                connection.requests -= 1
                connection.end_if_unused()

        state = ConnectionState({})
        # hypercorn takes a stream without TLS too; its annotation does not say so.
        stream = cast(Any, connection)
        await TCPServer(ASGIWrapper(timed), self._config, self._context, state, stream)
