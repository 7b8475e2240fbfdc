"""The application behind the gateway. It answers with what it received, as JSON, and keeps it.

    with Echo() as app:
        app.url                 # http://127.0.0.1:PORT
        app.requests            # every Received, in order, except requests for a browser's icon
        app.seen("/private")    # those with that path
        app.pages["/wiki"] = "text/html", "<img src=/x>"     # another answer at that path

The query changes an answer: echo-status=503, echo-delay=SECONDS, echo-cache=SECONDS (Cache-Control:
public), echo-cookie=NAME (sets it), echo-size=BYTES (so much text instead), echo-events=1 (an event
stream without an end), echo-hold=NAME (no answer before `release(NAME)`), echo-cors=METHOD (a page
of any origin may use this method and read the answer). It speaks WebSocket, and sends every text
back.
"""

import asyncio
import contextlib
import json
import socket
import threading
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Request, TextMessage

ICON = "/favicon.ico"


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it was received."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]  # in the order received, names in lower case
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def get(self, name: str) -> str | None:
        """The value of a header. Several are joined with a comma."""
        return ", ".join(self.values(name)) if self.values(name) else None

    def as_json(self) -> dict[str, object]:
        return {
            "line": f"{self.method} {self.target}",
            "method": self.method,
            "target": self.target,
            "headers": [list(pair) for pair in self.headers],
            "body": self.body.decode("latin-1"),
        }


class Echo:
    """The application, on 127.0.0.1 in a thread of its own. Use `with`, or start and close."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Received] = []
        self.pages: dict[str, tuple[str, str]] = {}
        self._listening = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.port: int = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        # Not made by the event loop policy, because trio_asyncio installs one of its own.
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._run, name="echo", daemon=True)
        self._ends = asyncio.Event()
        self._held: dict[str, asyncio.Event] = {}

    def release(self, name: str) -> None:
        """Let the answers held under this name go, and later ones immediately."""
        self._loop.call_soon_threadsafe(lambda: self._holding(name).set())

    def _holding(self, name: str) -> asyncio.Event:
        return self._held.setdefault(name, asyncio.Event())

    def seen(self, path: str) -> list[Received]:
        return [request for request in self.requests if request.path == path]

    def start(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ends.set)
            self._thread.join(60)
        self._listening.close()
        self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        open_connections: set[asyncio.Task[None]] = set()

        async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            open_connections.add(task)
            try:
                with contextlib.suppress(
                    OSError, asyncio.IncompleteReadError, asyncio.CancelledError
                ):
                    while await self._answer(reader, writer):
                        pass
            finally:
                writer.close()
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await writer.wait_closed()
                open_connections.discard(task)

        server = await asyncio.start_server(connection, sock=self._listening, limit=1 << 20)
        await self._ends.wait()
        server.close()
        for task in list(open_connections):
            task.cancel()
        await asyncio.gather(*open_connections, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request. False: the connection is to be closed."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ", 2)
        headers = tuple(
            (name.lower(), value.strip())
            for name, _, value in (line.partition(":") for line in head[1:-2])
        )
        fields = dict(headers)
        body = await self._body(reader, fields)
        request = Received(method, target, headers, body)
        if target != ICON:
            self.requests.append(request)
        if fields.get("upgrade", "").lower() == "websocket":
            await self._websocket(request, reader, writer)
            return False
        query = dict(parse_qsl(urlsplit(target).query))
        if "echo-events" in query:
            await self._events(writer)
            return False
        await asyncio.sleep(float(query.get("echo-delay", 0)))
        if "echo-hold" in query:
            await self._holding(query["echo-hold"]).wait()
        size = int(query.get("echo-size", 0))
        kind, page = self.pages.get(
            request.path, ("application/json", json.dumps(request.as_json()))
        )
        text = b"x" * size if size else page.encode()
        lines = [f"HTTP/1.1 {query.get('echo-status', '200')} Said", f"content-length: {len(text)}"]
        lines += [f"content-type: {kind}", "x-app: echo"]
        if "echo-cache" in query:
            lines.append(f"cache-control: public, max-age={query['echo-cache']}")
        if "echo-cors" in query:
            lines += [
                f"access-control-allow-origin: {fields.get('origin', '*')}",
                "access-control-allow-credentials: true",
                f"access-control-allow-methods: {query['echo-cors']}",
            ]
        if "echo-cookie" in query:
            lines.append(f"set-cookie: {query['echo-cookie']}=app; Path=/")
        writer.write("\r\n".join([*lines, "", ""]).encode() + (text if method != "HEAD" else b""))
        await writer.drain()
        return True

    @staticmethod
    async def _events(writer: asyncio.StreamWriter) -> None:
        head = [
            "HTTP/1.1 200 OK",
            "content-type: text/event-stream",
            "transfer-encoding: chunked",
            "",
            "",
        ]
        writer.write("\r\n".join(head).encode())
        while True:
            writer.write(b"b\r\ndata: tick\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)

    @staticmethod
    async def _body(reader: asyncio.StreamReader, fields: dict[str, str]) -> bytes:
        if fields.get("transfer-encoding") == "chunked":
            body = b""
            while size := int((await reader.readline()).split(b";")[0], 16):
                body += await reader.readexactly(size)
                await reader.readline()
            await reader.readline()
            return body
        return await reader.readexactly(int(fields.get("content-length", 0)))

    @staticmethod
    async def _websocket(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        socket_ = WSConnection(ConnectionType.SERVER)
        lines = [
            f"{request.method} {request.target} HTTP/1.1",
            *(f"{name}: {value}" for name, value in request.headers),
        ]
        data = "\r\n".join([*lines, "", ""]).encode("latin-1")
        while True:
            socket_.receive_data(data or None)
            for event in socket_.events():
                match event:
                    case Request():
                        writer.write(socket_.send(AcceptConnection()))
                    case TextMessage():
                        writer.write(socket_.send(TextMessage(event.data)))
                    case CloseConnection():
                        with contextlib.suppress(Exception):
                            writer.write(socket_.send(event.response()))
                        return
            await writer.drain()
            data = await reader.read(65536)
