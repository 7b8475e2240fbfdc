"""https: the listener, the redirect to it, https upstreams; and escaped slashes where one
application keeps them.
"""

import socket
import ssl
import time

import h2.config
import h2.connection
import h2.events
import pytest
from harness.envoy_parts import Asked, Client
from harness.envoy_world import Gateway, World, application
from harness.ports import free_port


def test_the_fast_path_works_with_host_cookies_and_http_names_are_none(
    tls: Gateway, world: World, asked: list[Asked]
) -> None:
    cookie = tls.cookie("main")
    assert cookie.startswith("__Host-extproc-session-main=")
    reply = tls.client.get("/", cookie=f"{cookie}; a=1")
    assert (reply.status, asked) == (200, [])
    assert world.upstream.received[0].values("cookie") == ["a=1"]
    assert world.upstream.received[0].values("x-forwarded-proto") == ["https"]
    assert tls.client.get("/", cookie=cookie.replace("__Host-", "")).status == 303


def test_hsts_is_on_every_answer(tls: Gateway, asked: list[Asked]) -> None:
    for reply in (
        tls.client.get("/"),
        tls.client.get("/", cookie=tls.cookie("main")),
        tls.client.get("/oauth2/x?stub=continue"),
    ):
        assert reply.values("strict-transport-security") == ["max-age=3600"]


def test_old_tls_is_refused(tls: Gateway, world: World) -> None:
    context = world.authority.context()
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Client(tls.client.port, tls=context).get("/")


def h2_get(tls: Gateway, world: World, cookies: list[str]) -> str:
    """The status of GET / over HTTP/2 with each cookie as a crumb of its own; `reset` where Envoy
    resets the stream.
    """
    context = world.authority.context()
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", tls.client.port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname="app.test") as stream,
    ):
        assert stream.selected_alpn_protocol() == "h2"
        connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        connection.initiate_connection()
        head = [
            (":method", "GET"),
            (":path", "/"),
            (":authority", "app.test"),
            (":scheme", "https"),
        ]
        connection.send_headers(
            1, [*head, *(("cookie", cookie) for cookie in cookies)], end_stream=True
        )
        stream.sendall(connection.data_to_send())
        while True:
            for event in connection.receive_data(stream.recv(65536)):
                if isinstance(event, h2.events.ResponseReceived):
                    return str(dict(event.headers)[":status"])
                if isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
                    return "reset"


def test_http_2_is_spoken_and_its_cookie_crumbs_are_one_header(
    tls: Gateway, world: World, asked: list[Asked]
) -> None:
    assert h2_get(tls, world, ["a=1", *tls.cookie("main").split("; "), "b=2"]) == "200"
    assert asked == []
    assert world.upstream.received[0].values("cookie") == ["a=1; b=2"]


@pytest.mark.attack("COOK-26")
def test_as_many_small_cookies_as_a_browser_keeps_lock_nobody_out(
    tls: Gateway, world: World, asked: list[Asked]
) -> None:
    """Newer Envoys count each crumb as a header."""
    small = [f"c{number}=1" for number in range(250)]
    assert h2_get(tls, world, [*small, *tls.cookie("main").split("; ")]) == "200"
    assert asked == []


@pytest.mark.attack("REL-33")
def test_crumbs_have_the_bound_of_all_headers_together(
    tls: Gateway, world: World, asked: list[Asked]
) -> None:
    """The oldest Envoy does not count them, and HPACK has each of them in a byte."""
    crumb = "a=" + "b" * 998
    assert h2_get(tls, world, [crumb] * 50) == "303"
    asked.clear()
    for many in ([crumb] * 70, [crumb] * 350, ["extproc-session-main=x"] * 5000):
        assert h2_get(tls, world, many) in ("431", "reset")
    assert asked == [] and world.upstream.received == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"])
def test_the_plain_listener_takes_no_form(
    tls: Gateway, world: World, asked: list[Asked], method: str
) -> None:
    """Finding 59: a browser makes a GET of a 301, and the form was sent in clear text."""
    where = tls.settings.gateway.redirect_listen
    assert where is not None
    for host in ("app.test", "nope.test"):
        reply = Client(where.port).get("/a", "content-length: 0", method=method, host=host)
        assert reply.status == 403 and reply.get("location") is None
        assert reply.values("strict-transport-security") == []
    assert asked == [] and world.upstream.received == []


