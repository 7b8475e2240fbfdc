"""The rule that decides a request, and its conditions, in the words of the settings."""

from dataclasses import replace
from typing import Any

import pytest
from harness.envoy_config import simple
from harness.ruled import ALICE, BOB, EVE, application, certified, ruled

from extproc.core.access_rules import DEFAULT
from extproc.core.http import Request
from extproc.core.session_access import facts
from extproc.envoyconfig.snapshot import HttpListener, generated
from extproc.explain.access import conditions, of_client, of_rule
from extproc.explain.outcome import User, session_of
from extproc.explain.route import ChosenRoute, choose

NOW = 1_800_000_000
MADE = ruled()


@pytest.fixture(scope="module")
def listener() -> HttpListener:
    return generated(MADE).listeners[0]


def route(listener: HttpListener, path: str) -> ChosenRoute:
    found = choose(listener, Request("app", False, "GET", path, "localhost"))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        ("/", ["no rule names the path: allow of the application decides"]),
        ("/admin/", ["the rule admin decides: /admin/"]),
        ("/api/", ["the rule read decides: /api/ for GET"]),
        (
            "/docs/old/",
            [
                "the rule docs decides: /docs/; a login is optional",
                "the rule tried, in shadow mode, takes it as well",
            ],
        ),
        ("/hooks/", ["the rule hooks decides: /hooks/; nobody has to sign in"]),
    ],
)
def test_the_rule_is_named_with_its_paths_and_methods(
    listener: HttpListener, path: str, lines: list[str]
) -> None:
    assert list(of_rule(application(MADE), route(listener, path))) == lines


def test_without_rules_allow_decides_and_without_allow_nothing_is_said() -> None:
    for changes, lines in (
        ({"rules": []}, ["allow of the application decides"]),
        ({"rules": [], "allow": []}, []),
    ):
        made = ruled(**changes) if changes.get("allow") != [] else simple()
        chosen = route(generated(made).listeners[0], "/")
        assert list(of_rule(application(made), chosen)) == lines


def test_a_rule_that_the_settings_do_not_have_is_named(listener: HttpListener) -> None:
    old = replace(route(listener, "/"), rule="gone")
    (line,) = of_rule(application(MADE), old)
    assert line == "Envoy's route names the rule gone, which these settings do not have"


def test_networks_are_named_because_no_address_is_known(listener: HttpListener) -> None:
    (line,) = of_client(route(listener, "/hooks/"))
    assert line == (
        "Envoy answers 403 unless the client's address is in 10.0.0.0/8, ::1/128 (networks of the "
        "rule hooks)"
    )
    assert list(of_client(route(listener, "/"))) == []


def test_certificates_are_named_because_none_is_known() -> None:
    asked = {"subjects": ["CN=a"], "sans": ["a.example", "b.example"]}
    made = certified({"name": "in", "paths": ["/in/"], "client_certificate": asked})
    (line,) = of_client(route(generated(made).listeners[0], "/in/"))
    assert line == (
        "Envoy answers 403 unless the client shows a certificate with one of the subjects CN=a and "
        "one of the sans a.example, b.example (client_certificate of the rule in)"
    )


def found(rule: str, claims: dict[str, Any], **ages: Any) -> list[str]:
    app = application(MADE)
    session = session_of(app, User(claims, **ages), NOW)
    chosen = app.access.rule(rule) or DEFAULT
    return [str(each) for each in conditions(MADE, app, facts(app, session), chosen, NOW)]


@pytest.mark.parametrize(
    ("rule", "claims", "ages", "lines"),
    [
        ("", BOB, {}, ["allow.groups holds (staff)"]),
        ("", EVE, {}, ["allow.groups does not hold (staff)"]),
        (
            "admin",
            {**ALICE, "acr": "pwd"},
            {},
            [
                "allow.groups holds (staff)",
                "rules.admin.allow.groups holds (admins)",
                "rules.admin.allow.acr_values does not hold (mfa)",
            ],
        ),
        (
            "read",
            BOB,
            {"claims_age": 900},
            ["rules.read.max_claims_age does not hold (900 s)", "allow.groups holds (staff)"],
        ),
        (
            "read",
            BOB,
            {"claims_age": 899},
            ["rules.read.max_claims_age holds (900 s)", "allow.groups holds (staff)"],
        ),
        (
            "fresh",
            BOB,
            {"auth_age": 601},
            [
                "allow.groups holds (staff)",
                "rules.fresh.allow[0].groups does not hold (admins)",
                "rules.fresh.allow[1].users holds (bob)",
                "rules.fresh.allow[1].max_age holds (600 s)",
            ],
        ),
    ],
)
def test_each_condition_is_named_with_the_values_of_the_settings(
    rule: str, claims: dict[str, Any], ages: dict[str, Any], lines: list[str]
) -> None:
    assert found(rule, claims, **ages) == lines


def test_every_key_has_its_values_and_many_values_are_cut() -> None:
    entry = {
        "users": list("abcdefg"),
        "emails": ["a@x.test"],
        "email_domains": ["x.test"],
        "claims": {"a.b": [1, True, "t"]},
        "expression": "claims.level > 3",
        "providers": ["main"],
    }
    made = ruled(allow=entry, rules=[], public_paths=[])
    app = application(made)
    session = session_of(app, User({**EVE, "a": {"b": True}}), NOW)
    lines = [str(each) for each in conditions(made, app, facts(app, session), DEFAULT, NOW)]
    assert lines == [
        "allow.users does not hold (a, b, c, d, e and 2 more)",
        "allow.providers holds (main)",
        "allow.emails does not hold (a@x.test)",
        "allow.email_domains does not hold (x.test)",
        "allow.claims.a.b holds (1, True, t)",
        "allow.expression does not hold (claims.level > 3)",
    ]
