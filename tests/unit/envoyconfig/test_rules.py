"""The routes of rules, in their order."""

import re
from typing import Any

import pytest
from envoy_data_plane.envoy.config.route.v3 import Route
from harness.envoy_config import APP, simple

from extproc.envoyconfig.routes import application_routes
from extproc.envoyconfig.rules import SPELLED

ADMIN = {"name": "admin", "paths": ["/admin/"], "allow": {"groups": ["admins"]}}
READ = {"name": "read", "paths": ["/api"], "methods": ["GET"]}
TRIED = {"name": "tried", "paths": ["/admin/x/", "/y"], "methods": ["POST"], "mode": "shadow"}


def routes(*rules: dict[str, Any], **changes: Any) -> list[Route]:
    tls = {"certificate": "tls.crt", "key": "tls.key", "client_ca_file": "ca.pem"}
    gateway = {"url": "https://localhost:8443", "tls": tls}
    app = {**APP, "csrf": "off", "rules": list(rules), **changes}
    made = simple(applications={"app": app}, gateway=gateway)
    return list(application_routes(made, "app", ["app"]))


def names(*rules: dict[str, Any], **changes: Any) -> list[str]:
    return [route.name for route in routes(*rules, **changes)]


def test_what_is_refused_comes_first_then_the_rules_then_405_then_allow_alone() -> None:
    assert names(READ, ADMIN) == [
        "app:spelled",
        "app:spelled",
        "app:method",
        "app:rule:read",
        "app:rule:read",
        "app:rule:admin",
        "app:method",
        "app",
    ]
    assert names() == ["app"]


def test_an_upstream_that_reads_paths_exactly_has_no_other_spellings() -> None:
    assert f"app:{SPELLED}" not in names(ADMIN, upstream_paths="exact")


def test_live_streams_of_a_rule_stand_before_its_pages() -> None:
    assert names(ADMIN, end_streams=["websocket"])[3:] == [
        "app:rule:admin:live:websocket",
        "app:rule:admin",
        "app:live:websocket",
        "app",
    ]


def test_a_rule_in_shadow_mode_splits_the_routes_that_it_meets_and_refuses_nothing() -> None:
    matches = [
        (route.name, route.match.path_separated_prefix or route.match.prefix)
        for route in routes(ADMIN, TRIED)
        if route.match is not None and route.direct_response is None
    ]
    assert matches == [
        ("app:rule:admin", "/admin/x"),
        ("app:rule:admin", "/admin"),
        ("app", "/admin/x"),
        ("app", "/y"),
        ("app", "/"),
    ]
    assert names(TRIED) == ["app", "app", "app"]


def test_paths_below_another_rule_s_path_have_a_route_of_their_own_for_other_spellings() -> None:
    inner = {"name": "inner", "paths": ["/admin/inner/"]}
    assert names(ADMIN, inner).count(f"app:{SPELLED}") == 3
    beside = {"name": "beside", "paths": ["/b", "/c/d"]}
    assert names(ADMIN, beside).count(f"app:{SPELLED}") == 2


def test_a_rule_of_the_whole_application_takes_every_path() -> None:
    whole = {"name": "whole", "paths": ["/wiki/"], "methods": ["GET"]}
    made = [
        route for route in routes(whole, path_prefix="/wiki/") if route.name == "app:rule:whole"
    ]
    assert [route.match.prefix for route in made if route.match] == ["/wiki/"] * 2
    closed = [route for route in routes(whole, path_prefix="/wiki/") if "method" in route.name]
    assert closed[0].match is not None and closed[0].match.prefix == "/wiki/"
    assert closed[1].match is not None and closed[1].match.safe_regex is not None
    assert closed[1].match.safe_regex.regex == "(?:/wiki)(?:[/].*)?"


def test_what_is_allowed_below_another_path_is_named_first() -> None:
    below = {"name": "below", "paths": ["/api/in/"], "methods": ["POST"]}
    closed = [route for route in routes(READ, below) if route.name == "app:method"][1:]
    allowed = [route.response_headers_to_add[0].header for route in closed]
    assert [each.value for each in allowed if each] == ["GET, HEAD, POST", "GET, HEAD"]


def test_a_method_is_compared_and_no_pattern() -> None:
    made = [route.match for route in routes(READ) if route.name == "app:rule:read"]
    headers = [header for match in made if match for header in match.headers]
    assert [each.string_match.exact for each in headers if each.string_match] == ["GET", "HEAD"]


def test_the_pattern_of_many_paths_stays_within_what_envoy_compiles() -> None:
    many = [{"name": f"r{number}", "paths": [f"/section-{number}/"]} for number in range(60)]
    spelled = [route.match for route in routes(*many) if route.name == f"app:{SPELLED}"]
    patterns = [each.safe_regex.regex for each in spelled if each and each.safe_regex]
    assert len(patterns) > 2 and all(len(pattern) <= 190_000 for pattern in patterns)


