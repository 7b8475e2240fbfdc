"""What one rule asks for, and another one does not."""

from typing import Any

import pytest

from extproc.checks.strictness import admits_all, opens
from extproc.settings import RuleSettings
from extproc.settings.allow import Allow

CN_A = {"client_certificate": {"subjects": ("CN=a",)}}


def rule(**keys: Any) -> RuleSettings:
    return RuleSettings.model_validate({"name": "r", "paths": ("/a/",), **keys})


def allow(*entries: dict[str, Any]) -> Allow:
    return rule(allow=entries).allow if entries else ()


@pytest.mark.parametrize(
    ("inner", "outer", "without"),
    [
        ({}, {}, ()),
        ({"deny": True}, {"deny": True}, ()),
        ({"deny": True}, {"networks": ("10.0.0.0/8",)}, ()),
        ({"login": "none"}, {"deny": True}, ("deny",)),
        ({"login": "none"}, {"login": "optional"}, ()),
        ({"login": "optional"}, {"login": "none"}, ()),
        ({"login": "optional"}, {"login": "required"}, ("a login",)),
        ({"login": "optional"}, {"login": "optional", "allow": {"groups": ("a",)}}, ("allow",)),
        ({"networks": ("10.1.0.0/16",)}, {"networks": ("10.0.0.0/8",)}, ()),
        ({"networks": ("10.1.0.0/16", "::1")}, {"networks": ("10.0.0.0/8",)}, ("networks",)),
        ({"networks": ("10.0.0.0/8",)}, {"networks": ("::/0",)}, ("networks",)),
        ({"networks": ("::1",)}, {"networks": ("10.0.0.0/8", "::/0")}, ()),
        (CN_A, CN_A, ()),
        (CN_A, {"client_certificate": {"subjects": ("CN=a", "CN=b")}}, ()),
        ({"client_certificate": {"subjects": ("CN=a", "CN=b")}}, CN_A, ("client_certificate",)),
        ({"client_certificate": {"sans": ("a",)}}, CN_A, ("client_certificate",)),
        ({"client_certificate": {"subjects": ("CN=a",), "sans": ("a",)}}, CN_A, ()),
        ({"login": "none"}, {"login": "none", **CN_A}, ("client_certificate",)),
        ({"max_claims_age": 60.0}, {"max_claims_age": 60.0}, ()),
        ({"max_claims_age": 61.0}, {"max_claims_age": 60.0}, ("max_claims_age",)),
        ({}, {"max_claims_age": 60.0}, ("max_claims_age",)),
        (
            {"allow": {"groups": ("b",)}},
            {"allow": {"groups": ("a",), "acr_values": ("mfa",), "max_age": 60.0}},
            ("acr_values", "max_age"),
        ),
        (
            {"allow": {"groups": ("b",), "acr_values": ("mfa",)}},
            {"allow": ({"acr_values": ("mfa",)}, {"groups": ("a",)})},
            (),
        ),
    ],
)
def test_what_a_rule_does_without_is_in_the_words_of_the_settings(
    inner: dict[str, Any], outer: dict[str, Any], without: tuple[str, ...]
) -> None:
    assert opens(rule(**inner), rule(**outer)) == without


@pytest.mark.parametrize(
    ("one", "other", "holds"),
    [
        ((), ({"groups": ("a",)},), True),
        (({"groups": ("a",)},), (), False),
        (({"groups": ("a", "b")},), ({"groups": ("a",)},), True),
        (({"groups": ("a",)},), ({"groups": ("a", "b")},), False),
        (({"groups": ("a",)},), ({"groups": ("a",), "users": ("x",)},), True),
        (({"groups": ("a",), "users": ("x",)},), ({"groups": ("a",)},), False),
        (({"groups": ("a",)}, {"users": ("x",)}), ({"users": ("x",)},), True),
        (({"users": ("x",)},), ({"groups": ("a",)}, {"users": ("x",)}), False),
        (({"emails": ("a@x.test",)},), ({"emails": ("a@x.test",)},), True),
        (({"email_domains": ("x.test",)},), ({"email_domains": ("y.test",)},), False),
        (({"providers": ("a", "b")},), ({"providers": ("b",)},), True),
        (({"max_age": 60.0},), ({"max_age": 60.0},), True),
        (({"max_age": 60.0},), ({"max_age": 61.0},), False),
        (({"max_age": 60.0},), ({"groups": ("a",)},), False),
        (({"claims": {"n": (1,)}},), ({"claims": {"n": (1,)}, "groups": ("a",)},), True),
        (({"claims": {"n": (True,)}},), ({"claims": {"n": (1,)}},), False),
        (({"claims": {"n": (1,)}},), ({"claims": {"m": (1,)}},), False),
        (({"expression": "claims.a"},), ({"expression": "claims.a", "groups": ("a",)},), True),
        (({"expression": "claims.a"},), ({"expression": "claims.b"},), False),
        (({"expression": "claims.a"},), ({"groups": ("a",)},), False),
        (
            ({"emails": ("a@x.test",)},),
            ({"emails": ("a@x.test",), "unverified_email": True},),
            False,
        ),
        (
            ({"emails": ("a@x.test",), "unverified_email": True},),
            ({"emails": ("a@x.test",)},),
            True,
        ),
    ],
)
def test_an_allow_admits_all_whom_a_stricter_one_admits(
    one: tuple[dict[str, Any], ...], other: tuple[dict[str, Any], ...], holds: bool
) -> None:
    assert admits_all(allow(*one), allow(*other)) is holds
