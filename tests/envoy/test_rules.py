"""Rules hold inside Envoy: the route names the rule, and an assertion admits to a rule only if it
has the rule's audience.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from harness.envoy_parts import Asked
from harness.envoy_world import Gateway, World

from extproc.contract import ACCESS, RULE, SHADOW
from extproc.settings.domain_access import access

RULES: list[dict[str, object]] = [
    {"name": "admin", "paths": ["/admin/"], "allow": {"groups": ["admins"]}},
    {"name": "read", "paths": ["/api/"], "methods": ["GET"], "allow": {"groups": ["readers"]}},
    {"name": "write", "paths": ["/api/"], "methods": ["POST"], "allow": {"groups": ["writers"]}},
    {"name": "hooks", "paths": ["/hooks/"], "login": "none", "networks": ["127.0.0.2/32"]},
    {
        "name": "inside",
        "paths": ["/inside"],
        "networks": ["127.0.0.2/32"],
        "allow": {"groups": ["insiders"]},
    },
    {"name": "docs", "paths": ["/docs/"], "login": "optional", "allow": {"groups": ["docs"]}},
    {"name": "same", "paths": ["/same/"], "allow": {"groups": ["admins"]}},
    {"name": "metrics", "paths": ["/metrics"], "deny": True},
    {
        "name": "tried",
        "paths": ["/admin/old/", "/new/"],
        "mode": "shadow",
        "allow": {"groups": ["old"]},
    },
]


@pytest.fixture(scope="module")
def ruled(world: World) -> Iterator[Gateway]:
    app = {
        "hosts": ["app.test"],
        "upstream": world.upstream.url,
        "provider": "main",
        "allow": {"groups": ["staff"]},
        "rules": RULES,
        "end_streams": ["websocket"],
    }
    with world.gateway("ruled", {"main": app}) as gateway:
        yield gateway


@pytest.fixture
def admitted(ruled: Gateway) -> "Admitted":
    return Admitted(ruled)


class Admitted:
    """Cookies of users whom the processor admits to rules."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._access = access(gateway.settings, "main")

    def to(self, *rules: str) -> str:
        """Admitted to these rules, each as RULE or RULE+SHADOW; "" is none."""
        parts = (rule.partition("+") for rule in rules)
        audiences = [self._access.audience(rule, shadow) for rule, _, shadow in parts]
        return self._gateway.cookie("main", audiences=audiences, x_auth_sub="alice")


@pytest.mark.threat("rules")
@pytest.mark.attack("PATH-03")
@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/", ""),
        ("/admin/", "admin"),
        ("/admin", "admin"),
        ("/admin?x=/", "admin"),
        ("/admin/x", "admin"),
        ("/administrator", ""),
        ("/api/x", "read"),
        ("/new/", "+tried"),
        ("/admin/old/x", "admin+tried"),
        ("/docs/", "docs"),
    ],
)
def test_an_assertion_admits_to_the_rule_whose_audience_it_has_and_to_no_other(
    ruled: Gateway, world: World, asked: list[Asked], admitted: Admitted, path: str, rule: str
) -> None:
    every = ("", "admin", "read", "write", "docs", "inside", "+tried", "admin+tried")
    assert ruled.client.get(path, cookie=admitted.to(rule)).status == 200
    assert asked == [] and world.upstream.received[0].values("x-auth-sub") == ["alice"]
    others = admitted.to(*(each for each in every if each != rule))
    reply = ruled.client.get(path, cookie=others)
    assert reply.status == (200 if rule == "docs" else 303)
    (stream,) = asked
    names = stream.metadata.get(RULE, ""), stream.metadata.get(SHADOW, "")
    assert "+".join(filter(None, names)) == rule.lstrip("+")
    assert stream.metadata[ACCESS] == access(ruled.settings, "main").digest
    received = world.upstream.received[1:]
    assert [each.values("x-auth-sub") for each in received] == ([[]] if rule == "docs" else [])


@pytest.mark.threat("rules")
def test_the_bare_name_of_the_application_admits_to_nothing(
    ruled: Gateway, world: World, asked: list[Asked]
) -> None:
    cookie = ruled.cookie("main", audiences=["main"], x_auth_sub="alice")
    assert [ruled.client.get(path, cookie=cookie).status for path in ("/", "/admin/")] == [303, 303]
    assert world.upstream.received == [] and len(asked) == 2


def test_rules_that_ask_the_same_of_a_user_share_an_audience(
    ruled: Gateway, world: World, asked: list[Asked], admitted: Admitted
) -> None:
    assert ruled.client.get("/same/x", cookie=admitted.to("admin")).status == 200
    assert asked == [] and len(world.upstream.received) == 1


@pytest.mark.threat("rules")
@pytest.mark.attack("PATH-15")
def test_a_token_that_envoy_has_seen_on_one_route_admits_to_no_other(
    ruled: Gateway, world: World, asked: list[Asked], admitted: Admitted
) -> None:
    """jwt_authn keeps verified tokens, and compares the audiences of each route all the same."""
    cookie = admitted.to("", "read")
    statuses = [ruled.client.get(path, cookie=cookie).status for path in ("/", "/admin/", "/api/")]
    assert statuses == [200, 303, 200] and len(asked) == 1


