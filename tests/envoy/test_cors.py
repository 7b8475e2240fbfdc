"""Cross-origin resource sharing, by real Envoys: which pages may read answers, and what becomes of
preflights (wild case 27).
"""

import time
from collections.abc import Iterator

import pytest
from harness.envoy_parts import Asked, Reply
from harness.envoy_world import Gateway, World, application
from harness.ports import free_port
from harness.raw_http import H2

PORTAL, OTHER = "https://portal.test", "http://portal.test:8443"
EVIL = "https://evil.test"
CORS = {
    "origins": [PORTAL, OTHER],
    "methods": ["GET", "PUT"],
    "headers": ["content-type", "x-own"],
    "expose": ["x-total"],
    "credentials": True,
    "max_age": "5m",
}
APPLICATIONS: dict[str, dict[str, object]] = {
    "api": {"cors": CORS, "public_paths": ["/api/public/"], "end_streams": ["event_stream"]},
    "every": {"cors": {"origins": ["*"]}, "public_paths": ["/every/public/"]},
    "none": {"cors": {"origins": ["null"]}},
    "plain": {"public_paths": ["/plain/public/"]},
    "self": {"preflight": "pass", "public_paths": ["/self/public/"]},
    "free": {"preflight": "pass", "csrf": "off", "strip_cookies": False},
    "payroll": {"path_prefix": "/free/payroll/"},
}


@pytest.fixture(scope="module")
def shared(world: World) -> Iterator[Gateway]:
    """Applications with and without `cors` and `preflight: pass`, on one host."""
    url = world.upstream.url
    made: dict[str, object] = {
        name: application(url, **{"path_prefix": f"/{name}/", **changes})
        for name, changes in APPLICATIONS.items()
    }
    away = f"http://127.0.0.1:{free_port()}"
    made["away"] = application(
        away, path_prefix="/away/", public_paths=["/away/public/"], cors=CORS
    )
    with world.gateway(f"cors-{time.monotonic_ns()}", made) as gateway:
        yield gateway


def preflight(
    gateway: Gateway, path: str, origin: str, *lines: str, method: str = "PUT", cookie: str = ""
) -> Reply:
    head = (f"Origin: {origin}", f"Access-Control-Request-Method: {method}", *lines)
    return gateway.client.get(path, *head, method="OPTIONS", cookie=cookie)


def says(reply: Reply) -> dict[str, str]:
    """What an answer says about CORS."""
    return {name: value for name, value in reply.headers if name.startswith("access-control-")}


@pytest.mark.attack("WEB-12")
@pytest.mark.parametrize("path", ["/api/x", "/api/public/x", "/api/"])
@pytest.mark.parametrize("origin", [PORTAL, OTHER])
def test_envoy_alone_answers_the_preflight_of_a_listed_origin(
    shared: Gateway, world: World, asked: list[Asked], path: str, origin: str
) -> None:
    for cookie in ("", shared.cookie("api")):
        reply = preflight(shared, path, origin, cookie=cookie)
        assert (reply.status, reply.body, reply.get("set-cookie")) == (200, b"", None)
        assert says(reply) == {
            "access-control-allow-origin": origin,
            "access-control-allow-credentials": "true",
            "access-control-allow-methods": "GET, PUT",
            "access-control-allow-headers": "content-type, x-own",
            "access-control-expose-headers": "x-total",
            "access-control-max-age": "300",
        }
    assert world.upstream.received == [] and asked == []


@pytest.mark.attack("WEB-12")
@pytest.mark.threat("foreign-page")
@pytest.mark.parametrize(
    "origin",
    [
        EVIL,
        "null",
        "",
        "*",
        "http://portal.test",
        "https://portal.test:443",
        "https://portal.test/",
        "https://PORTAL.test",
        "https://portal.test.evil.test",
        "https://evil.test/https://portal.test",
        "https://a.portal.test",
        "https://portalxtest",
        f"{PORTAL}, {EVIL}",
        f"{EVIL}, {PORTAL}",
        f"{PORTAL} {EVIL}",
        f"{PORTAL}\r\nOrigin: {EVIL}",
        f"{EVIL}\r\nOrigin: {PORTAL}",
    ],
)
def test_the_preflight_of_another_origin_reaches_nobody_and_is_told_nothing(
    shared: Gateway, world: World, asked: list[Asked], origin: str
) -> None:
    for path in ("/api/x", "/api/public/x"):
        for method in (
            "PUT",
            "PUT, GET",
            "PUT\r\nAccess-Control-Request-Method: GET",
            "\xff",
            "P\xe9T",
            "\xff\r\nAccess-Control-Request-Method: GET",
        ):
            cookie = shared.cookie("api")
            reply = preflight(shared, path, origin, method=method, cookie=cookie)
            assert (reply.status, says(reply)) == (403, {}), path
    assert world.upstream.received == [] and asked == []


