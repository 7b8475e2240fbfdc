"""What Envoy refuses of a request, and what it takes away, before an application gets it."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Self

import h2.config
import h2.connection
import h2.events
import pytest
from harness.envoy_parts import Asked, Client
from harness.envoy_world import Gateway, World, application
from harness.raw_http import H2, Headers


class UpstreamH2:
    """An application of HTTP/2 with prior knowledge: answers 200, and keeps headers and trailers."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self.trailers: list[dict[str, str]] = []
        self.ended = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, stream: socket.socket) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        with contextlib.suppress(OSError), stream:
            stream.sendall(connection.data_to_send())
            while data := stream.recv(65536):
                for event in connection.receive_data(data):
                    self._take(connection, event)
                stream.sendall(connection.data_to_send())

    def _take(self, connection: h2.connection.H2Connection, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self.headers.append(_text(event.headers))
            case h2.events.TrailersReceived():
                self.trailers.append(_text(event.headers))
            case h2.events.StreamEnded(stream_id=int(stream_id)):
                self.ended += 1
                connection.send_headers(stream_id, [(":status", "200")], end_stream=True)


def _text(headers: object) -> dict[str, str]:
    assert isinstance(headers, list)
    return {name.decode(): value.decode() for name, value in headers}


@pytest.fixture(scope="module")
def http2(world: World) -> Iterator[tuple[UpstreamH2, Gateway]]:
    """An application that gets HTTP/2, in front of it a gateway of plain http."""
    with UpstreamH2() as upstream:
        applications: dict[str, object] = {
            "main": application(upstream.url, upstream_http2=True, public_paths=["/public/"]),
            "open": application(
                upstream.url, path_prefix="/open/", upstream_http2=True, exclude=True
            ),
            "old": application(world.upstream.url, path_prefix="/old/"),
        }
        with world.gateway(f"http2-{time.monotonic_ns()}", applications) as gateway:
            yield upstream, gateway


def head(path: str, cookie: str = "", method: str = "GET", scheme: str = "http") -> Headers:
    fields = [
        (":method", method),
        (":path", path),
        (":authority", "app.test"),
        (":scheme", scheme),
    ]
    return [*fields, ("cookie", cookie)] if cookie else fields


@pytest.mark.attack("PATH-10")
@pytest.mark.threat("spoofed-identity")
@pytest.mark.parametrize("method", ["TRACE", "TRACK", "trace", "Track"])
def test_no_application_shows_a_client_what_envoy_added_to_its_request(
    plain: Gateway, tls: Gateway, world: World, asked: list[Asked], method: str
) -> None:
    """Finding 60: Apache answers TRACE with the head of the request, identity and token in it."""
    redirect = tls.settings.gateway.redirect_listen
    assert redirect is not None
    hosts = {"app.test": plain.cookie("main"), "idp.test": "", "nope.test": ""}
    paths = ("/x", "/x?stub=continue", "/public/x", "/assets/x", "/wiki", "/oauth2/login", "/..;/")
    for host, cookie in hosts.items():
        for path in paths:
            reply = plain.client.get(path, method=method, host=host, cookie=cookie)
            assert reply.status in (400, 405), (host, path)
            with H2(plain.client.port) as client:
                fields = dict(head(path, cookie, method)) | {":authority": host}
                answer = client.ask(list(fields.items()))
                assert answer is not None and answer[":status"] == "405", (host, path)
                assert "GET" in answer["allow"]
    assert tls.client.get("/x", method=method, cookie=tls.cookie("main")).status in (400, 405)
    assert Client(redirect.port).get("/x", method=method).status in (400, 405)
    with H2(redirect.port) as client:
        answer = client.ask(head("/x", method=method))
        assert answer is not None and answer[":status"] == "405"
    assert asked == [] and world.upstream.received == []


@pytest.mark.attack("HDR-02")
@pytest.mark.threat("spoofed-identity")
@pytest.mark.parametrize(
    "connection",
    ["Upgrade, x-auth-sub", "x-auth-sub, upgrade", "keep-alive, Upgrade, X-Auth-Sub, cookie"],
)
def test_a_websocket_names_no_header_that_a_proxy_behind_would_drop(
    plain: Gateway, world: World, asked: list[Asked], connection: str
) -> None:
    """Finding 20."""
    for path in ("/chat", "/public/chat", "/assets/chat"):
        with socket.create_connection(("127.0.0.1", plain.client.port), timeout=60) as stream:
            lines = [f"GET {path} HTTP/1.1", "Host: app.test", f"Connection: {connection}"]
            lines += ["Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
            lines += ["Sec-WebSocket-Version: 13", f"Cookie: {plain.cookie('main')}", "", ""]
            stream.sendall("\r\n".join(lines).encode())
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += stream.recv(4096)
            assert b" 101 " in answer
        received = world.upstream.received.pop()
        assert received.values("connection") == ["Upgrade"], path
    plain.client.get("/x", "connection: x-auth-sub", cookie=plain.cookie("main"))
    (received,) = world.upstream.received
    assert received.values("connection") == [], "a request that is no upgrade has none"
    assert received.values("x-auth-sub") == ["alice"]


@pytest.mark.attack("HDR-01")
@pytest.mark.threat("spoofed-identity")
def test_no_trailer_of_a_request_reaches_an_application(
    http2: tuple[UpstreamH2, Gateway], world: World, asked: list[Asked]
) -> None:
    """Finding 19, over HTTP/2 and as the trailer of a chunked body."""
    upstream, gateway = http2
    cookies = {
        "/x": gateway.cookie("main"),
        "/x?stub=continue": "",
        "/public/x": "",
        "/open/x": "",
        "/old/x": gateway.cookie("old"),
    }
    for path, cookie in cookies.items():
        with H2(gateway.client.port) as client:
            stream = client.begin(head(path, cookie, "POST"), ends=False)
            client.connection.send_data(stream, b"body")
            trailers = [("x-auth-sub", "root"), ("x-checksum", "1"), ("grpc-status", "0")]
            client.connection.send_headers(stream, trailers, end_stream=True)
            client.flush()
            answer = client.answer(stream)
            assert answer is not None and answer[":status"] == "200", path
        chunked = b"4\r\nbody\r\n0\r\nx-auth-sub: root\r\n\r\n"
        lines = ["transfer-encoding: chunked", "trailer: x-auth-sub", "te: trailers"]
        lines += [f"cookie: {cookie}"] if cookie else []
        start = "\r\n".join([f"POST {path} HTTP/1.1", "host: app.test", *lines, "", ""])
        with socket.create_connection(("127.0.0.1", gateway.client.port), timeout=60) as raw:
            raw.sendall(start.encode() + chunked)
            assert raw.recv(4096).startswith(b"HTTP/1.1 200")
    assert upstream.ended == 2 * 4 and upstream.trailers == []
    assert all(fields.get("x-auth-sub") != "root" for fields in upstream.headers)
    assert len(world.upstream.received) == 2
    assert b"root" not in b"".join(each.raw + each.body for each in world.upstream.received)


@pytest.mark.attack("PATH-08")
@pytest.mark.parametrize("scheme", ["javascript", "https", "http", "data", "file", "HTTPS", ""])
def test_an_application_gets_the_scheme_of_the_gateway_whatever_a_client_writes(
    http2: tuple[UpstreamH2, Gateway], asked: list[Asked], scheme: str
) -> None:
    """Finding 61: the answer, if there is one, is that to a request of plain http."""
    upstream, gateway = http2
    upstream.headers.clear()
    for path, cookie in (("/x", gateway.cookie("main")), ("/public/x", ""), ("/open/x", "")):
        with H2(gateway.client.port) as client:
            answer = client.ask(head(path, cookie, scheme=scheme))
            assert answer is None or answer[":status"] in ("200", "400")
    assert {fields[":scheme"] for fields in upstream.headers} <= {"http"}
    assert {fields["x-forwarded-proto"] for fields in upstream.headers} <= {"http"}
    if scheme == "http":
        assert len(upstream.headers) == 3


TOLD = [
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X-Original-URI",
    "X-Original-Method",
    "X-Forwarded-Uri",
    "X-Forwarded-Method",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Access-Token",
    "X-Accel-Redirect",
    "X-Accel-Buffering",
    "X-Sendfile-Type",
    "Proxy",
    "X.Original.URL",
    "X!Forwarded!Host",
    "X-Forwarded.For",
]
DESCRIBED = [
    "Forwarded",
    "X-Forwarded-Host",
    "X-Forwarded-Server",
    "X-Forwarded-Prefix",
    "X-Forwarded-Port",
    "X-Forwarded-Scheme",
    "X-Forwarded-Ssl",
    "X-Original-Host",
    "X-Host",
    "X-Real-IP",
    "X-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "Front-End-Https",
]


@pytest.mark.attack("PATH-11", "PATH-12")
@pytest.mark.threat("spoofed-identity")
def test_a_client_tells_no_application_what_it_asked_for(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    """Finding 21: on protected, public and excluded paths, over HTTP/1.1 and HTTP/2."""
    names = [*TOLD, *DESCRIBED]
    cookie = plain.cookie("main")
    for path in ("/x", "/x?stub=continue", "/public/x", "/assets/x"):
        lines = [f"{name}: EVIL" for name in names]
        assert plain.client.get(path, *lines, cookie=cookie).status == 200
        with H2(plain.client.port) as client:
            answer = client.ask([*head(path, cookie), *((name.lower(), "EVIL") for name in names)])
            assert answer is not None and answer[":status"] == "200"
    assert len(world.upstream.received) == 8
    for received in world.upstream.received:
        assert b"EVIL" not in received.raw
        assert received.values("x-forwarded-proto") == ["http"]
        assert len(received.values("x-forwarded-for")) == 1


@pytest.mark.attack("PATH-11")
def test_what_a_trusted_proxy_writes_about_the_client_reaches_applications(
    world: World, asked: list[Asked]
) -> None:
    applications: dict[str, object] = {
        "main": application(world.upstream.url, public_paths=["/public/"])
    }
    lines = [f"{name}: {name}" for name in [*TOLD, *DESCRIBED]]
    hops = f"hops-{time.monotonic_ns()}"
    with world.gateway(hops, applications, gateway={"trusted_hops": 1}) as gateway:
        gateway.client.get("/public/x", *lines)
    kept = {"kept_headers": ["x-http-method-override", "x-forwarded-prefix"]}
    with world.gateway(f"kept-{hops}", applications, gateway=kept) as gateway:
        gateway.client.get("/public/x", *lines)
    proxied, alone = ({*received.names()} for received in world.upstream.received)
    told, described = ({name.lower() for name in names} for names in (TOLD, DESCRIBED))
    assert described <= proxied and not told & proxied
    passed = {"x-http-method-override", "x-forwarded-prefix"}
    assert (told | described) & alone == passed