def test_a_rule_that_denies_and_one_without_a_login_never_ask_the_processor() -> None:
    made = {
        route.name: route
        for route in routes(
            {"name": "no", "paths": ["/no"], "deny": True},
            {"name": "open", "paths": ["/open"], "login": "none"},
            end_streams=["websocket"],
        )
    }
    assert "app:rule:open:live:websocket" not in made
    denied = made["app:rule:no:denied"]
    assert denied.direct_response is not None and denied.direct_response.status == 403
    assert "decide" in made["app:rule:open"].typed_per_filter_config
    assert "assertion" not in made["app:rule:open"].typed_per_filter_config


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("/" + "+%20" * 150 + "/admin", True),
        ("/x/" + "%e3%80%80" * 100, True),
        ("/" + ";a/" * 100, True),
        ("/x/" + "%E3%81%82" * 85, False),
        ("/x/" + "%E3%81%82" * 85 + "g" + "%E3%81%82" * 85, False),
        ("/" + ";a/" * 99, False),
        ("/x?" + "%20" * 1000, False),
    ],
)
def test_a_path_whose_patterns_would_cost_much_is_refused_before_them(
    path: str, refused: bool
) -> None:
    first = next(route.match for route in routes(ADMIN) if route.name == f"app:{SPELLED}")
    assert first is not None and first.safe_regex is not None
    assert bool(re.fullmatch(first.safe_regex.regex, path.partition("?")[0])) == refused


def test_without_a_login_no_authorization_passes_for_a_token_of_the_processor() -> None:
    hooks = {"name": "hooks", "paths": ["/hooks"], "login": "none"}
    for forwards, removed in ((True, ["authorization"]), (False, [])):
        made = routes(hooks, forward_access_token=forwards)
        (route,) = (each for each in made if each.name == "app:rule:hooks")
        assert list(route.request_headers_to_remove) == removed


def test_live_streams_of_an_optional_login_need_none_either() -> None:
    docs = {"name": "docs", "paths": ["/docs"], "login": "optional"}
    made = {route.name: route for route in routes(docs, end_streams=["event_stream"])}
    live = made["app:rule:docs:live:event_stream"].typed_per_filter_config["decide"].unpack()
    sent = {each.key: each.value for each in live.overrides.grpc_initial_metadata}
    assert (sent["x-extproc-public"], sent["x-extproc-live"]) == ("1", "1")


def test_a_preflight_passes_no_rule_that_denies_or_looks_at_the_client() -> None:
    closed = [
        {"name": "no", "paths": ["/no/"], "deny": True},
        {"name": "in", "paths": ["/in"], "networks": ["10.0.0.0/8"]},
        {"name": "shown", "paths": ["/shown"], "client_certificate": {"sans": ["a.example"]}},
    ]
    made = {route.name: route for route in routes(*closed, ADMIN, preflight="pass")}
    match = made["app:preflight"].match
    assert match is not None
    (outside,) = (each for each in match.headers if each.name == ":path")
    assert outside.invert_match and outside.string_match is not None
    assert outside.string_match.safe_regex is not None
    assert outside.string_match.safe_regex.regex == r"(?:/in|/no|/shown)(?:[/?].*)?"
    assert list(made).index("app:spelled") < list(made).index("app:preflight")


def test_no_assertion_admits_a_request_with_authorization_where_a_rule_accepts_tokens() -> None:
    api = {"name": "api", "paths": ["/api/"], "accept": ["bearer"]}
    both = {"name": "both", "paths": ["/both/"], "accept": ["bearer", "session"]}
    ruled = [route for route in routes(api, both) if ":rule:" in route.name]
    named = [route.name for route in ruled]
    assert named == ["app:rule:api:bearer", "app:rule:both:bearer", "app:rule:both"]
    assert ["assertion" in route.typed_per_filter_config for route in ruled] == [False, False, True]
    with_header = [
        [header.name for header in route.match.headers] for route in ruled if route.match
    ]
    assert with_header == [[], ["authorization"], []]


@pytest.mark.parametrize("accept", [["bearer"], ["bearer", "session"]])
def test_requests_with_authorization_count_for_the_rate_limit_where_the_login_is_optional(
    accept: list[str],
) -> None:
    rule = {"name": "open", "paths": ["/open/"], "login": "optional", "accept": accept}
    with_token, without = (route for route in routes(rule) if ":rule:" in route.name)
    assert with_token.match is not None
    assert [header.name for header in with_token.match.headers] == ["authorization"]
    assert "limit" not in with_token.typed_per_filter_config
    assert "limit" in without.typed_per_filter_config
