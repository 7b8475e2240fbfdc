"""Requests with an access token: no assertion admits them, and the processor gets the header where a
rule accepts tokens.
"""

import json
from collections.abc import Iterator

import pytest
from harness.envoy_parts import Asked
from harness.envoy_world import Gateway, World

from extproc.contract import RULE
from extproc.settings.domain_access import access

RULES: list[dict[str, object]] = [
    {"name": "api", "paths": ["/api/"], "accept": ["bearer"], "allow": {"scopes": ["read"]}},
    {"name": "both", "paths": ["/both/"], "accept": ["bearer", "session"]},
    {
        "name": "open",
        "paths": ["/open/"],
        "login": "optional",
        "accept": ["session", "bearer"],
        "allow": {"groups": ["staff"]},
    },
    {"name": "web", "paths": ["/web/"]},
]
WELL_KNOWN = "/.well-known/oauth-protected-resource"


@pytest.fixture(scope="module")
def callers(world: World) -> Iterator[Gateway]:
    app = {"hosts": ["app.test"], "upstream": world.upstream.url, "provider": "main"}
    applications: dict[str, object] = {
        "main": {**app, "rules": RULES, "end_streams": ["websocket"]},
        "wiki": {**app, "path_prefix": "/wiki/", "rules": []},
    }
    with world.gateway("callers", applications) as gateway:
        yield gateway


@pytest.fixture
def everything(callers: Gateway) -> str:
    """The cookie of a user whom the processor admits to every rule."""
    audiences = [audience for _, _, audience in access(callers.settings, "main").audiences]
    return callers.cookie("main", audiences=audiences, x_auth_sub="alice")


@pytest.mark.threat("bearer")
@pytest.mark.attack("HDR-13")
@pytest.mark.parametrize(
    "line", ["Bearer x", "bearer", "Basic Zm9v", "", "x", "Bearer a, Bearer b"]
)
@pytest.mark.parametrize("path", ["/api/x", "/both/x", "/open/x", "/both", "//both/x"])
def test_with_authorization_no_assertion_admits_where_a_rule_accepts_tokens(
    callers: Gateway, world: World, asked: list[Asked], everything: str, path: str, line: str
) -> None:
    callers.client.get(path, f"authorization: {line}", cookie=everything)
    (stream,) = asked
    assert stream.headers["authorization"] == line.encode()
    assert all(each.values("x-auth-sub") == [] for each in world.upstream.received)


def test_two_lines_come_to_the_processor_as_two(
    callers: Gateway, asked: list[Asked], everything: str
) -> None:
    lines = ("authorization: Bearer a", "Authorization: Basic b")
    assert callers.client.get("/both/x", *lines, cookie=everything).status == 303
    assert len(asked) == 1 and asked[0].metadata[RULE] == "both"


@pytest.mark.threat("bearer")
def test_without_authorization_an_assertion_admits_where_sessions_count(
    callers: Gateway, world: World, asked: list[Asked], everything: str
) -> None:
    for path in ("/both/x", "/open/x", "/web/x", "/"):
        assert callers.client.get(path, cookie=everything).status == 200
    assert asked == [] and len(world.upstream.received) == 4
    assert callers.client.get("/api/x", cookie=everything).status == 303
    assert [stream.metadata[RULE] for stream in asked] == ["api"]


def test_elsewhere_authorization_is_the_application_s_own(
    callers: Gateway, world: World, asked: list[Asked], everything: str
) -> None:
    line = "authorization: Basic Zm9v"
    assert callers.client.get("/web/x", line, cookie=everything).status == 200
    assert asked == [] and world.upstream.received[0].values("authorization") == ["Basic Zm9v"]


def test_without_rules_for_tokens_the_processor_gets_no_authorization(
    plain: Gateway, asked: list[Asked]
) -> None:
    plain.client.get("/", "authorization: Bearer x")
    (stream,) = asked
    assert "authorization" not in stream.headers


@pytest.mark.parametrize("path", [WELL_KNOWN, f"{WELL_KNOWN}/", f"{WELL_KNOWN}/api/x?y=1"])
@pytest.mark.parametrize("host", ["app.test", "app.test:1"])
def test_the_metadata_is_built_of_the_settings_and_for_everybody(
    callers: Gateway, world: World, asked: list[Asked], path: str, host: str
) -> None:
    reply = callers.client.get(path, "cookie: x=y", "origin: https://evil.example", host=host)
    assert reply.status == 200 and reply.values("content-type") == ["application/json"]
    assert reply.values("access-control-allow-origin") == ["*"]
    document = json.loads(reply.body)
    assert document == {
        "resource": callers.settings.url("main"),
        "authorization_servers": ["https://idp.example"],
        "scopes_supported": ["read"],
        "bearer_methods_supported": ["header"],
    }
    assert asked == [] and world.upstream.received == []


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        (WELL_KNOWN, "HEAD", 200),
        (WELL_KNOWN, "OPTIONS", 204),
        (WELL_KNOWN, "POST", 405),
        (WELL_KNOWN, "DELETE", 405),
        (f"{WELL_KNOWN}/wiki", "GET", 404),
        (f"{WELL_KNOWN}/wiki/x", "GET", 404),
        (f"{WELL_KNOWN}/wikis", "GET", 200),
    ],
)
def test_the_metadata_can_be_read_alone_and_not_for_another_application(
    callers: Gateway, asked: list[Asked], path: str, method: str, status: int
) -> None:
    reply = callers.client.get(path, "content-length: 0", method=method)
    assert reply.status == status and asked == []
    if method == "OPTIONS":
        assert reply.values("access-control-allow-headers") == ["*"]
