"""What pages of other origins may not send to an application, by real Envoys (finding 54)."""

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest
from harness.envoy_parts import Asked, Client
from harness.envoy_world import Gateway, World, application
from harness.raw_http import H2

HANDSHAKE = (
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)
EVIL = "https://evil.test"


@pytest.fixture(scope="module")
def strict(world: World) -> Iterator[Gateway]:
    """Applications with each kind of `csrf`, on one host."""
    url = world.upstream.url
    more: dict[str, dict[str, object]] = {
        "strict": {"csrf": "same_origin", "public_paths": ["/strict/public/"]},
        "portal": {"csrf": "same_origin", "allowed_origins": [EVIL]},
        "off": {"csrf": "off"},
        "live": {"end_streams": ["websocket"]},
        "fresh": {"forward_access_token": True},
    }
    applications = {
        name: application(url, path_prefix=f"/{name}/", **changes) for name, changes in more.items()
    }
    with world.gateway(f"csrf-{time.monotonic_ns()}", applications) as gateway:
        yield gateway


def own(gateway: Gateway) -> str:
    return f"http://app.test:{gateway.settings.gateway.listen.port}"


def open_socket(client: Client, path: str, *lines: str, cookie: str = "") -> str:
    """What a WebSocket's handshake comes to: its status, or `ping` that came back."""
    with socket.create_connection(("127.0.0.1", client.port), timeout=60) as stream:
        head = [f"GET {path} HTTP/1.1", "Host: app.test", "Connection: keep-alive, Upgrade"]
        head += [*HANDSHAKE, *lines, *([f"Cookie: {cookie}"] if cookie else [])]
        stream.sendall("\r\n".join([*head, "", ""]).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += stream.recv(4096)
        status = answer.split(b" ")[1].decode()
        if status == "101":
            stream.sendall(b"ping")
            return stream.recv(4096).decode()
        return status


@pytest.mark.attack("PATH-17")
@pytest.mark.threat("foreign-page")
@pytest.mark.parametrize(
    "origin",
    [
        EVIL,
        "null",
        "",
        "https://app.test",
        "http://app.test",
        "http://app.test:1",
        "http://evil.app.test:PORT",
        "http://app.test:PORT.evil.test",
        "http://app.test:PORT@evil.test",
        "http://app.test:PORT/",
        "http://app.test:PORT, https://evil.test",
        "https://evil.test, http://app.test:PORT",
    ],
)
def test_a_websocket_of_another_page_reaches_no_application(
    plain: Gateway, world: World, asked: list[Asked], origin: str
) -> None:
    """On the fast path, through the processor, and on public paths."""
    line = "Origin: " + origin.replace("PORT", str(plain.client.port))
    assert open_socket(plain.client, "/chat", line, cookie=plain.cookie("main")) == "403"
    assert open_socket(plain.client, "/chat?stub=continue", line) == "403"
    assert open_socket(plain.client, "/public/chat", line) == "403"
    assert open_socket(plain.client, "/wiki/chat", line, cookie=plain.cookie("wiki")) == "403"
    assert world.upstream.received == [] and asked == []


@pytest.mark.attack("PATH-17")
def test_a_second_origin_makes_a_websocket_another_page_s(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    lines = [f"Origin: {own(plain)}", f"Origin: {EVIL}"]
    for pair in (lines, lines[::-1]):
        assert open_socket(plain.client, "/chat", *pair, cookie=plain.cookie("main")) == "403"
    assert world.upstream.received == []


def test_a_websocket_of_the_own_page_or_of_no_page_passes(plain: Gateway, strict: Gateway) -> None:
    for path in ("/chat", "/public/chat"):
        for lines in ([f"Origin: {own(plain)}"], []):
            cookie = plain.cookie("main")
            assert open_socket(plain.client, path, *lines, cookie=cookie) == "ping"
    for name in ("portal", "off"):
        cookie = strict.cookie(name)
        assert open_socket(strict.client, f"/{name}/", f"Origin: {EVIL}", cookie=cookie) == "ping"
    assert open_socket(plain.client, "/assets/", f"Origin: {EVIL}") == "ping", "exclude: true"


@pytest.mark.attack("PATH-17")
@pytest.mark.threat("foreign-page")
@pytest.mark.parametrize("name", ["strict", "live", "fresh"])
def test_no_kind_of_route_is_an_exception(
    strict: Gateway, world: World, asked: list[Asked], name: str
) -> None:
    path = f"/{name}/x?stub=continue"
    assert open_socket(strict.client, path, f"Origin: {EVIL}", cookie=strict.cookie(name)) == "403"
    assert world.upstream.received == [] and asked == []


@pytest.mark.attack("PATH-17")
@pytest.mark.threat("foreign-page")
def test_an_extended_connect_of_another_page_reaches_no_application(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    """RFC 8441, whether this Envoy takes it or not."""
    for path, protocol in (("/chat", "websocket"), ("/public/chat", "websocket"), ("/x", "h2c")):
        head = [
            (":method", "CONNECT"),
            (":protocol", protocol),
            (":scheme", "http"),
            (":path", path),
            (":authority", f"app.test:{plain.client.port}"),
            ("origin", EVIL),
            ("cookie", plain.cookie("main")),
        ]
        with contextlib.suppress(OSError), H2(plain.client.port) as client:
            answer = client.ask(head)
            assert answer is None or answer[":status"] in ("400", "403"), path
    assert world.upstream.received == []


UNSAFE = ("POST", "PUT", "DELETE", "PATCH", "PROPFIND", "LOCK")
FOREIGN: list[tuple[str, ...]] = [
    (f"Origin: {EVIL}",),
    ("Origin: null",),
    ("Origin: null", "Sec-Fetch-Site: cross-site"),
    ("Origin: http://app.test:1", "Sec-Fetch-Site: same-site"),
    ("Sec-Fetch-Site: same-site",),
    ("Sec-Fetch-Site: cross-site",),
    (f"Origin: {EVIL}", "Sec-Fetch-Site: cross-site"),
    (f"Origin: {EVIL}", "Sec-Fetch-Site: same-origin"),
]


@pytest.mark.threat("foreign-page")
@pytest.mark.parametrize("lines", FOREIGN)
def test_same_origin_refuses_what_other_pages_post(
    strict: Gateway, world: World, asked: list[Asked], lines: tuple[str, ...]
) -> None:
    cookie = strict.cookie("strict")
    for method in UNSAFE:
        for path in ("/strict/transfer", "/strict/public/x"):
            reply = strict.client.get(
                path, *lines, "content-length: 0", method=method, cookie=cookie
            )
            assert reply.status == 403, (method, path)
    assert world.upstream.received == [] and asked == []
    assert strict.client.get("/strict/", *lines, cookie=cookie).status == 200, "a GET passes"


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("Origin: OWN",),
        ("Origin: OWN", "Sec-Fetch-Site: same-origin"),
        ("Origin: null", "Sec-Fetch-Site: same-origin"),
        ("Sec-Fetch-Site: none",),
    ],
)
def test_same_origin_passes_what_the_own_pages_and_programs_post(
    strict: Gateway, lines: tuple[str, ...]
) -> None:
    made = [line.replace("OWN", own(strict)) for line in lines]
    for method in UNSAFE:
        reply = strict.client.get(
            "/strict/transfer",
            *made,
            "content-length: 0",
            method=method,
            cookie=strict.cookie("strict"),
        )
        assert reply.status == 200, method


def test_an_allowed_origin_posts_and_by_default_every_origin_does(strict: Gateway) -> None:
    lines = (f"Origin: {EVIL}", "Sec-Fetch-Site: cross-site", "content-length: 0")
    for name in ("portal", "off"):
        cookie = strict.cookie(name)
        reply = strict.client.get(f"/{name}/", *lines, method="POST", cookie=cookie)
        assert reply.status == 200, name
