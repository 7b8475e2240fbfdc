"""The route that Envoy chooses, by the generated configuration."""

from typing import Any

import pytest
from harness.envoy_config import APP, OPEN, simple
from harness.ruled import application, ruled

from extproc.core.http import Request
from extproc.envoyconfig.snapshot import HttpListener, generated
from extproc.explain.route import ChosenRoute, choose, normalised, refused, remedy

LIVE = ["websocket", "event_stream"]
MADE = simple(
    applications={
        "app": {**APP, "public_paths": ["/public/"], "end_streams": LIVE},
        "assets": {**OPEN, "path_prefix": "/assets/"},
    }
)


@pytest.fixture(scope="module")
def listener() -> HttpListener:
    return generated(MADE).listeners[0]


def chosen(
    listener: HttpListener, path: str, host: str = "localhost", method: str = "GET", **headers: str
) -> ChosenRoute:
    request = Request("", False, method, path, host, tuple(headers.items()))
    route = choose(listener, request)
    assert route is not None
    return route


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/x", {"name": "app", "application": "app", "public": False, "audiences": ("app",)}),
        ("/public/x", {"name": "app:public:/public/", "public": True}),
        ("/assets/x", {"name": "assets", "application": "", "cluster": "application-assets"}),
        ("/oauth2/login", {"name": "app:own", "application": "app", "audiences": ()}),
    ],
)
def test_the_first_route_that_matches_is_chosen(
    listener: HttpListener, path: str, expected: dict[str, Any]
) -> None:
    route = chosen(listener, path)
    assert {name: getattr(route, name) for name in expected} == expected


def test_headers_methods_and_hosts_choose_routes_too(listener: HttpListener) -> None:
    assert chosen(listener, "/x", upgrade="websocket").name == "app:live:websocket"
    for accept in ("text/event-stream", "x, TEXT/event-stream;q=1"):
        assert chosen(listener, "/x", accept=accept).name == "app:live:event_stream"
    assert chosen(listener, "/x", accept="text/html").name == "app"
    assert chosen(listener, "", method="CONNECT").name == ":connect"
    assert chosen(listener, "/x", host="nope").name == ":unlisted"
    assert chosen(listener, "/x", host="localhost:8080").name == "app"
    assert chosen(listener, "/x", host="localhost:80:80").answer is not None


def test_envoy_s_own_answers_have_their_status(listener: HttpListener) -> None:
    redirect, refusal = chosen(listener, "/assets").answer, chosen(listener, "/..;/x").answer
    assert chosen(listener, "/a%2Fb").name == ":escaped-slash"
    assert redirect is not None and (redirect.status, redirect.text) == (301, "to /assets/")
    assert refusal is not None and refusal.status == 400


@pytest.mark.parametrize(
    ("path", "headers", "text"),
    [
        ("/x", (), None),
        ("/a%00", (), "an encoded NUL"),
        ("/x", (("x_auth_sub", "v"),), "x_auth_sub"),
    ],
)
def test_what_envoy_refuses_before_it_chooses_a_route(
    listener: HttpListener, path: str, headers: tuple[tuple[str, str], ...], text: str | None
) -> None:
    found = refused(listener, path, headers)
    assert found is None if text is None else found is not None and text in found


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/../b", "/b"),
        ("/a/./b/", "/a/b/"),
        ("/a/..", "/"),
        ("//a///b", "/a/b"),
        ("/%41%2e%2E/%3B", "/A../%3B"),
        ("/../../x", "/x"),
    ],
)
def test_paths_are_normalised_as_envoy_does(path: str, expected: str) -> None:
    assert normalised(path) == expected


@pytest.mark.parametrize(
    ("route", "text"),
    [
        (":dot-segments", "applications.NAME.dot_segments: keep"),
        ("wiki:escaped-slash", "applications.wiki.escaped_slashes: keep"),
        ("app:reads-as:wiki", "applications.app.upstream_paths: exact"),
        ("app:spelled", "applications.app.upstream_paths: exact"),
        ("app:method", "no rule of this path in applications.app.rules takes the method"),
        ("app:rule:metrics:denied", "applications.app.rules.metrics has deny: true"),
        ("app", ""),
        (":none", ""),
    ],
)
def test_a_refusal_of_envoy_s_names_the_setting_that_lifts_it(route: str, text: str) -> None:
    assert text in remedy(route) and bool(remedy(route)) == bool(text)


@pytest.fixture(scope="module")
def of_rules() -> HttpListener:
    return generated(ruled()).listeners[0]


@pytest.mark.parametrize(
    ("path", "method", "name", "rule", "shadow"),
    [
        ("/", "GET", "app", "", ""),
        ("/admin", "GET", "app:rule:admin", "admin", ""),
        ("/admin/x?y=/", "GET", "app:rule:admin", "admin", ""),
        ("/administrator", "GET", "app", "", ""),
        ("/Admin/", "GET", "app:spelled", "", ""),
        ("/admin;x/?a=1", "GET", "app:spelled", "", ""),
        ("/api/", "HEAD", "app:rule:read", "read", ""),
        ("/api/", "PUT", "app:method", "", ""),
        ("/", "get", "app:method", "", ""),
        ("/hooks/", "POST", "app:rule:hooks", "hooks", ""),
        ("/metrics", "GET", "app:rule:metrics:denied", "metrics", ""),
        ("/docs/old/x", "GET", "app:rule:docs", "docs", "tried"),
        ("/new/", "GET", "app", "", "tried"),
    ],
)
def test_the_rule_of_a_route_is_read_from_its_configuration(
    of_rules: HttpListener, path: str, method: str, name: str, rule: str, shadow: str
) -> None:
    route = chosen(of_rules, path, method=method)
    assert (route.name, route.rule, route.shadow, route.owner) == (name, rule, shadow, "app")


def test_a_route_has_the_audience_the_digest_and_the_networks_of_its_rule(
    of_rules: HttpListener,
) -> None:
    access = application(ruled()).access
    for path, rule, shadow in (("/", "", ""), ("/admin/", "admin", ""), ("/new/", "", "tried")):
        route = chosen(of_rules, path)
        assert route.audiences == (access.audience(rule, shadow),)
        assert route.access == access.digest and route.networks == ()
    live = chosen(of_rules, "/admin/", upgrade="websocket")
    assert (live.name, live.rule, live.audiences) == (
        "app:rule:admin:live:websocket",
        "admin",
        (),
    )
    hooks = chosen(of_rules, "/hooks/")
    assert hooks.networks == ("10.0.0.0/8", "::1/128") and hooks.application == ""


def test_a_network_of_everything_has_no_bits() -> None:
    rules = [{"name": "n", "paths": ["/n/"], "networks": ["0.0.0.0/0"]}]
    listener = generated(ruled(rules=rules, public_paths=[])).listeners[0]
    assert chosen(listener, "/n/").networks == ("0.0.0.0/0",)
