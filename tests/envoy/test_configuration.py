"""The configuration as text: static checks, what the real Envoy says to it, and the examples in
envoy/.
"""

import re
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from examples import EXAMPLES, NAMES, SECRET, example
from harness.envoy_parts import lint_lines, settings

from extproc.contract import LIVE
from extproc.core.http import CookieNames
from extproc.envoyconfig import bootstrap, find_envoy, to_yaml, validate
from extproc.envoyconfig.regexes import public
from extproc.settings import Settings

UP = {"upstream": "http://127.0.0.1:9600"}


def simple(**changes: Any) -> Settings:
    return settings(
        **{"applications": {"app": {"hosts": ["localhost"], "provider": "main", **UP}}, **changes}
    )


def messages(node: object) -> Iterator[dict[str, Any]]:
    """Every mapping of a configuration."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from messages(each)


def typed(made: Settings, name: str) -> list[dict[str, Any]]:
    return [
        each
        for each in messages(yaml.safe_load(to_yaml(made)))
        if str(each.get("@type", "")).endswith("." + name)
    ]


@pytest.mark.threat("undecided")
@pytest.mark.parametrize("lifetime", [0, 60])
def test_the_processor_is_skipped_by_a_matcher_or_not_at_all(lifetime: int) -> None:
    """ExtensionWithMatcher without a matcher is valid, and skips its filter for every request."""
    wrappers = typed(simple(identity={"assertion_lifetime": lifetime}), "ExtensionWithMatcher")
    asked = [
        wrapper["xds_matcher"]["on_no_match"]["action"]["typed_config"]["typed_config"]
        for wrapper in wrappers
    ]
    wrapped = [each["typed_config"]["@type"].rpartition(".")[2] for each in asked]
    assert wrapped == ["LocalRateLimit", *(["ExternalProcessor"] if lifetime else [])]
    for wrapper in wrappers:
        (only,) = wrapper["xds_matcher"]["matcher_list"]["matchers"]
        assert only["predicate"]
        assert wrapper["extension_config"]["typed_config"]["@type"].endswith(".Composite")


@pytest.mark.attack("EXTP-16")
@pytest.mark.threat("undecided")
def test_nothing_opens_the_processor() -> None:
    (processor,) = typed(simple(), "ExternalProcessor")
    wrong = {
        "failure_mode_allow",
        "allow_mode_override",
        "observability_mode",
        "disable_immediate_response",
    }
    assert not wrong & set(processor)
    assert processor["processing_mode"] == {
        "request_header_mode": "SEND",
        "response_header_mode": "SKIP",
    }
    assert processor["grpc_service"]["retry_policy"]["retry_on"] == "connect-failure,refused-stream"
    assert float(processor["max_message_timeout"][:-1]) > simple().timeouts.callback


def test_settings_reach_the_configuration() -> None:
    made = simple(timeouts={"message": 3}, tracing={"sample": 0.25}, gateway={"trusted_hops": 2})
    (processor,) = typed(made, "ExternalProcessor")
    (manager,) = typed(made, "HttpConnectionManager")
    assert processor["message_timeout"] == "3s"
    assert manager["xff_num_trusted_hops"] == 2
    assert manager["tracing"]["random_sampling"] == {"value": 25.0}


def test_envoy_sends_spans_by_the_hundreds_and_before_it_drops_any() -> None:
    (layer,) = yaml.safe_load(to_yaml(simple()))["layered_runtime"]["layers"]
    runtime = layer["static_layer"]
    # max_cache_size, as it comes
    assert 100 <= runtime["tracing.opentelemetry.min_flush_spans"] < 1024
    assert runtime["tracing.opentelemetry.flush_interval_ms"] <= 1000


def test_idle_connections_to_what_speaks_http_1_are_closed_by_envoy_before_the_other_side_does() -> (
    None
):
    found = {}
    for cluster in yaml.safe_load(to_yaml(simple()))["static_resources"]["clusters"]:
        (options,) = cluster["typed_extension_protocol_options"].values()
        if "http_protocol_options" in options["explicit_http_config"]:
            found[cluster["name"]] = options["common_http_protocol_options"]["idle_timeout"]
    assert found.keys() == {"application-app", "keys", "tracing"}, (
        "the processor's is HTTP/2, with pings"
    )
    assert set(found.values()) == {"1.500s"}  # hypercorn, at the admin listener, waits 5 s


@pytest.mark.parametrize(
    ("streams", "processors", "requests"),
    [(77, 1, 1154), (20_000, 1, 41_000), (20_000, 3, 123_000), (1_000_000, 2, 4_002_000)],
)
def test_envoy_s_limits_leave_room_for_the_processor_s_own_answer(
    streams: int, processors: int, requests: int
) -> None:
    places = [f"127.0.0.1:{9500 + n}" for n in range(processors)]
    made = simple(limits={"streams": streams}, gateway={"processors": places})
    cluster = next(
        c
        for c in yaml.safe_load(to_yaml(made))["static_resources"]["clusters"]
        if c["name"] == "processor"
    )
    (limit,) = cluster["circuit_breakers"]["thresholds"]
    assert (limit["max_requests"], limit["max_pending_requests"]) == (requests, requests)
    options = cluster["typed_extension_protocol_options"][
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    ]
    each = options["explicit_http_config"]["http2_protocol_options"]["max_concurrent_streams"]
    assert limit["max_connections"] * each >= requests


def test_live_streams_have_routes_of_their_own_where_they_end_with_their_session() -> None:
    def made(**more: Any) -> Settings:
        app = {"hosts": ["localhost"], "provider": "main", **UP}
        return simple(
            applications={"app": {**app, **more}, "other": {**app, "path_prefix": "/other/"}}
        )

    ended = made(end_streams=["websocket", "event_stream", "grpc"])
    routes = {
        r["name"]: r
        for r in messages(yaml.safe_load(to_yaml(ended)))
        if "match" in r and "route" in r
    }
    assert list(routes) == [
        "other",
        "app:live:websocket",
        "app:live:event_stream",
        "app:live:grpc",
        "app",
    ]
    for name, route in routes.items():
        config = route["typed_per_filter_config"]
        said = config["decide"]["overrides"]
        live = {"key": LIVE, "value": "1"} in said["grpc_initial_metadata"]
        assert live == (":live:" in name)
        assert ("assertion" in config) == (not live)  # so that the processor is asked
        assert said.get("processing_mode", {}).get("response_trailer_mode") == (
            "SEND" if live else None
        )
    plain, more = (processor_breaker(each)["max_requests"] for each in (made(), ended))
    assert more - plain == ended.limits.live


def processor_breaker(made: Settings) -> dict[str, Any]:
    cluster = next(
        c
        for c in yaml.safe_load(to_yaml(made))["static_resources"]["clusters"]
        if c["name"] == "processor"
    )
    (limit,) = cluster["circuit_breakers"]["thresholds"]
    return dict(limit)


def processor_cluster(**changes: Any) -> dict[str, Any]:
    every = yaml.safe_load(to_yaml(simple(**changes)))["static_resources"]["clusters"]
    return next(cluster for cluster in every if cluster["name"] == "processor")


def addresses(cluster: dict[str, Any]) -> list[str]:
    found = [
        each["endpoint"]["address"]
        for each in cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    ]
    return [
        a["pipe"]["path"]
        if "pipe" in a
        else f"{a['socket_address']['address']}:{a['socket_address']['port_value']}"
        for a in found
    ]


@pytest.mark.parametrize(
    ("changes", "listed"),
    [
        ({}, ["127.0.0.1:9500"]),
        ({"workers": 1, "listen": "unix:/run/x.sock"}, ["/run/x.sock"]),
        ({"workers": 3}, ["127.0.0.1:9500", "127.0.0.1:9501", "127.0.0.1:9502"]),
        (
            {"workers": 2, "listen": "0.0.0.0:9500", "allow_plaintext": ["listen"]},
            ["127.0.0.1:9500", "127.0.0.1:9501"],
        ),
        ({"workers": 2, "listen": "[::1]:9500"}, ["::1:9500", "::1:9501"]),
        ({"workers": 2, "listen": "unix:/run/x.sock"}, ["/run/x.1.sock", "/run/x.2.sock"]),
        ({"workers": 2, "listen": "unix:/run.d/x"}, ["/run.d/x.1", "/run.d/x.2"]),
        (
            {
                "workers": 2,
                "gateway": {"processors": ["10.0.0.1:9500", "10.0.0.1:9501", "10.0.0.2:9500"]},
            },
            ["10.0.0.1:9500", "10.0.0.1:9501", "10.0.0.2:9500"],
        ),
    ],
)
def test_envoy_knows_every_worker_and_checks_the_health_of_several(
    changes: Any, listed: list[str]
) -> None:
    """With one there is nobody else to call, and it is called again as soon as it is back."""
    cluster = processor_cluster(**changes)
    assert addresses(cluster) == listed
    assert ("health_checks" in cluster) == (len(listed) > 1)
    # Envoy merges what its checks find within 1 s by default: a worker's NOT_SERVING would come too
    # late
    assert (cluster["common_lb_config"].get("update_merge_window") == "0s") == (len(listed) > 1)


def test_an_application_that_wants_the_access_token_always_asks_the_processor() -> None:
    app = {"hosts": ["localhost"], "provider": "main", "upstream": "http://127.0.0.1:1"}
    api = {**app, "path_prefix": "/api/", "forward_access_token": True}
    (verified,) = typed(settings(applications={"app": app, "api": api}), "JwtAuthentication")
    assert (list(verified["providers"]), list(verified["requirement_map"])) == (["app"], ["app"])
    routes = typed(settings(applications={"app": app, "api": api}), "jwt_authn.v3.PerRouteConfig")
    assert {route["requirement_name"] for route in routes} == {"app"}
    assert typed(settings(applications={"api": api}), "JwtAuthentication") == []


def test_the_text_is_the_same_each_time_and_holds_no_secret() -> None:
    made = simple()
    assert to_yaml(made) == to_yaml(made)
    assert to_yaml(made).startswith("# Generated by `extproc envoy`")
    assert "canary" not in to_yaml(made)
    assert "not-a-secret" not in to_yaml(made)
    assert bootstrap(made).static_resources is not None


def test_envoy_finds_the_text_good_and_says_what_is_wrong_with_another(envoy: Path) -> None:
    assert validate(to_yaml(simple(gateway={"admin": "127.0.0.1:9901"})), envoy) == []
    (line,) = validate(
        to_yaml(simple()).replace("connect_timeout: 5s", "connect_timeout: soon"), envoy
    )
    assert "soon" in line
    (line,) = validate(to_yaml(simple()).replace("google_re2: {}", ""), envoy)
    assert "engine_type" in line
    assert len(line) < 2000


def test_validate_says_when_there_is_no_such_program(tmp_path: Path) -> None:
    assert validate("", tmp_path / "envoy") == [f"{tmp_path}/envoy: No such file or directory"]
    assert find_envoy() is not None


def test_names_are_resolved_and_addresses_are_not() -> None:
    kinds = {}
    for upstream in (
        "http://127.0.0.1:1",
        "http://[::1]:1",
        "http://localhost:1",
        "http://app:1",
        "https://app.example",
    ):
        made = settings(
            applications={"app": {"hosts": ["localhost"], "provider": "main", "upstream": upstream}}
        )
        cluster = yaml.safe_load(to_yaml(made))["static_resources"]["clusters"][0]
        (endpoint,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        address = endpoint["endpoint"]["address"]["socket_address"]
        kinds[upstream] = (cluster["type"], address["address"], address["port_value"])
    assert kinds == {
        "http://127.0.0.1:1": ("STATIC", "127.0.0.1", 1),
        "http://[::1]:1": ("STATIC", "::1", 1),
        "http://localhost:1": ("STATIC", "127.0.0.1", 1),
        "http://app:1": ("STRICT_DNS", "app", 1),
        "https://app.example": ("STRICT_DNS", "app.example", 443),
    }


def test_envoy_gets_the_keys_from_every_admin_ahead_of_their_end() -> None:
    keys = ["10.0.0.1:9490", "10.0.0.2:9490"]
    text = to_yaml(
        simple(
            gateway={"keys": keys}, identity={"keys_refresh": 20}, allow_plaintext=["gateway.keys"]
        )
    )
    (cluster,) = [
        each
        for each in yaml.safe_load(text)["static_resources"]["clusters"]
        if each["name"] == "keys"
    ]
    places = [
        each["endpoint"]["address"]["socket_address"]
        for each in cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    ]
    assert [f"{place['address']}:{place['port_value']}" for place in places] == keys
    assert (
        "uri: http://10.0.0.1:9490/.well-known/jwks.json" in text and "cache_duration: 25s" in text
    )
    assert "local_jwks" not in text


def test_without_assertions_envoy_asks_for_no_keys() -> None:
    text = to_yaml(simple(identity={"assertion_lifetime": 0}))
    assert "jwks" not in text


def test_our_cookies_are_those_of_the_core() -> None:
    """Every kind of name that the core makes has its row in the Lua, and the Lua has no other."""
    names = CookieNames("app", True)
    made = (
        names.session,
        names.assertion,
        names.login("0" * 8),
        names.data("0" * 16),
        names.used("0" * 16),
    )
    kinds = {name.removeprefix(names.prefix).partition("-")[0] for name in made}
    code = typed(simple(), "Lua")[0]["default_source_code"]["inline_string"]
    assert set(re.findall(r"^  (\w+) = \{\"\^", code, re.MULTILINE)) == kinds and len(kinds) == len(
        made
    )


def test_patterns_match_what_they_say() -> None:
    assert re.fullmatch(public("/a/"), "/a/b%20c/%E2%82%AC")
    assert not re.fullmatch(public("/a/"), "/a")
    assert re.fullmatch(public("/a"), "/a")
    assert not re.fullmatch(public("/a"), "/ab")
    assert not re.fullmatch(public("/a.b"), "/axb")


TWO = {name: {"issuer": f"https://{name}.example", "client_id": "x"} for name in ("main", "other")}
WARNED = [
    ({}, []),
    (
        {"listen": "0.0.0.0:9500", "allow_plaintext": ["listen"]},
        ["listen: 0.0.0.0:9500 is not on loopback"],
    ),
    (
        {"admin": "0.0.0.0:9490", "allow_plaintext": ["admin"]},
        ["admin: 0.0.0.0:9490 is not on loopback"],
    ),
    (
        {"gateway": {"admin": "0.0.0.0:9901"}, "allow_plaintext": ["gateway.admin"]},
        ["gateway.admin: 0.0.0.0:9901 is not on loopback"],
    ),
    (
        {"gateway": {"processors": ["127.0.0.1:9500"]}},
        ["gateway.keys: is not set, and gateway.processors is"],
    ),
    ({"gateway": {"processors": ["127.0.0.1:9500"], "keys": ["127.0.0.1:9490"]}}, []),
    ({"gateway": {"processors": ["127.0.0.1:9500"]}, "identity": {"assertion_lifetime": 0}}, []),
    (
        {"gateway": {"keys": ["10.0.0.1:9490"]}, "allow_plaintext": ["gateway.keys"]},
        ["gateway.keys: 10.0.0.1:9490 is not on loopback"],
    ),
    ({"secret": [letter * 40 for letter in "abcd"]}, ["secret: the ring has 4 keys"]),
    ({"listen": "unix:extproc.sock"}, ["listen: unix:extproc.sock is a relative path"]),
    (
        {"gateway": {"url": "https://localhost"}},
        [
            "gateway.url: begins with https://, but there is neither tls nor trusted_hops; "
            "applications are told X-Forwarded-Proto: http, and all clients share the limit "
            "of one address"
        ],
    ),
    ({"gateway": {"url": "https://localhost", "trusted_hops": 1}}, []),
    ({"gateway": {"hsts": 60}}, ["gateway.hsts: is not sent"]),
    (
        {"providers": {"main": {"issuer": "http://localhost:8080/realms/demo", "client_id": "x"}}},
        [
            "providers.main.issuer: http://localhost:8080/realms/demo is served by this "
            "gateway's application app"
        ],
    ),
    (
        {"providers": {"main": {"issuer": "http://localhost:8180/realms/demo", "client_id": "x"}}},
        [],
    ),
    (
        {"limits": {"streams": 8_700}},
        [
            "limits.streams: 8700 leaves nothing beside callback, login, lookup, refresh "
            "and both logouts, 8700"
        ],
    ),
    ({"limits": {"streams": 8_701}}, []),
    (
        {"limits": {"per_provider": 2_001}},
        ["limits.per_provider: 2001 is never reached, since limits.callback, 2000,"],
    ),
    ({"limits": {"per_provider": 2_000}}, []),
    (
        {"limits": {"per_provider": 2_000}, "providers": TWO},
        ["limits.per_provider: is all of limits.callback, 2000,"],
    ),
    (
        {"limits": {"connects": 1_001}},
        ["limits.connects: 1001 is more than limits.per_provider, 1000,"],
    ),
    (
        {"timeouts": {"drain": 14}},
        ["timeouts.drain: 14 s is less than a held request may take, 15 s"],
    ),
    ({"timeouts": {"drain": 15}}, []),
    ({"timeouts": {"call": 9}}, []),
    (
        {"timeouts": {"call": 11}},
        ["timeouts.drain: 20 s is less than a held request may take, 22 s"],
    ),
    (
        {"timeouts": {"call": 16, "drain": 60}},
        ["timeouts.call: 16 s is more than a whole callback may take"],
    ),
    (
        {"timeouts": {"connect": 5}},
        ["timeouts.connect: 5 s leaves nothing of timeouts.call, 5 s, for an answer"],
    ),
]


@pytest.mark.parametrize(("changes", "begin"), WARNED)
def test_warnings_name_the_key(changes: dict[str, Any], begin: list[str]) -> None:
    found = lint_lines(simple(**changes), descriptors=100_000)
    assert len(found) == len(begin), found
    assert all(line.startswith(start) for line, start in zip(found, begin, strict=True)), found
    assert all("; " in line for line in found)  # and behind it what to do


@pytest.mark.parametrize(
    ("limits", "descriptors", "needed"),
    [
        ({}, 1_220, None),  # one provider: limits.per_provider counts
        ({}, 1_219, 1_220),
        ({"per_provider": 2_000}, 2_000, 2_220),
        ({"per_provider": 3_000, "callback": 3_000, "streams": 1_000_000}, 4_100, 4_200),
        (
            {"callback": 1_000_000, "per_provider": 1_000_000, "streams": 1_000_000},
            resource.RLIM_INFINITY,
            None,
        ),
    ],
)
def test_file_descriptors_must_do_for_the_logins(
    limits: dict[str, int], descriptors: int, needed: int | None
) -> None:
    found = [
        line for line in lint_lines(simple(limits=limits), descriptors) if "descriptors" in line
    ]
    assert len(found) == (1 if needed else 0)
    assert all(
        f"about {needed} file descriptors, and this process may have {descriptors};" in line
        for line in found
    )


def test_warnings_about_applications_beside_each_other() -> None:
    app = {"hosts": ["localhost"], "provider": "main", **UP}
    door = {"hosts": ["other"], "exclude": True, "escaped_slashes": "keep", **UP}
    found = lint_lines(settings(applications={"app": app, "door": door}), descriptors=100_000)
    assert [line.split(":")[0] for line in found] == ["applications.door"]
    open_ = {"hosts": ["other"], "exclude": True, **UP}
    found = lint_lines(settings(applications={"app": app, "door": open_}), descriptors=100_000)
    assert [line[:60] for line in found] == [
        "applications.door: is all of the upstream of app without its"
    ]
    public = {**app, "public_paths": ["/"]}
    found = lint_lines(settings(applications={"app": public}), descriptors=100_000)
    assert [line.split(":")[0] for line in found] == ["applications.app.public_paths"]


def test_a_provider_behind_the_gateway_that_is_excluded_is_fine() -> None:
    idp = {"hosts": ["127.0.0.1"], "exclude": True, "upstream": "http://127.0.0.1:8180"}
    app = {"hosts": ["localhost"], "provider": "main", **UP}
    provider = {"main": {"issuer": "http://127.0.0.1:8080/realms/demo", "client_id": "x"}}
    assert (
        lint_lines(
            settings(applications={"app": app, "idp": idp}, providers=provider), descriptors=100_000
        )
        == []
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_are_what_extproc_envoy_prints(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Generate them again with: PYTHONPATH=.:tests python tools/examples.py"""
    monkeypatch.setenv("EXTPROC_SECRET", SECRET)
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    assert (EXAMPLES / f"{name}.yaml").read_text() == example(name)


