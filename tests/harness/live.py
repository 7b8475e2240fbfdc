"""Live streams as a client has them: a WebSocket, an event stream, a gRPC call without an end.

    with websocket(stack.port, "/chat", cookies) as stream:
        stream.goes_on()                # waits for one more message; False: the stream has ended
        stream.ends()                   # waits for its end

`Ticking` is a gRPC application (HTTP/2 by prior knowledge) that sends a message to each call again
and again.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any, Protocol, Self

import grpc
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request, TextMessage

PATIENCE = 60  # seconds for anything
METHOD = "/test.Clock/Tick"


class Stream(Protocol):
    def goes_on(self) -> bool: ...

    def ends(self) -> None: ...


class Events:
    """An event stream, or any other answer to one request on an HTTP/1.1 connection."""

    def __init__(self, port: int, head: bytes) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._socket.sendall(head)
        self.head = b""
        while b"\r\n\r\n" not in self.head and (more := self.receive()):
            self.head += more

    def receive(self) -> bytes:
        """The next bytes. b"": the stream has ended, in whatever way."""
        with contextlib.suppress(ConnectionError):
            return self._socket.recv(65536)
        return b""

    def goes_on(self) -> bool:
        return bool(self.receive())

    def ends(self) -> None:
        while self.receive():
            pass

    def close(self) -> None:
        self._socket.close()


class WebSocket(Events):
    def __init__(self, port: int, target: str, cookies: str, *lines: tuple[str, str]) -> None:
        self._protocol = WSConnection(ConnectionType.CLIENT)
        more = [(name.encode(), value.encode()) for name, value in (("cookie", cookies), *lines)]
        super().__init__(
            port, self._protocol.send(Request(f"localhost:{port}", target, extra_headers=more))
        )
        self._protocol.receive_data(self.head)
        assert isinstance(next(self._protocol.events()), AcceptConnection), self.head

    def goes_on(self) -> bool:
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(self._protocol.send(TextMessage("are you there?")))
            while data := self.receive():
                self._protocol.receive_data(data)
                if any(isinstance(event, TextMessage) for event in self._protocol.events()):
                    return True
        return False


class Call:
    """A gRPC call whose answer does not end."""

    def __init__(self, port: int, cookies: str, *lines: tuple[str, str]) -> None:
        self._channel = grpc.insecure_channel(f"localhost:{port}", [("grpc.enable_http_proxy", 0)])
        self._answers = self._channel.unary_stream(METHOD)(
            b"go", PATIENCE, (("cookie", cookies), *lines)
        )
        self.code: grpc.StatusCode | None = None

    def goes_on(self) -> bool:
        try:
            return next(self._answers) is not None
        except grpc.RpcError as error:
            self.code = error.code()
            return False

    def ends(self) -> None:
        while self.goes_on():
            pass

    def close(self) -> None:
        self._channel.close()


def websocket(port: int, target: str, cookies: str, *lines: tuple[str, str]) -> WebSocket:
    return WebSocket(port, target, cookies, *lines)


def events(port: int, target: str, cookies: str, *lines: tuple[str, str]) -> Events:
    """The event stream of a request as EventSource sends it."""
    sent = [
        ("host", f"localhost:{port}"),
        ("accept", "text/event-stream"),
        ("cookie", cookies),
        *lines,
    ]
    text = "\r\n".join(
        [
            f"GET {target}?echo-events=1 HTTP/1.1",
            *(f"{name}: {value}" for name, value in sent),
            "",
            "",
        ]
    )
    return Events(port, text.encode())


def call(port: int, target: str, cookies: str, *lines: tuple[str, str]) -> Call:
    return Call(port, cookies, *lines)


class Ticking:
    """The gRPC application. `seen` has the metadata of each call."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self._over = threading.Event()
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        handler = grpc.unary_stream_rpc_method_handler(self._tick)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("test.Clock", {"Tick": handler}),)
        )
        self.url = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def _tick(self, _: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        self.seen.append(dict(context.invocation_metadata()))
        while context.is_active() and not self._over.wait(0.05):
            yield b"tick"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.stop(0).wait(60)