ANSWERS = {
    "the application's": ("/api/x", 200),
    "a public page of the application's": ("/api/public/x?stub=continue", 200),
    "the processor's redirect": ("/every/x", 303),
    "the processor's page": ("/every/x?stub=page", 503),
    "the gate's refusal": ("/every/x?stub=undecided", 403),
    "Envoy's, without a processor that makes sense": ("/every/x?stub=other-header", 200),
    "Envoy's, without an application": ("/away/public/x", 503),
}


@pytest.mark.parametrize("whose", list(ANSWERS))
def test_a_page_of_a_listed_origin_can_read_every_answer(shared: Gateway, whose: str) -> None:
    """A script has to see why it was refused."""
    path, status = ANSWERS[whose]
    reply = shared.client.get(path, f"Origin: {PORTAL}", cookie=shared.cookie("api"))
    assert reply.status == status
    assert reply.values("access-control-allow-origin") == [PORTAL]
    assert reply.values("vary") == ["Origin"]
    with_credentials = ["true"] if path.startswith(("/api", "/away")) else []
    assert reply.values("access-control-allow-credentials") == with_credentials


def test_a_page_of_a_listed_origin_reads_that_it_asks_too_often(
    world: World, asked: list[Asked]
) -> None:
    """Preflights are not counted: Envoy answers them without the processor."""
    made: dict[str, object] = {"api": application(world.upstream.url, cors=CORS)}
    gateway = {"trusted_hops": 1, "rate_limit": {"per_second": 1, "burst": 1}}
    with world.gateway(f"cors-limit-{time.monotonic_ns()}", made, gateway=gateway) as limited:
        address = "x-forwarded-for: 203.0.113.9"
        for _ in range(10):
            assert preflight(limited, "/x", PORTAL, address).status == 200
        for _ in range(600):
            reply = limited.client.get("/x", f"Origin: {PORTAL}", address)
            assert reply.get("access-control-allow-origin") == PORTAL
            if reply.status == 429:
                break
        assert reply.status == 429 and asked


OWN = (
    "access-control-allow-origin: *",
    "access-control-allow-credentials: true",
    "access-control-allow-methods: DELETE",
    "access-control-allow-headers: x-evil",
    "access-control-expose-headers: x-secret",
    "access-control-max-age: 99999",
    "access-control-allow-private-network: true",
    "vary: Accept-Encoding",
)
SAYS = "?" + "&".join("says=" + line.replace(" ", "%20") for line in OWN)


@pytest.mark.threat("foreign-page")
@pytest.mark.parametrize("origin", [EVIL, "null", f"{PORTAL}, {EVIL}", ""])
def test_no_page_of_another_origin_reads_an_answer_whatever_the_application_says(
    shared: Gateway, origin: str
) -> None:
    for path in (f"/api/x{SAYS}", f"/api/public/x{SAYS}&stub=continue", "/api/y?stub=page"):
        lines = [f"Origin: {origin}"] if origin else []
        reply = shared.client.get(path, *lines, cookie=shared.cookie("api"))
        assert says(reply) == {}
        assert "Origin" in (reply.get("vary") or ""), "a cache keeps the answers apart"


def test_the_cors_headers_of_the_application_are_neither_doubled_nor_mixed_in(
    shared: Gateway,
) -> None:
    path = f"/api/x{SAYS}"
    reply = shared.client.get(path, f"Origin: {PORTAL}", cookie=shared.cookie("api"))
    assert sorted(each for each in reply.headers if each[0].startswith("access-control-")) == [
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-origin", PORTAL),
        ("access-control-expose-headers", "x-total"),
    ]
    assert reply.get("vary") == "Accept-Encoding,Origin"


