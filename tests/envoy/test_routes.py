"""Which route a request meets: hosts, prefixes, public paths, and the tricks that are played with
paths.
"""

import json
import re
import socket
import time
from pathlib import Path

import pytest
import yaml
from harness.envoy_parts import Asked, exchange
from harness.envoy_world import Gateway, World, application


def where(asked: list[Asked]) -> list[tuple[str | None, bool]]:
    return [(stream.application, stream.public) for stream in asked]


@pytest.mark.parametrize(
    ("path", "application", "public"),
    [
        ("/", "main", False),
        ("/private", "main", False),
        ("/public/", "main", True),
        ("/public/a/b.css?v=1", "main", True),
        ("/public/a%20b/%C3%A9", "main", True),
        ("/public", "main", False),
        ("/publicity", "main", False),
        ("/public.html", "main", False),
        ("/robots.txt", "main", True),
        ("/robots.txt/x", "main", True),
        ("/robots.txt2", "main", False),
        ("/oauth2", "main", False),
        ("/oauth2x/", "main", False),
        ("/wiki/", "wiki", False),
        ("/wiki/pub/x", "wiki", True),
        ("/wiki/public/x", "wiki", False),
        ("/wikis", "main", False),
    ],
)
def test_paths_are_taken_by_whole_segments(
    plain: Gateway, asked: list[Asked], path: str, application: str, public: bool
) -> None:
    plain.client.get(path)
    assert where(asked) == [(application, public)]


