"""The parts around an Envoy under test: an upstream that keeps raw bytes, a stub processor, a key
server, a raw client, and settings.
"""

import asyncio
import contextlib
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import grpc
from envoy_data_plane.envoy.config.core.v3 import HeaderValue, HeaderValueOption
from envoy_data_plane.envoy.service.ext_proc.v3 import (
    CommonResponse,
    HeaderMutation,
    HeadersResponse,
    ImmediateResponse,
    ProcessingRequest,
    ProcessingResponse,
)
from envoy_data_plane.envoy.type.v3 import HttpStatus, StatusCode
from envoy_data_plane.google.protobuf import Struct
from grpc_health.v1 import health_pb2_grpc

from extproc import contract
from extproc.core.assertion import AssertionProfile, jwks, mint
from extproc.core.sealing import KeyRing
from extproc.core.session import SessionId
from extproc.ext_proc.health import Health
from extproc.settings import Settings
from extproc.settings.domain_access import access

SECRET = "not-a-secret-but-32-bytes-or-more-of-text"
RING = KeyRing.of([SECRET.encode()])


def settings(**changes: Any) -> Settings:
    """Settings as a settings file gives them: one provider, and these changes."""
    provider = {
        "issuer": "https://idp.example",
        "client_id": "gateway",
        "client_secret": "canary-client-secret",
    }
    base = {"secret": SECRET, "providers": {"main": provider}, **changes}
    return Settings.model_validate_json(json.dumps(base))


SESSION = SessionId.of(b"s" * 32)


def assertion(
    made: Settings,
    name: str,
    *,
    ring: KeyRing = RING,
    life: int = 60,
    session: SessionId = SESSION,
    audiences: Sequence[str] = (),
    **headers: str,
) -> str:
    """A valid assertion of an application, as the processor mints it for a user whom no rule
    admits, or with these audiences.
    """
    values = [(key.replace("_", "-"), value) for key, value in headers.items()] or [
        ("x-auth-sub", "alice")
    ]
    token = mint(
        ring,
        AssertionProfile(made.url(name), life),
        audiences or (access(made, name).audience(""),),
        session.handle,
        values,
        int(time.time()),
        1 << 40,
    )
    assert token is not None
    return token


@dataclass(frozen=True, slots=True)
class Received:
    """A request as the upstream got it, byte for byte."""

    raw: bytes
    body: bytes = b""

    @property
    def line(self) -> str:
        return self.raw.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    def values(self, name: str) -> list[str]:
        lines = self.raw.decode("latin-1").split("\r\n")[1:]
        return [
            line.partition(":")[2].lstrip() for line in lines if line.lower().startswith(name + ":")
        ]

    def names(self) -> list[str]:
        return [
            line.partition(":")[0].lower()
            for line in self.raw.decode("latin-1").split("\r\n")[1:]
            if line
        ]


