"""An HTTP server in a thread of its own whose answers a test scripts, holds, delays and cuts off.

server.answers["/token"] = lambda request: (500, {}, b"")    # status, headers, body
server.answers["/me"] = lambda request: b"HTTP/1.1 200"      # exactly these bytes, then a close
server.answers["/jwks"] = lambda request: [head(10), HANG]   # a script (harness.raw_answers)
with server.holding("/token"): ...                           # requests there wait; see server.held
server.kill()                                                # as a killed process
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from harness import sockets
from harness.raw_answers import Script, play

Reply = tuple[int, dict[str, str], bytes]
Answer = Callable[["Request"], "Reply | bytes | Script"]


@dataclass(frozen=True)
class Request:
    """A request that the server received. Header names are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    headers: dict[str, str]


class FakeServer:
    """Listens on a free port of 127.0.0.1 as soon as it is made, and answers after `start`.

    Subclasses define `truthful`, the answer to a request for whose path `answers` has nothing.
    `requests` has every request in order, `held` says how many wait in a `holding` block.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[Request] = []
        self.held = 0
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._held_paths: set[str] = set()
        self._may_hold = 0
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        # Not made by the event loop policy, because trio_asyncio installs one of its own.
        self._loop = asyncio.SelectorEventLoop()
        self._released = asyncio.Event()
        self._closed = asyncio.Event()
        self._thread = threading.Thread(
            target=lambda: self._loop.run_until_complete(self._serve()),
            name="fake server",
            daemon=True,
        )

    def truthful(self, request: Request) -> Reply:
        """The answer that a correct server gives."""
        raise NotImplementedError

    def answer(self, request: Request) -> Reply | bytes | Script:
        """The answer that this request gets."""
        return self.answers.get(request.path, self.truthful)(request)

    def delay(self, request: Request) -> float:
        """Seconds before the answer to this request."""
        return 0.0

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._closed.set)
            self._thread.join(60)
        self._listening.close()
        if not self._loop.is_running():
            self._loop.close()

    @contextlib.contextmanager
    def holding(self, *paths: str, most: int = 1_000_000) -> Iterator[None]:
        """Hold the next `most` requests to these paths until the block ends."""
        self._loop.call_soon_threadsafe(self._released.clear)
        self._held_paths = set(paths)
        self._may_hold = most
        try:
            yield
        finally:
            self._held_paths = set()
            self._loop.call_soon_threadsafe(self._released.set)

    def kill(self) -> None:
        """Stop listening and reset every connection, as if the process were killed.

        The server's memory stays, for `restart`.
        """
        self._in_its_thread(self._cut)

    def restart(self) -> None:
        """Listen again on the same port."""
        port = int(self.url.rpartition(":")[2])
        self._listening = socket.create_server(("127.0.0.1", port), backlog=4096)
        self._in_its_thread(self._listen)

    def requests_to(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    # in the server's thread

    def _in_its_thread(self, work: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            await work()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(60)

    async def _serve(self) -> None:
        await self._listen()
        await self._closed.wait()
        self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._connected, sock=self._listening, limit=1 << 20
        )

    async def _cut(self) -> None:
        self._server.close()
        for task, writer in list(self._connections.items()):
            with contextlib.suppress(OSError):  # The client may have closed it already.
                sockets.reset_on_close(writer.get_extra_info("socket"))
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
            del self._connections[task]

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request. False: the connection is to be closed."""
        request = await _read(reader)
        self.requests.append(request)
        await self._hold(request)
        if (seconds := self.delay(request)) > 0:
            await asyncio.sleep(seconds)
        answer = self.answer(request)
        if isinstance(answer, bytes | list):
            await play([answer] if isinstance(answer, bytes) else answer, writer)
            return False
        status, headers, body = answer
        lines = [
            f"HTTP/1.1 {status} Status",
            f"content-length: {len(body)}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        await writer.drain()
        return True

    async def _hold(self, request: Request) -> None:
        if request.path not in self._held_paths or self._may_hold <= 0:
            return
        self._may_hold -= 1
        self.held += 1
        try:
            await self._released.wait()
        finally:
            self.held -= 1


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ", 2)
    pairs = (line.partition(":") for line in head[1:-2])
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    query, form = dict(parse_qsl(parts.query)), dict(parse_qsl(body.decode()))
    return Request(method, parts.path, query, form, headers)