@pytest.mark.threat("rules")
@pytest.mark.attack("PATH-10", "PATH-11")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/x", 200),
        ("HEAD", "/api/x", 200),
        ("POST", "/api/x", 200),
        ("DELETE", "/api/x", 405),
        ("OPTIONS", "/api/x", 405),
        ("get", "/api/x", 405),
        ("Post", "/", 405),
        ("FROBNICATE", "/", 405),
        ("PROPFIND", "/", 200),
    ],
)
def test_a_path_of_a_rule_is_open_to_the_methods_of_its_rules_alone(
    ruled: Gateway,
    world: World,
    asked: list[Asked],
    admitted: Admitted,
    method: str,
    path: str,
    status: int,
) -> None:
    cookie = admitted.to("", "read", "write")
    length = "content-length: 0"
    override = "x-http-method-override: DELETE"
    reply = ruled.client.get(path, length, override, cookie=cookie, method=method)
    # Envoy itself refuses some of them, because they are no methods of HTTP/1.1.
    assert reply.status in ((200,) if status == 200 else (status, 400)) and asked == []
    assert len(world.upstream.received) == (status == 200)
    for received in world.upstream.received:
        assert received.line.startswith(f"{method} ") and received.values(override[:22]) == []
    if reply.status == 405 and path != "/":
        assert reply.get("allow") == "GET, HEAD, POST"


@pytest.mark.threat("rules")
@pytest.mark.attack("PATH-01", "PATH-02", "PATH-06")
@pytest.mark.parametrize(
    "path",
    [
        "/ADMIN/",
        "/Admin",
        "/admin;x/y",
        "/admin%2f",
        "/admin%2fx",
        "/%2561dmin/",
        "/;/admin/",
        "/admin%20/",
        "/admin./",
        "/./;/admin/x",
        "/%c0%afadmin",
        "/admin%3bx/",
    ],
)
def test_no_spelling_of_a_path_passes_its_rule(
    ruled: Gateway, world: World, asked: list[Asked], admitted: Admitted, path: str
) -> None:
    reply = ruled.client.get(path, cookie=admitted.to("", "read", "docs", "+tried"))
    assert reply.status == 400 and world.upstream.received == [] and asked == []


@pytest.mark.threat("rules")
@pytest.mark.attack("PATH-01", "PATH-02")
@pytest.mark.parametrize(
    "path",
    [
        "//admin/x",
        "/x/../admin/x",
        "/%61dmin/x",
        "/./admin/x",
        "/x/%2e%2e/admin/",
        "/\\admin",
        "/x/..;/admin/",
    ],
)
def test_a_spelling_that_envoy_itself_resolves_is_decided_by_its_rule(
    ruled: Gateway, world: World, asked: list[Asked], admitted: Admitted, path: str
) -> None:
    assert ruled.client.get(path, cookie=admitted.to("")).status in (303, 400)
    assert world.upstream.received == []
    assert [stream.metadata.get(RULE) for stream in asked] in (["admin"], [])


def test_a_rule_that_denies_is_closed_to_everybody(
    ruled: Gateway, world: World, asked: list[Asked], admitted: Admitted
) -> None:
    paths = ("/metrics", "/metrics/x", "/metrics?a=1")
    cookie = admitted.to("", "metrics", "admin")
    assert [ruled.client.get(path, cookie=cookie).status for path in paths] == [403] * 3
    assert world.upstream.received == [] and asked == []


@pytest.mark.attack("HDR-01")
def test_without_a_login_nobody_is_asked_and_nobody_has_an_identity(
    ruled: Gateway, world: World, asked: list[Asked], admitted: Admitted
) -> None:
    cookie = admitted.to("", "hooks", "docs")
    spoofed = "x-auth-sub: EVIL"
    inside = replace(ruled.client, source="127.0.0.2")
    reply = inside.get("/hooks/x", spoofed, cookie=cookie)
    assert reply.status == 200 and asked == []
    assert world.upstream.received[0].values("x-auth-sub") == []


@pytest.mark.threat("rules")
@pytest.mark.attack("PATH-12")
@pytest.mark.parametrize(("path", "rule"), [("/hooks/x", ""), ("/inside", "inside")])
def test_a_client_of_another_network_is_refused_whatever_it_brings(
    ruled: Gateway, world: World, asked: list[Asked], admitted: Admitted, path: str, rule: str
) -> None:
    cookie = admitted.to("", "inside")
    upgrade = ("connection: upgrade", "upgrade: websocket")
    far = [
        ruled.client.get(path, *more, cookie=cookie)
        for more in ((), ("x-forwarded-for: 127.0.0.2",), ("x-real-ip: 127.0.0.2",), upgrade)
    ]
    assert [reply.status for reply in far] == [403] * 4
    assert world.upstream.received == [] and asked == []
    inside = replace(ruled.client, source="127.0.0.2")
    assert inside.get(path, cookie=cookie).status == 200


@pytest.mark.threat("rules")
@pytest.mark.attack("PATH-17")
def test_a_websocket_is_decided_by_the_processor_with_the_rule_of_its_path(
    ruled: Gateway, asked: list[Asked], admitted: Admitted
) -> None:
    cookie = admitted.to("", "admin")
    upgrade = ("connection: upgrade", "upgrade: websocket")
    for path in ("/admin/x", "/x"):
        ruled.client.get(path, *upgrade, cookie=cookie)
    assert [stream.metadata.get(RULE, "") for stream in asked] == ["admin", ""]


@pytest.mark.attack("HDR-01")
def test_where_login_is_optional_an_anonymous_request_passes_without_an_identity(
    ruled: Gateway, world: World, asked: list[Asked], admitted: Admitted
) -> None:
    assert ruled.client.get("/docs/x", "x-auth-sub: EVIL").status == 200
    assert ruled.client.get("/docs/x", cookie=admitted.to("docs")).status == 200
    assert [each.values("x-auth-sub") for each in world.upstream.received] == [[], ["alice"]]
    assert [stream.public for stream in asked] == [True]