class Keys:
    """A server with the public keys of assertions, as the processor's admin listener has them."""

    def __init__(self) -> None:
        body = jwks(RING).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if self.path == "/.well-known/jwks.json" else 404)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Upstream:
    """An application: keeps the requests that it receives and answers 200 with their head; it
    answers an upgrade with 101, and then echoes bytes.

    Each `says` of the query is a header line of its answer, in place of its Cache-Control.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listening.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._open = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while self._open:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), connection:
            stream = (
                self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
            )
            with stream:
                while self._answer(stream):
                    pass

    def _answer(self, stream: socket.socket) -> bool:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := stream.recv(65536)):
                return False
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        while length and len(body) < int(length[1]):
            body += stream.recv(65536)
        if re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
            while not body.endswith(b"0\r\n\r\n"):
                body += stream.recv(65536)
            body = _unchunk(body)
        self.received.append(Received(head, body))
        if re.search(rb"(?i)\r\nupgrade: *websocket", head):
            stream.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n"
            )
            while more := stream.recv(65536):
                stream.sendall(more)
            return False
        line = head.split(b"\r\n")[0].decode("latin-1").split(" ")
        says = parse_qs(urlsplit(line[1]).query, keep_blank_values=True).get("says")
        lines = ["cache-control: public, max-age=60"] if says is None else says
        more = "".join(f"{each}\r\n" for each in lines if each).encode()
        answer = b"HTTP/1.1 200 OK\r\nserver: upstream\r\nset-cookie: own=1\r\n" + more
        stream.sendall(answer + b"content-length: %d\r\n\r\n" % len(head) + head)
        return True


@dataclass(frozen=True, slots=True)
class Asked:
    """One stream that the stub processor got."""

    metadata: dict[str, str]
    headers: dict[str, bytes]

    @property
    def application(self) -> str | None:
        return self.metadata.get(contract.APPLICATION)

    @property
    def public(self) -> bool:
        return self.metadata.get(contract.PUBLIC) == "1"

    @property
    def path(self) -> str:
        return self.headers[":path"].decode("latin-1")


def continued(
    metadata: dict[str, str] | None = None, *, remove: tuple[str, ...] = (), **headers: bytes
) -> ProcessingResponse:
    """The answer that lets a request through: these headers, and the decision for the gate."""
    options = [
        HeaderValueOption(header=HeaderValue(key=key.replace("_", "-"), raw_value=value))
        for key, value in headers.items()
    ]
    mutation = HeaderMutation(set_headers=options, remove_headers=list(remove))
    said = {
        contract.DECISION: contract.CONTINUE,
        contract.REASON: "stub_continue",
        **(metadata or {}),
    }
    return ProcessingResponse(
        request_headers=HeadersResponse(response=CommonResponse(header_mutation=mutation)),
        dynamic_metadata=Struct.from_dict({contract.NAMESPACE: said}),
    )


def immediate(status: StatusCode, body: bytes = b"", **headers: bytes) -> ProcessingResponse:
    options = [
        HeaderValueOption(header=HeaderValue(key=key.replace("_", "-"), raw_value=value))
        for key, value in headers.items()
    ]
    return ProcessingResponse(
        immediate_response=ImmediateResponse(
            status=HttpStatus(code=status), headers=HeaderMutation(set_headers=options), body=body
        ),
        dynamic_metadata=Struct.from_dict(
            {contract.NAMESPACE: {contract.REASON: "stub_immediate"}}
        ),
    )


FAKE_COOKIE = "extproc-assertion-main=fresh; Path=/; HttpOnly; SameSite=Lax"


def answer(asked: Asked) -> ProcessingResponse | None:
    """The stub's answer: by `stub` in the query, otherwise that of a processor without a session."""
    match parse_qs(urlsplit(asked.path).query).get("stub", [""])[0]:
        case "silent":
            return None
        case "continue" | "hold":
            return continued(x_auth_sub=b"stub", x_auth_name="Zo\u00eb".encode())
        case "renew":
            renewed = {
                contract.SET_COOKIE: FAKE_COOKIE,
                contract.CACHE_CONTROL: "private",
                contract.NO_STORE: "no-store",
            }
            return continued(renewed, x_auth_sub=b"stub")
        # An answer without the decision.
        case "undecided":
            return ProcessingResponse(request_headers=HeadersResponse(response=CommonResponse()))
        case "crlf":
            return continued(x_auth_sub=b"stub\r\nx-auth-groups: admins")
        case "other-header":
            return continued(x_auth_sub=b"stub", x_other=b"1")
        case "path":
            return continued(**{"x_auth_sub": b"stub", ":path": b"/elsewhere"})
        # Envoy shall choose the route again, by another host.
        case "reroute":
            response = continued(x_auth_sub=b"stub", **{":authority": b"idp.test"})
            assert response.request_headers
            assert response.request_headers.response
            response.request_headers.response.clear_route_cache = True
            return response
        case "clear":
            response = continued(x_auth_sub=b"stub", x_auth_name=b"idp.test")
            assert response.request_headers
            assert response.request_headers.response
            response.request_headers.response.clear_route_cache = True
            return response
        case "page":
            return immediate(
                StatusCode.ServiceUnavailable, b"<p>our page</p>", content_type=b"text/html"
            )
        case "spurious":
            return ProcessingResponse()
    if asked.public:
        return continued(remove=("x-auth-sub", "x-auth-name"))
    return immediate(StatusCode.SeeOther, location=b"https://idp.example/authorize")


