"""Rules that never decide, that lose requests to others, or that open what another one closes."""

from typing import Any

import pytest
from harness.envoy_config import APP, lint_lines
from harness.envoy_parts import settings
from harness.ruled import certified

Rule = dict[str, Any]
CERTIFIED = {"name": "in", "paths": ["/"], "login": "none", "client_certificate": {"sans": ["a"]}}
ADMINS = {"allow": {"groups": ["admins"]}}


def rule(name: str, *paths: str, **keys: Any) -> Rule:
    return {"name": name, "paths": list(paths), **keys}


def lines(*rules: Rule, **others: Any) -> list[str]:
    """What `check` says about these rules of the application app, without the key's beginning."""
    applications = {"app": {**APP, "rules": list(rules)}, **others}
    found = lint_lines(settings(applications=applications))
    begin = "applications.app.rules."
    return [line.removeprefix(begin) for line in found if line.startswith(begin)]


NEVER = "can never match: all of its requests are decided before it, by "
TRIES_NOTHING = "is in shadow mode and tries nothing"


@pytest.mark.parametrize(
    ("rules", "begin"),
    [
        ([rule("all", "/"), rule("admin", "/admin/")], f"admin: {NEVER}all;"),
        ([rule("a", "/a/"), rule("b", "/a", "/a/b/")], f"b: {NEVER}a;"),
        (
            [
                rule("get", "/a/", methods=["GET"]),
                rule("post", "/a/", methods=["POST"]),
                rule("both", "/a/x", methods=["HEAD", "POST"]),
            ],
            f"both: {NEVER}get and post;",
        ),
        (
            [rule("off", "/a/", deny=True), rule("try", "/a/", mode="shadow", **ADMINS)],
            f"try: {TRIES_NOTHING}",
        ),
        (
            [rule("open", "/a/", login="none"), rule("try", "/a/b", mode="shadow", **ADMINS)],
            f"try: {TRIES_NOTHING}",
        ),
        (
            [
                rule("try", "/a/", mode="shadow", **ADMINS),
                rule("again", "/a/b", mode="shadow", **ADMINS),
            ],
            f"again: {TRIES_NOTHING}",
        ),
        (
            [
                rule("get", "/a/", methods=["GET"]),
                rule("try", "/a/", methods=["POST"], mode="shadow", **ADMINS),
            ],
            f"try: {TRIES_NOTHING}",
        ),
    ],
)
def test_a_rule_that_decides_nothing_is_named_with_the_rules_before_it(
    rules: list[Rule], begin: str
) -> None:
    (line,) = lines(*rules)
    assert line.startswith(begin)


@pytest.mark.parametrize(
    ("rules", "begin"),
    [
        (
            [rule("a", "/a/"), rule("b", "/b/", "/a/x")],
            "b: does not decide /a/x: that is decided before it, by a;",
        ),
        (
            [rule("get", "/a/", methods=["GET"]), rule("b", "/a/", methods=["GET", "PUT"])],
            "b: does not decide GET, HEAD of /a/: that is decided before it, by get;",
        ),
    ],
)
def test_a_rule_that_loses_a_path_or_a_method_is_named(rules: list[Rule], begin: str) -> None:
    (line,) = lines(*rules)
    assert line.startswith(begin)


@pytest.mark.parametrize(
    "rules",
    [
        [rule("admin", "/admin/", **ADMINS), rule("all", "/")],
        [rule("get", "/a/", methods=["GET"]), rule("rest", "/a/")],
        [rule("get", "/a/", methods=["GET"]), rule("put", "/a/", methods=["PUT"])],
        [rule("try", "/a/", mode="shadow", **ADMINS), rule("a", "/a/")],
        [rule("x", "/a/x", deny=True), rule("a", "/a/"), rule("try", "/a/", mode="shadow")],
        [rule("inner", "/a/b", **ADMINS), rule("a", "/a/")],
        [rule("inner", "/a/b", **ADMINS), rule("a", "/a/", **ADMINS)],
        [rule("inner", "/a/b", allow={"groups": ["others"]}), rule("a", "/a/", **ADMINS)],
        [rule("hooks", "/hooks/", login="none"), rule("docs", "/docs/", login="optional")],
    ],
)
def test_rules_in_an_order_that_is_meant_have_no_warning(rules: list[Rule]) -> None:
    assert lines(*rules) == []


@pytest.mark.parametrize(
    ("inner", "outer", "without"),
    [
        ({"login": "none"}, ADMINS, "a login"),
        ({"login": "optional"}, {}, "a login"),
        ({}, {"deny": True}, "deny"),
        ({}, ADMINS, "allow"),
        ({}, {"networks": ["10.0.0.0/8"]}, "networks"),
        ({"login": "none"}, {"networks": ["10.0.0.0/8"]}, "a login and networks"),
    ],
)
def test_a_rule_that_opens_a_path_below_another_rule_is_named(
    inner: Rule, outer: Rule, without: str
) -> None:
    (line,) = lines(rule("inner", "/a/b/", **inner), rule("outer", "/a/", **outer))
    assert line.startswith(
        f"inner: opens /a/b/ without {without}, which outer asks for on the path above;"
    )


def test_only_the_nearest_rule_above_is_compared() -> None:
    (line,) = lines(
        rule("inner", "/a/b/c"), rule("middle", "/a/b/", **ADMINS), rule("outer", "/a/", deny=True)
    )[:1]
    assert line.startswith("inner: opens /a/b/c without allow, which middle asks for")


def test_a_rule_without_a_login_for_all_the_rest_is_named() -> None:
    admin, rest = rule("admin", "/admin/", **ADMINS), rule("rest", "/", login="none")
    found = lines(admin, rest)
    assert [line.split(":")[0] for line in found] == ["rest.login"]
    networks = {"networks": ["10.0.0.0/8"]}
    assert lines({**admin, **networks}, {**rest, **networks}) == []
    assert lines(admin, {**rest, "methods": ["GET"]}) == found


def test_a_path_that_belongs_to_another_application_is_named() -> None:
    rules = [rule("a", "/in/a/", "/b/")]
    inside = {**APP, "path_prefix": "/in/"}
    (line,) = lines(*rules, inside=inside)
    assert line.startswith("a.paths: /in/a/ is a path of the application inside, so this rule")
    assert lines(*rules, inside={**inside, "hosts": ["other"], "url": "http://other/in/"}) == []
    (line,) = lines(*rules, inside={**inside, "hosts": ["*"]})
    assert line.startswith("a.paths: /in/a/ is a path of the application inside, so this rule")


@pytest.mark.parametrize(
    ("rules", "gateway", "begin"),
    [
        ([], {}, "gateway.tls.client_ca_file: Envoy asks every client for a certificate, and no"),
        ([CERTIFIED], {}, None),
        (
            [CERTIFIED],
            {"trusted_hops": 1},
            "applications.app.rules.in.client_certificate: gateway.trusted_hops says that proxies",
        ),
    ],
)
def test_certificates_that_nobody_looks_at_or_that_are_a_proxy_s_are_named(
    rules: list[Rule], gateway: dict[str, Any], begin: str | None
) -> None:
    found = [line for line in lint_lines(certified(*rules, **gateway)) if "certificate" in line]
    assert len(found) == (begin is not None) and all(line.startswith(str(begin)) for line in found)