def test_every_origin_reads_without_credentials(shared: Gateway, asked: list[Asked]) -> None:
    for origin in (EVIL, "null", PORTAL):
        answered = preflight(shared, "/every/x", origin)
        assert answered.status == 200
        path = f"/every/public/x{SAYS}&stub=continue"
        for reply in (answered, shared.client.get(path, f"Origin: {origin}")):
            assert reply.values("access-control-allow-origin") == [origin]
            assert reply.values("access-control-allow-credentials") == []
    assert preflight(shared, "/none/x", "null").status == 200
    assert preflight(shared, "/none/x", EVIL).status == 403


@pytest.mark.threat("foreign-page")
def test_the_endpoints_of_the_processor_and_other_applications_have_no_cors(
    shared: Gateway, world: World, asked: list[Asked]
) -> None:
    for path in ("/api/oauth2/sessions", "/plain/x", "/plain/public/x?stub=continue", "/nowhere"):
        assert says(preflight(shared, path, PORTAL)) == {}, path
        assert says(shared.client.get(path, f"Origin: {PORTAL}")) == {}, path
    assert len(asked) == 6, "all but /nowhere are decided as ever"
    reply = shared.client.get(f"/plain/public/x{SAYS}&stub=continue", f"Origin: {EVIL}")
    assert says(reply)["access-control-allow-methods"] == "DELETE", "it is the application's matter"


FORGED = ("X-Auth-Sub: mallory", "X-Auth_Sub: mallory", "X-Extproc-Cookies: a=b", "X.Auth.Sub: m")


@pytest.mark.attack("WEB-12")
@pytest.mark.parametrize("name", ["self", "free"])
def test_a_bare_preflight_reaches_an_application_that_answers_it_itself(
    shared: Gateway, world: World, asked: list[Asked], name: str
) -> None:
    forged = [line for line in FORGED if "_" not in line]
    for path in (f"/{name}/x{SAYS}", f"/{name}/{SAYS}"):
        for more in ((), ("content-length: 0",), forged):
            reply = preflight(shared, path, EVIL, *more)
            assert reply.status == 200
            assert says(reply)["access-control-allow-methods"] == "DELETE"
    assert len(world.upstream.received) == 6 and asked == []
    for received in world.upstream.received:
        assert received.line.startswith("OPTIONS ") and received.body == b""
        names = received.names()
        assert not {"cookie", "authorization", "transfer-encoding"}.intersection(names)
        assert not [each for each in names if each.startswith(("x-auth", "x.auth", "x-extproc"))]
    # On a public path too, so that one rule holds for all preflights of the application.
    assert preflight(shared, "/self/public/x", PORTAL).status == 200 and asked == []


ASKS = "Access-Control-Request-Method: PUT"
NO_PREFLIGHT: dict[str, tuple[str, ...]] = {
    "a cookie": (ASKS, f"Origin: {EVIL}", "Cookie: a=b"),
    "an empty cookie": (ASKS, f"Origin: {EVIL}", "Cookie: "),
    "a session": (ASKS, f"Origin: {EVIL}", "Cookie: extproc-session-self=x"),
    "a token": (ASKS, f"Origin: {EVIL}", "Authorization: Bearer x"),
    "an empty token": (ASKS, f"Origin: {EVIL}", "Authorization: "),
    "a body": (ASKS, f"Origin: {EVIL}", "Content-Length: 5\r\nX-Own: 1"),
    "no origin": (ASKS,),
    "an empty origin": (ASKS, "Origin: "),
    "two origins": (ASKS, f"Origin: {EVIL}", f"Origin: {PORTAL}"),
    "no method": (f"Origin: {EVIL}",),
    "an empty method": (f"Origin: {EVIL}", "Access-Control-Request-Method: "),
    "two methods": (f"Origin: {EVIL}", ASKS, ASKS),
}


@pytest.mark.attack("WEB-12", "PATH-10")
@pytest.mark.parametrize("what", list(NO_PREFLIGHT))
def test_whatever_no_browser_sends_as_a_preflight_is_decided_as_ever(
    shared: Gateway, world: World, asked: list[Asked], what: str
) -> None:
    for name in ("self", "free"):
        reply = shared.client.get(f"/{name}/x", *NO_PREFLIGHT[what], method="OPTIONS")
        assert reply.status == 303, "the stub's answer to a request without a session"
    assert len(asked) == 2 and world.upstream.received == []