@dataclass
class Stub:
    """A processor that answers by `answer`, in a thread of its own.

    `where` is host:port or unix:PATH, by default a free port; `asked` has every stream, in order.
    """

    where: str = ""
    asked: list[Asked] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Self:
        # Not by the event loop policy, because trio_asyncio, once imported, has one of its own.
        self._loop = asyncio.SelectorEventLoop()
        self._ready, self._end = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=(self._serve(),), daemon=True
        )
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(60)
        self._loop.close()

    async def _serve(self) -> None:
        server = grpc.aio.server()
        handler = grpc.stream_stream_rpc_method_handler(self._process)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(contract.SERVICE, {"Process": handler}),)
        )
        health = Health()
        await health.serving()
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        self.port = server.add_insecure_port(self.where or "127.0.0.1:0")
        await server.start()
        self._ready.set()
        await self._end.wait()
        await server.stop(0)

    async def _process(self, _: object, context: Any) -> None:
        metadata = {
            key: value for key, value in context.invocation_metadata() if isinstance(value, str)
        }
        raw = await context.read()
        if raw is grpc.aio.EOF:
            return
        message = ProcessingRequest.parse(raw)
        if message.response_headers:
            # Envoy answers by itself.
            await context.write(bytes(ProcessingResponse(response_headers=HeadersResponse())))
            return
        assert message.request_headers
        assert message.request_headers.headers
        headers = {h.key: h.raw_value for h in message.request_headers.headers.headers}
        asked = Asked(metadata, headers)
        self.asked.append(asked)
        if "stub=hang" in asked.path:
            # By time: until Envoy resets the stream.
            await asyncio.sleep(60)
        if "stub=hold" in asked.path:
            # By time: longer than the timeout that Envoy announces to the processor.
            await asyncio.sleep(2)
        if (response := answer(asked)) is not None:
            await context.write(bytes(response))


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def get(self, name: str) -> str | None:
        return ", ".join(self.values(name)) if self.values(name) else None


def exchange(
    port: int,
    raw: bytes,
    *,
    tls: ssl.SSLContext | None = None,
    name: str = "app.test",
    source: str = "",
    wait: float = 10,
) -> Reply:
    """Sends bytes and reads one answer; status 0 for a connection that closes without an answer."""
    with socket.create_connection(
        ("127.0.0.1", port), wait, (source, 0) if source else None
    ) as plain:
        data = b""
        with tls.wrap_socket(plain, server_hostname=name) if tls else plain as stream:
            stream.sendall(raw)
            with contextlib.suppress(ConnectionError):
                while not _whole(data, to_head=raw.startswith(b"HEAD ")) and (
                    more := stream.recv(65536)
                ):
                    data += more
    return parse(data)


def _whole(data: bytes, *, to_head: bool) -> bool:
    """Whether an answer is complete; Envoy takes a second to close after an early answer.

    to_head: The request was a HEAD, whose answer has no body, whatever its length says.
    """
    head, end, body = data.partition(b"\r\n\r\n")
    if to_head:
        return bool(end)
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return bool(end and length and len(body) >= int(length[1]))


def parse(data: bytes) -> Reply:
    if not data:
        return Reply(0, (), b"")
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = tuple(
        (key.lower(), value.strip()) for key, _, value in (line.partition(":") for line in lines)
    )
    if ("transfer-encoding", "chunked") in headers:
        body = _unchunk(body)
    return Reply(int(first.split(" ")[1]), headers, body)


def _unchunk(data: bytes) -> bytes:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        if not (length := int(size or b"0", 16)):
            break
        body, data = body + data[:length], data[length + 2 :]
    return body


@dataclass(frozen=True, slots=True)
class Client:
    """A client of one listener, with a new connection for each request.

    `source` is the client's address, by default loopback.
    """

    port: int
    host: str = "app.test"
    tls: ssl.SSLContext | None = None
    source: str = ""

    def get(
        self,
        path: str | bytes = "/",
        *lines: str | bytes,
        method: str = "GET",
        host: str | None = None,
        cookie: str = "",
    ) -> Reply:
        """Sends a request; `lines` are header lines, sent unchanged after Host and the cookie."""
        target = path.encode("latin-1") if isinstance(path, str) else path
        name = host or self.host
        more = [*([f"cookie: {cookie}"] if cookie else []), *lines]
        encoded = [line.encode("latin-1") if isinstance(line, str) else line for line in more]
        head = [
            method.encode() + b" " + target + b" HTTP/1.1",
            b"host: " + name.encode(),
            b"connection: close",
            *encoded,
        ]
        raw = b"\r\n".join(head) + b"\r\n\r\n"
        return exchange(
            self.port, raw, tls=self.tls, name=name.partition(":")[0], source=self.source
        )