def test_there_are_examples() -> None:
    assert {
        "basic",
        "provider-excluded",
        "provider-direct",
        "provider-own-envoy",
        "tls",
        "workers",
    } <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_envoy_finds_the_examples_good(name: str, envoy: Path, tmp_path: Path, world: Any) -> None:
    text = (EXAMPLES / f"{name}.yaml").read_text()
    text = text.replace("/etc/extproc/tls/tls.crt", str(world.certificate)).replace(
        "/etc/extproc/tls/tls.key", str(world.key)
    )
    assert validate(text.replace("/var/log/envoy/", f"{tmp_path}/"), envoy) == []


def test_our_own_endpoints_always_have_a_trace_and_other_requests_a_share() -> None:
    (manager,) = typed(simple(), "HttpConnectionManager")
    assert manager["tracing"]["random_sampling"] == {"value": 1.0}
    routes = [
        route for host in manager["route_config"]["virtual_hosts"] for route in host["routes"]
    ]
    own = {
        route["name"] for route in routes if route["name"].endswith((":own", ":backchannel-logout"))
    }
    assert own == {route["name"] for route in routes if route.get("tracing")} != set()


def test_the_body_of_a_logout_by_the_provider_is_read_and_of_no_other_request() -> None:
    def routes(made: Settings) -> dict[str, dict[str, Any]]:
        (manager,) = typed(made, "HttpConnectionManager")
        return {
            r["name"]: r
            for host in manager["route_config"]["virtual_hosts"]
            for r in host["routes"]
        }

    found = routes(simple())
    modes = {
        name: mode
        for name, route in found.items()
        if (
            mode := route["typed_per_filter_config"]
            .get("decide", {})
            .get("overrides", {})
            .get("processing_mode")
        )
    }
    head = {"request_header_mode": "SEND", "response_header_mode": "SKIP"}
    assert modes == {"app:backchannel-logout": {**head, "request_body_mode": "BUFFERED"}}
    assert found["app:backchannel-logout"]["match"] == {"path": "/oauth2/backchannel-logout"}
    assert list(found).index("app:backchannel-logout") < list(found).index("app:own")
    off = {
        "main": {
            "issuer": "https://idp.example",
            "client_id": "gateway",
            "backchannel_logout": False,
        }
    }
    assert "app:backchannel-logout" not in routes(simple(providers=off))