@pytest.mark.attack("WEB-12", "PATH-10")
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PROPFIND", "options"])
def test_no_other_method_passes_as_a_preflight(
    shared: Gateway, world: World, asked: list[Asked], method: str
) -> None:
    lines = (f"Origin: {PORTAL}", ASKS, "X-HTTP-Method-Override: OPTIONS")
    for name in ("self", "free", "api"):
        reply = shared.client.get(f"/{name}/x", *lines, method=method)
        assert reply.status in (303, 400), method
    assert world.upstream.received == []


def test_a_signed_in_user_s_options_request_is_no_preflight(
    shared: Gateway, world: World, asked: list[Asked]
) -> None:
    reply = preflight(shared, "/self/x", EVIL, cookie=shared.cookie("self"))
    assert reply.status == 200 and asked == []
    assert world.upstream.received[0].values("x-auth-sub") == ["alice"]


@pytest.mark.attack("WEB-12", "PATH-17")
def test_an_upgrade_does_not_pass_as_a_preflight(
    shared: Gateway, world: World, asked: list[Asked]
) -> None:
    lines = ("Upgrade: websocket", "Connection: Upgrade")
    for name, status in (("self", 403), ("free", 303), ("api", 403)):
        assert preflight(shared, f"/{name}/x", PORTAL, *lines).status == status, name
    assert world.upstream.received == [] and len(asked) == 1


@pytest.mark.attack("WEB-12", "PATH-01", "PATH-06")
@pytest.mark.parametrize(
    "path",
    [
        "/self/a%2fb",
        "/self/..;/x",
        "/self/%2e%2e;/x",
        "/free/PAYROLL/x",
        "/free/payroll;x/y",
        "/free/%70ayroll%20/x",
    ],
)
def test_a_preflight_passes_no_path_that_is_refused(
    shared: Gateway, world: World, asked: list[Asked], path: str
) -> None:
    """Payroll decides about preflights, and its upstream may fold paths."""
    assert preflight(shared, path, EVIL).status in (303, 400, 404), path
    assert world.upstream.received == []


@pytest.mark.attack("WEB-12")
@pytest.mark.parametrize("path", ["/self/oauth2/callback", "/self/oauth2/x", "/free/payroll/x"])
def test_no_preflight_passes_to_the_endpoints_or_to_another_application(
    shared: Gateway, world: World, asked: list[Asked], path: str
) -> None:
    assert preflight(shared, path, EVIL).status == 303
    assert len(asked) == 1 and world.upstream.received == []


@pytest.mark.attack("WEB-12", "EXTP-17")
@pytest.mark.parametrize("name", ["self", "free"])
def test_the_body_of_a_preflight_reaches_no_application(
    shared: Gateway, world: World, asked: list[Asked], name: str
) -> None:
    chunked = "Transfer-Encoding: chunked\r\nX-Own: 1\r\n\r\n5\r\nhello\r\n0"
    assert preflight(shared, f"/{name}/x", EVIL, chunked).status == 200
    for pieces in ([b"hello"], [b"", b"h"], [b"x" * 10_000] * 3):
        with H2(shared.client.port) as client:
            stream = client.begin(asks(shared, name), ends=False)
            for piece in pieces:
                client.connection.send_data(stream, piece)
            client.connection.end_stream(stream)
            client.flush()
            answer = client.answer(stream)
            assert answer is not None and answer[":status"] == "200"
    assert [each.body for each in world.upstream.received] == [b""] * 4 and asked == []


def asks(gateway: Gateway, name: str) -> list[tuple[str, str]]:
    """The head of a preflight over HTTP/2."""
    return [
        (":method", "OPTIONS"),
        (":scheme", "http"),
        (":path", f"/{name}/x"),
        (":authority", f"app.test:{gateway.client.port}"),
        ("origin", EVIL),
        ("access-control-request-method", "PUT"),
    ]


@pytest.mark.parametrize("end", ["head", "empty data", "trailers"])
def test_a_preflight_without_a_body_passes_however_it_ends(
    shared: Gateway, world: World, asked: list[Asked], end: str
) -> None:
    with H2(shared.client.port) as client:
        stream = client.begin(asks(shared, "self"), ends=end == "head")
        if end == "empty data":
            client.connection.end_stream(stream)
        if end == "trailers":
            client.connection.send_headers(stream, [("x-auth-sub", "m")], end_stream=True)
        client.flush()
        answer = client.answer(stream)
    assert answer is not None and answer[":status"] == "200"
    (received,) = world.upstream.received
    assert received.body == b"" and "x-auth-sub" not in received.names()
    assert asked == []
