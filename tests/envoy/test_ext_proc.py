"""Envoy and the processor: what each side may do, and that every failure is closed."""

import json
import time
from pathlib import Path

import pytest
import yaml
from harness.envoy import EnvoyProcess
from harness.envoy_parts import Asked, Stub
from harness.envoy_world import Gateway, World, application
from harness.ports import free_port
from harness.processes import wait_until

from extproc.contract import COOKIES, FORWARDED
from extproc.envoyconfig import to_yaml


@pytest.mark.threat("undecided")
def test_a_stream_that_ends_in_silence_meets_the_gate(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    """Envoy itself would forward the request: see the next test."""
    for path in (
        "/x?stub=silent",
        "/public/x?stub=silent",
        "/wiki/?stub=silent",
        "/x?stub=undecided",
    ):
        assert plain.client.get(path, "X-Auth-Sub: EVIL").status == 403, path
    assert len(asked) == 4
    assert world.upstream.received == []


@pytest.mark.threat("undecided")
def test_without_the_gate_silence_would_reach_the_application(
    plain: Gateway, world: World, asked: list[Asked], tmp_path: Path
) -> None:
    config = yaml.safe_load(to_yaml(plain.settings))
    (listener,) = config["static_resources"]["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    manager["http_filters"] = [each for each in manager["http_filters"] if each["name"] != "gate"]
    for host in manager["route_config"]["virtual_hosts"]:
        for route in host["routes"]:
            route["typed_per_filter_config"].pop("gate", None)
    port = free_port()
    listener["address"]["socket_address"]["port_value"] = port
    with EnvoyProcess(yaml.safe_dump(config), envoy=world.envoy, port=port, directory=tmp_path):
        assert type(plain.client)(port).get("/x?stub=silent").status == 200


@pytest.mark.attack("EXTP-15")
@pytest.mark.threat("undecided")
def test_an_answer_that_cannot_be_carried_out_whole_is_an_error(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    for kind in ("crlf", "path", "spurious"):
        assert plain.client.get(f"/x?stub={kind}").status == 503, kind
    assert world.upstream.received == []


@pytest.mark.attack("PATH-15")
def test_nothing_that_the_processor_says_leads_to_another_route(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    assert plain.client.get("/wiki/x?stub=reroute").status == 503
    assert world.upstream.received == []
    for path in ("/wiki/x?stub=clear", "/wiki/pub/x?stub=clear"):
        line = "x-envoy-original-path: /assets/x"
        assert plain.client.get(path, line, "x-forwarded-host: idp.test").status == 200
    assert [received.target for received in world.upstream.received] == [
        "/wiki/x?stub=clear",
        "/wiki/pub/x?stub=clear",
    ]
    # the word of the route that was chosen, each time
    assert [(stream.application, stream.public) for stream in asked] == [("wiki", False)] * 2 + [
        ("wiki", True)
    ]


@pytest.mark.threat("own-words")
def test_errors_of_ours_keep_their_page_and_errors_of_envoy_say_only_a_request_id(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    page = plain.client.get("/x?stub=page")
    assert (page.status, page.body, page.get("content-type")) == (
        503,
        b"<p>our page</p>",
        "text/html",
    )
    error = plain.client.get("/x?stub=spurious")
    assert json.loads(error.body)["request_id"] == error.get("x-request-id")
    # The stub says nothing of caches, unlike the processor, so its answers get the words of the route.
    for reply in (page, plain.client.get("/x")):
        assert reply.get("cache-control") == "private, no-cache"
    for reply in (
        error,
        plain.client.get("/wiki"),
        plain.client.get("/", host="nope"),
    ):
        assert reply.get("cache-control") == "no-store"


@pytest.mark.attack("EXTP-01", "EXTP-02")
@pytest.mark.threat("undecided")
def test_no_processor_is_a_503_and_it_works_again_at_once(world: World, asked: list[Asked]) -> None:
    port = free_port()
    applications: dict[str, object] = {"main": application(world.upstream.url)}
    with world.gateway(f"dead-{port}", applications, listen=f"127.0.0.1:{port}") as gateway:
        down = gateway.client.get("/")
        assert down.status == 503
        assert int(down.get("retry-after") or 0) > 0
        assert gateway.client.get("/", cookie=gateway.cookie("main")).status == 200, (
            "signed-in users go on"
        )
        with Stub(f"127.0.0.1:{port}"):
            assert gateway.client.get("/?stub=continue").status == 200
        assert gateway.client.get("/").status == 503
    assert len(world.upstream.received) == 2


def test_the_processor_is_reached_at_every_address_and_by_socket(
    world: World, asked: list[Asked], tmp_path: Path
) -> None:
    dead = free_port()
    applications: dict[str, object] = {"main": application(world.upstream.url)}
    where = f"unix:{tmp_path}/extproc.sock"
    with Stub(where) as other:
        gateway = {"processors": [f"127.0.0.1:{dead}", where]}
        with world.gateway(f"socket-{dead}", applications, gateway=gateway) as made:
            for _ in range(60):  # the dead one is passed over: nothing reached it
                assert made.client.get("/?stub=continue").status == 200
            assert len(other.asked) == 60
    assert asked == []


@pytest.mark.attack("EXTP-03")
@pytest.mark.threat("undecided")
def test_a_processor_that_says_nothing_is_a_504(world: World, asked: list[Asked]) -> None:
    applications: dict[str, object] = {"main": application(world.upstream.url)}
    timeouts = {"message": 1}
    with world.gateway(f"slow-{time.monotonic_ns()}", applications, timeouts=timeouts) as gateway:
        assert gateway.client.get("/?stub=hang").status == 504
        wait_until(
            lambda: "ext_proc_error_per-message_timeout_exceeded" in gateway.access_log(),
            what="the access log",
        )
    assert world.upstream.received == []


def test_a_request_is_held_once_for_as_long_as_the_processor_needs(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    """Envoy tells the processor a timeout of 500 ms (x-envoy-expected-rq-timeout-ms), which it does
    not mean.
    """
    assert plain.client.get("/x?stub=hold").status == 200
    assert len(asked) == 1


def test_the_processor_gets_what_it_reads_and_nothing_else(
    plain: Gateway, asked: list[Asked]
) -> None:
    sent = (
        "authorization: Bearer canary",
        "x-api-key: canary",
        "accept: text/html",
        "sec-fetch-mode: navigate",
    )
    plain.client.get(
        "/x?a=b",
        *sent,
        cookie="a=canary; extproc-session-main=s;b=canary;extproc-login-main-0000000f=l",
    )
    (stream,) = asked
    assert set(stream.headers) <= set(FORWARDED)
    assert stream.headers[":path"] == b"/x?a=b"
    assert stream.headers["accept"] == b"text/html"
    assert stream.headers[COOKIES] == b"extproc-session-main=s; extproc-login-main-0000000f=l"
    assert b"canary" not in b"".join(stream.headers.values())


def test_the_processor_gets_envoys_trace_and_nothing_about_the_client(
    plain: Gateway, asked: list[Asked]
) -> None:
    plain.client.get("/x", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    (stream,) = asked
    trace = stream.metadata["traceparent"].split("-")
    assert trace[1] == "0af7651916cd43dd8448eb211c80319c"
    assert trace[2] != "b7ad6b7169203331", "the parent is Envoy's own span"
    assert not [
        key for key in stream.metadata if key.startswith(("x-envoy-internal", "x-forwarded"))
    ]


@pytest.mark.threat("policy-of-the-route")
def test_a_client_cannot_say_what_a_route_says(plain: Gateway, asked: list[Asked]) -> None:
    plain.client.get("/x", "x-extproc-public: 1", "x-extproc-application: wiki")
    (stream,) = asked
    assert (stream.application, stream.public) == ("main", False)


def test_excluded_applications_never_reach_the_processor(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    for path, host in (
        ("/assets/x", None),
        ("/assets/oauth2/callback", None),
        ("/x", "idp.test"),
        ("/oauth2/x", "idp.test"),
    ):
        assert (
            plain.client.get(path, host=host, cookie=f"{plain.cookie('main')}; a=1").status == 200
        )
    assert asked == []
    assert {tuple(received.values("cookie")) for received in world.upstream.received} == {("a=1",)}
    assert not any(received.values("x-auth-sub") for received in world.upstream.received)


@pytest.mark.threat("policy-of-the-route")
def test_our_own_endpoints_never_reach_an_application(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    both = f"{plain.cookie('main')}; {plain.cookie('wiki')}"
    paths = (
        "/oauth2/callback?code=x",
        "/oauth2/",
        "/oauth2/deep/x",
        "/wiki/oauth2/logout",
        "/wiki/oauth2/x/../callback",
    )
    for path in paths:
        joined = path + ("&" if "?" in path else "?") + "stub=continue"
        assert plain.client.get(joined, cookie=both).status == 404, path
    assert [each.application for each in asked] == ["main", "main", "main", "wiki", "wiki"]
    assert world.upstream.received == []


def test_without_a_lifetime_envoy_always_asks(world: World, asked: list[Asked]) -> None:
    applications: dict[str, object] = {
        "main": application(world.upstream.url, public_paths=["/public/"])
    }
    identity = {"assertion_lifetime": 0}
    with world.gateway(f"asks-{time.monotonic_ns()}", applications, identity=identity) as gateway:
        (listener,) = yaml.safe_load(to_yaml(gateway.settings))["static_resources"]["listeners"]
        filters = listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
        (decide,) = (each["typed_config"] for each in filters if each["name"] == "decide")
        assert decide["@type"].endswith(".ExternalProcessor"), "in no matcher"
        assert gateway.client.get("/?stub=continue", cookie=gateway.cookie("main")).status == 200
        assert (
            gateway.client.get("/", "x-auth-sub: EVIL", cookie=gateway.cookie("main")).status == 303
        )
        assert gateway.client.get("/?stub=silent", "x-auth-sub: EVIL").status == 403
        assert gateway.client.get("/public/", "x-auth-sub: EVIL").status == 200
    assert len(asked) == 4
    assert world.upstream.received[-1].values("x-auth-sub") == []


@pytest.mark.threat("secrets")
def test_the_access_log_has_the_reason_and_the_trace_and_no_query(
    plain: Gateway, asked: list[Asked]
) -> None:
    trace = "1af7651916cd43dd8448eb211c80319c"
    plain.client.get(
        "/log-this?code=canary-code&stub=continue", f"traceparent: 00-{trace}-b7ad6b7169203331-01"
    )
    wait_until(lambda: "/log-this" in plain.access_log(), 60, "the access log")
    line = json.loads(next(each for each in plain.access_log().splitlines() if "/log-this" in each))
    assert line["path"] == "/log-this"
    assert line["reason"] == "stub_continue"
    assert line["trace_id"] == trace
    assert (line["route"], line["cluster"], line["status"]) == ("main", "application-main", 200)
    assert "canary" not in plain.access_log()


def test_envoy_says_nothing_about_deprecated_fields(plain: Gateway) -> None:
    assert "eprecated" not in plain.envoy.log.read_text()