def test_a_public_path_shows_who_is_signed_in(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    assert plain.client.get("/public/x", cookie=plain.cookie("main")).status == 200
    assert plain.client.get("/public/x").status == 200
    assert [received.values("x-auth-sub") for received in world.upstream.received] == [
        ["alice"],
        [],
    ]
    assert where(asked) == [("main", True)]


@pytest.mark.attack("PATH-01")
@pytest.mark.threat("policy-of-the-route")
@pytest.mark.parametrize(
    "path",
    [
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/%2E%2e/admin",
        "/public/.%2e/admin",
        "/public/..;/admin",
        "/public/..;a=b/admin",
        "//admin",
        "/public/..//admin",
        "/./admin",
        "/public/..%2fadmin",
        "/public/..%5cadmin",
        "/public/..\\admin",
        "/public%2f..%2fadmin",
        "/public/%252e%252e/admin",
        "/public/%c0%ae%c0%ae/admin",
        "/public/..%c0%afadmin",
        "/public/..%e0%80%afadmin",
    ],
)
def test_no_trick_makes_a_path_public(
    plain: Gateway, world: World, asked: list[Asked], path: str
) -> None:
    assert plain.client.get(path).status in (303, 400)
    assert not any(public for _, public in where(asked))
    assert world.upstream.received == []


@pytest.mark.attack("PATH-01")
def test_the_application_gets_the_path_that_was_decided_on(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    sent = ("/public//../x", "/public/a/../b", "/public//c", "/public/./%2e/d")
    assert [plain.client.get(path).status for path in sent] == [200] * 4
    assert [stream.path for stream in asked] == [
        received.target for received in world.upstream.received
    ]
    assert [received.target for received in world.upstream.received] == [
        f"/public/{name}" for name in "xbcd"
    ]


@pytest.mark.attack("PATH-02")
@pytest.mark.parametrize(
    "path",
    [
        "/public;/../admin",
        "/admin;x=y",
        "/public/a%3b/admin",
        "/public/a%3B/admin",
        "/;/admin",
        "/public;a/x",
    ],
)
def test_path_parameters_are_never_public(
    plain: Gateway, world: World, asked: list[Asked], path: str
) -> None:
    assert plain.client.get(path).status == 303
    assert where(asked) == [("main", False)]
    assert world.upstream.received == []


@pytest.mark.attack("PATH-03")
@pytest.mark.parametrize(
    "path", ["/admin?x=/public/", "/admin?/public/", "/admin?/../public/x", "/?/oauth2/"]
)
def test_rules_see_the_path_only(plain: Gateway, asked: list[Asked], path: str) -> None:
    assert plain.client.get(path).status == 303
    assert where(asked) == [("main", False)]


@pytest.mark.attack("PATH-04")
@pytest.mark.parametrize("path", ["/admin#/public/", "/public/x#/../../admin", "/#"])
def test_fragments_are_refused(plain: Gateway, world: World, asked: list[Asked], path: str) -> None:
    assert plain.client.get(path).status == 400
    assert asked == []
    assert world.upstream.received == []


@pytest.mark.attack("PATH-04")
@pytest.mark.parametrize("path", ["/admin%23/public/", "/public/x/secret%23/bar"])
def test_an_encoded_fragment_sign_is_a_protected_path(
    plain: Gateway, asked: list[Asked], path: str
) -> None:
    assert plain.client.get(path).status == 303
    assert where(asked) == [("main", False)]


@pytest.mark.attack("PATH-06")
@pytest.mark.parametrize(
    "path", ["/PUBLIC/", "/Public/x", "/admin/", "/admin.", "/admin%20", "/admin%00", "/admin%09"]
)
def test_look_alikes_are_protected(
    plain: Gateway, world: World, asked: list[Asked], path: str
) -> None:
    assert plain.client.get(path).status in (303, 400)
    assert not any(public for _, public in where(asked))
    assert world.upstream.received == []


@pytest.mark.attack("PATH-08")
def test_odd_targets_are_refused_or_protected(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    client = plain.client
    assert client.get("http://nope.test/public/", host="app.test").status == 421, (
        "the target's host counts"
    )
    assert client.get("http://app.test/x", host="nope.test").status == 303
    assert client.get("*", method="OPTIONS").status in (400, 404)
    assert client.get("app.test:443", method="CONNECT").status in (400, 403)
    assert client.get("/x", method="CONNECT").status in (400, 403)
    assert client.get("", method="GET").status in (0, 400)
    assert (
        exchange(client.port, b"GET /public/ HTTP/1.1\r\nconnection: close\r\n\r\n").status == 400
    ), "no Host"
    two = b"GET / HTTP/1.1\r\nhost: app.test\r\nhost: nope.test\r\nconnection: close\r\n\r\n"
    assert exchange(client.port, two).status in (400, 421)
    assert exchange(client.port, b"GET /public/ HTTP/1.0\r\nhost: app.test\r\n\r\n").status == 426
    assert where(asked) == [("main", False)]
    assert world.upstream.received == []
    assert client.get("/public/").status == 200


@pytest.mark.attack("PATH-09")
@pytest.mark.parametrize(
    "path", [b"/a%zz", b"/public/%zz", b"/public/\xff", b"/public/a b", b"/public/%", b"/a\x00"]
)
def test_malformed_targets_are_refused_or_protected(
    plain: Gateway, world: World, asked: list[Asked], path: bytes
) -> None:
    assert plain.client.get(path).status in (303, 400)
    assert not any(public for _, public in where(asked))
    assert world.upstream.received == []


@pytest.mark.attack("EXTP-19", "PATH-09")
def test_too_much_is_refused(plain: Gateway, world: World, asked: list[Asked]) -> None:
    # Without TLS, Envoy closes the connection of a first line above 64 kB (http_inspector).
    assert plain.client.get("/" + "a" * 110_000).status in (0, 431)
    assert plain.client.get("/", *(f"x-{i}: 1" for i in range(1000))).status == 431
    assert plain.client.get("/", "x-big: " + "a" * 110_000).status == 431
    assert asked == []
    assert world.upstream.received == []


@pytest.mark.attack("PATH-10")
@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_every_method_is_protected(
    plain: Gateway, world: World, asked: list[Asked], method: str
) -> None:
    override = ("x-http-method-override: OPTIONS", "content-length: 0")
    assert plain.client.get("/admin", *override, method=method).status == 303
    assert where(asked) == [("main", False)]
    assert plain.client.get("/admin", method="get").status in (0, 303, 400)
    assert world.upstream.received == []


@pytest.mark.attack("PATH-11", "PATH-12")
@pytest.mark.threat("policy-of-the-route")
def test_headers_about_paths_and_addresses_decide_nothing(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    lines = [
        f"{name}: /public/x"
        for name in ("x-forwarded-uri", "x-original-url", "x-rewrite-url", "x-envoy-original-path")
    ]
    more = [
        "x-forwarded-method: OPTIONS",
        "x-real-ip: 127.0.0.1",
        "user-agent: ELB-HealthChecker/2.0",
        "x-envoy-internal: true",
    ]
    more += [
        "x-envoy-decorator-operation: evil",
        "x-forwarded-proto: https",
        "x-forwarded-host: idp.test",
    ]
    assert plain.client.get("/admin", *lines, *more).status == 303
    assert where(asked) == [("main", False)]
    plain.client.get("/", *lines, *more, cookie=plain.cookie("main"))
    (received,) = world.upstream.received
    assert [name for name in received.names() if name.startswith("x-envoy")] == [
        "x-envoy-external-address"
    ]
    assert received.values("x-forwarded-proto") == ["http"]


@pytest.mark.attack("PATH-08")
@pytest.mark.parametrize(
    "odd",
    [":evil.example", ":1@evil.example", ":,x", ":%2e", ":@app.test", ":80_x", ":123456", ":-1"],
)
def test_what_is_no_host_with_a_port_is_refused_on_every_route(
    plain: Gateway, world: World, asked: list[Asked], odd: str
) -> None:
    """Envoy chooses by what stands before the colon, and an application writes all of it into its
    links.
    """
    cookie = plain.cookie("main")
    for path in ("/x", "/public/", "/assets/", "/oauth2/login"):
        assert plain.client.get(path, host=f"app.test{odd}", cookie=cookie).status in (400, 421), (
            path
        )
    assert world.upstream.received == [] and asked == []
    for right in ("app.test", "APP.test", "app.test:1", "app.test:65535"):
        assert plain.client.get("/x", host=right, cookie=cookie).status == 200


def test_an_unlisted_host_gets_421_and_nobody_is_asked(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    for host in ("nope.test", "app.test.evil.test", "127.0.0.1", "xapp.test"):
        assert plain.client.get("/public/", host=host, cookie=plain.cookie("main")).status == 421, (
            host
        )
    assert asked == []
    assert world.upstream.received == []


def test_the_health_check_of_the_docs_needs_neither_host_nor_cookie(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    """Wild case 26: a load balancer asks with an IP address as Host."""
    topologies = (Path(__file__).parents[2] / "docs/topologies.md").read_text()
    (example,) = re.findall(r"  ```yaml\n(.*?)  ```\n", topologies, flags=re.DOTALL)
    (health,) = yaml.safe_load(example)["applications"].values()
    applications: dict[str, object] = {
        "main": application(world.upstream.url),
        "health": {**health, "upstream": world.upstream.url},
    }
    with world.gateway(f"health-{time.monotonic_ns()}", applications) as gateway:
        for host in ("10.0.3.7:8080", "app.test", "[::1]:8080"):
            client = gateway.client
            assert client.get(health["path_prefix"], host=host).status == 200, host
        assert client.get("/", host="10.0.3.7:8080").status == 404, "no other path is there"
        assert client.get("/x", host="app.test").status == 303
    assert len(asked) == 1


def test_the_docs_name_the_answer_that_nginx_gets_by_default(plain: Gateway) -> None:
    """Wild case 25."""
    old = b"GET /public/ HTTP/1.0\r\nhost: app.test\r\n\r\n"
    reply = exchange(plain.client.port, old)
    assert reply.status == 426 and "HTTP/1.1 or newer" in json.loads(reply.body)["detail"]
    topologies = (Path(__file__).parents[2] / "docs/topologies.md").read_text()
    assert "proxy_http_version 1.1;" in topologies and "426 Upgrade Required" in topologies


def test_ports_and_case_of_hosts_do_not_matter_and_the_header_goes_on_as_it_came(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    for host in ("app.test:1234", "app.test", "APP.test:80"):
        assert plain.client.get("/", host=host, cookie=plain.cookie("main")).status == 200
    assert [received.values("host")[0].lower() for received in world.upstream.received] == [
        "app.test:1234",
        "app.test",
        "app.test:80",
    ]
    assert asked == []


def test_a_prefix_without_its_slash_is_redirected(plain: Gateway, asked: list[Asked]) -> None:
    reply = plain.client.get("/wiki?a=b", host="app.test:1")
    assert (reply.status, reply.get("location")) == (301, plain.settings.url("wiki") + "?a=b")
    assert plain.client.get("/assets").status == 301
    for path in ("/wiki", "/assets"):
        assert plain.client.get(path, "content-length: 0", method="POST").status == 308, "no GET"
    assert asked == []


@pytest.mark.attack("PATH-17")
def test_a_websocket_needs_a_session(plain: Gateway, world: World, asked: list[Asked]) -> None:
    upgrade = (
        "Upgrade: websocket",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    )

    def open_socket(path: str, cookie: str = "") -> bytes:
        with socket.create_connection(("127.0.0.1", plain.client.port), timeout=60) as stream:
            lines = [f"GET {path} HTTP/1.1", "Host: app.test", "Connection: Upgrade", *upgrade]
            lines += [f"Cookie: {cookie}"] if cookie else []
            stream.sendall("\r\n".join([*lines, "", ""]).encode())
            head = b""
            while b"\r\n\r\n" not in head:
                head += stream.recv(4096)
            if b" 101 " in head.split(b"\r\n")[0]:
                stream.sendall(b"ping")
                return stream.recv(4096)
            return head

    assert b" 303 " in open_socket("/chat")
    assert world.upstream.received == []
    assert open_socket("/chat?stub=continue") == b"ping"
    assert open_socket("/chat", plain.cookie("main")) == b"ping"
    assert len(asked) == 2
    assert world.upstream.received[1].values("x-auth-sub") == ["alice"]


@pytest.mark.attack("PATH-17")
def test_no_other_upgrade_passes(plain: Gateway, world: World, asked: list[Asked]) -> None:
    h2c = ("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
    raw = "\r\n".join(
        ["GET / HTTP/1.1", "Host: app.test", "Connection: Upgrade, HTTP2-Settings", *h2c, "", ""]
    )
    reply = exchange(
        plain.client.port, raw.replace("Connection: Upgrade", "Connection: close, Upgrade").encode()
    )
    assert reply.status in (303, 400, 403)
    assert world.upstream.received == []


COOKIES = [
    # as the client sent it, as the application gets it
    ("a=1; b=2", "a=1; b=2"),
    ("OURS", None),
    ("OURS;", None),
    ("OURS; OURS", None),
    ("OURS; a=1", "a=1"),
    ("a=1; OURS", "a=1"),
    ("a=1; OURS; b=2", "a=1; b=2"),
    ("a=1;OURS;b=2", "a=1;b=2"),
    ("a=1;  OURS ;  b=2", "a=1;  b=2"),
    ("OURS;OURS;a=1;OURS", "a=1"),
    # a comma separates nothing; what looks like ours behind one goes to nobody, in case the
    # application lets it separate
    ("a=1,OURS,b=2", "a=1"),
    ("a=1, OURS; b=2,3", "a=1; b=2,3"),
    ("a=1,2; OURS; b=3", "a=1,2; b=3"),
    ("a=OURS", "a=OURS"),
    ("a=xOURS; b=extproc-session-main", "a=xOURS; b=extproc-session-main"),
    ("xOURS; a=1", "xOURS; a=1"),
    ('a="x y"; OURS; b={"k":1}; c===', 'a="x y"; b={"k":1}; c==='),
    ("extproc-theme=dark; OURS", "extproc-theme=dark"),
    ("a=1;; OURS;; b=2", "a=1;;; b=2"),
    ("", None),
    ("a; OURS; b", "a; b"),
]


@pytest.mark.attack("HDR-18")
@pytest.mark.parametrize(("sent", "arrives"), COOKIES)
@pytest.mark.parametrize(
    "ours",
    [
        "extproc-session-main=abc",
        "__Host-extproc-session-wiki=abc",
        "extproc-login-main-1f=x.y",
        "__Host-extproc-assertion-z=a=b",
        "extproc-data-main.00ff.12.0=4.abc",
        "extproc-used-wiki.00ff=abc",
    ],
)
@pytest.mark.parametrize("path", ["/public/", "/assets/"])
def test_our_cookies_go_and_the_others_stay_byte_for_byte(
    plain: Gateway,
    world: World,
    asked: list[Asked],
    path: str,
    sent: str,
    arrives: str | None,
    ours: str,
) -> None:
    plain.client.get(path, f"cookie: {sent.replace('OURS', ours)}")
    (received,) = world.upstream.received
    assert [each for each in received.values("cookie") if each] == (
        [arrives.replace("OURS", ours)] if arrives else []
    )


@pytest.mark.attack("EXTP-19", "HDR-18")
def test_long_and_split_cookies_stay_whole(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    cookie = plain.cookie("main")
    long = "; ".join(f"c{i}={'x' * 1000}" for i in range(40))
    assert plain.client.get("/", cookie=f"{cookie}; {long}").status == 200
    assert (
        plain.client.get(
            "/", f"cookie: a=1; {cookie}", "cookie: extproc-login-main-00000000=s; b=2"
        ).status
        == 200
    )
    whole, split = world.upstream.received
    assert whole.values("cookie") == [long]
    assert "extproc" not in split.raw.decode()
    assert split.values("cookie") == ["a=1; b=2"]
