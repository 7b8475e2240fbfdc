"""The route that Envoy chooses, by the generated configuration."""

from typing import Any

import pytest
from harness.envoy_config import APP, OPEN, simple

from extproc.core.http import Request
from extproc.envoyconfig.snapshot import HttpListener, generated
from extproc.explain.route import ChosenRoute, choose, normalised, refused, remedy

MADE = simple(
    applications={
        "app": {**APP, "public_paths": ["/public/"], "end_streams": ["websocket"]},
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
        ("app", ""),
        (":none", ""),
    ],
)
def test_a_refusal_of_envoy_s_names_the_setting_that_lifts_it(route: str, text: str) -> None:
    assert text in remedy(route) and bool(remedy(route)) == bool(text)