def test_the_redirect_to_https_is_kept_for_an_hour(tls: Gateway) -> None:
    where = tls.settings.gateway.redirect_listen
    assert where is not None
    for host in ("app.test", "nope.test"):
        for method in ("GET", "HEAD"):
            reply = Client(where.port).get("/a", method=method, host=host)
            assert (reply.status, reply.get("cache-control")) == (301, "max-age=3600")


def test_the_redirect_of_an_ipv6_address_is_an_address(world: World) -> None:
    redirect = free_port()
    gateway = {"redirect_listen": f"127.0.0.1:{redirect}", "url": "https://[::1]:8443"}
    applications: dict[str, object] = {"main": application(world.upstream.url, "[::1]")}
    made = f"v6-{time.monotonic_ns()}"
    with world.gateway(made, applications, tls=True, gateway=gateway):
        for host in ("[::1]", f"[::1]:{redirect}", "nope.test", "127.0.0.1"):
            reply = Client(redirect).get("/a?b", host=host)
            assert reply.get("location") == "https://[::1]:8443/a?b", host


def test_the_plain_listener_sends_everybody_to_https(
    tls: Gateway, world: World, asked: list[Asked]
) -> None:
    where = tls.settings.gateway.redirect_listen
    assert where is not None
    client = Client(where.port)
    reply = client.get("/a/b?c=d", "x-auth-sub: EVIL", host=f"app.test:{where.port}")
    assert (reply.status, reply.get("location")) == (301, f"{tls.settings.gateway.url}/a/b?c=d")
    assert (
        client.get("/", host="other.test").get("location")
        == f"https://other.test:{tls.client.port}/"
    )
    assert asked == []
    assert world.upstream.received == []


def test_an_https_upstream_is_verified(tls: Gateway, world: World, asked: list[Asked]) -> None:
    assert tls.client.get("/git/", cookie=tls.cookie("git")).status == 200
    for name in ("wrong", "foreign"):  # another name than the certificate's; another authority
        reply = tls.client.get(f"/{name}/", cookie=tls.cookie(name))
        assert reply.status == 503, name
        assert b"TLS" not in reply.body
        assert b"127.0.0.1" not in reply.body


def test_an_application_on_every_host_gives_way_to_a_hosts_own(
    tls: Gateway, world: World, asked: list[Asked]
) -> None:
    assert tls.client.get("/every/").status == 303
    assert tls.client.get("/every/", host="app.test:1").status == 303
    assert Client(tls.client.port, "other.test", tls.client.tls).get("/every/").status == 200
    assert Client(tls.client.port, "127.0.0.1", tls.client.tls).get("/every/").status == 303
    assert Client(tls.client.port, "127.0.0.1", tls.client.tls).get("/").status == 404
    assert {stream.application for stream in asked} == {"every"}


@pytest.mark.parametrize("slash", ["%2F", "%2f", "%5C", "%5c"])
def test_escaped_slashes_are_kept_for_the_one_and_refused_for_the_others(
    tls: Gateway, world: World, asked: list[Asked], slash: str
) -> None:
    assert tls.client.get(f"/a{slash}b", cookie=tls.cookie("main")).status == 400
    assert tls.client.get(f"/public/..{slash}b").status == 400
    assert tls.client.get(f"/git{slash}b", cookie=tls.cookie("git")).status == 400, (
        "the path of main"
    )
    reply = tls.client.get(f"/git/a{slash}b?q={slash}", cookie=tls.cookie("git"))
    assert reply.status == 200
    assert f"GET /git/a{slash}b?q={slash} ".encode() in reply.body
    assert asked == []
    assert world.upstream.received == []


@pytest.mark.attack("PATH-01")
def test_a_kept_escaped_slash_is_never_public(
    tls: Gateway, world: World, asked: list[Asked]
) -> None:
    assert tls.client.get("/git/pub/x").status == 200
    for path in ("/git/pub/a%2Fadmin", "/git/pub/a%5cadmin", "/git/pub%2fx"):
        assert tls.client.get(path).status == 303, path
    for path in ("/git/pub/..%2Fadmin", "/git/pub/..%5cadmin", "/git/pub/%2e%2e%2fadmin"):
        assert tls.client.get(path).status == 400, path
    assert [stream.public for stream in asked] == [True, False, False, False]
