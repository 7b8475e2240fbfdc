"""What a test compares, and what makes it fail."""

import json
from typing import Any

import pytest
from harness.ruled import ruled

from extproc.envoyconfig.snapshot import generated
from extproc.explain.cases import Cases
from extproc.explain.table import Result, run

NOW = 1_800_000_000
MADE = ruled()
USERS = {"bob": {"sub": "bob", "groups": ["staff"]}}


def results(*tests: dict[str, Any]) -> list[Result]:
    document = json.dumps({"users": USERS, "tests": tests})
    return list(run(MADE, Cases.model_validate_json(document), NOW))


def test_only_what_a_test_sets_is_compared() -> None:
    docs = {"url": "/docs/old/", "user": "bob", "expect": "allow"}
    rows: list[tuple[dict[str, Any], bool]] = [
        ({}, True),
        ({"expect": 200}, False),
        ({"expect": "login"}, False),
        ({"rule": "docs"}, True),
        ({"rule": "admin"}, False),
        ({"rule": ""}, False),
        ({"shadow": "tried"}, True),
        ({"shadow": ""}, False),
        ({"identity": True}, True),
        ({"identity": False}, False),
    ]
    found = results(*({**docs, **more} for more, _ in rows))
    assert [each.passed for each in found] == [passed for _, passed in rows]


def test_an_outcome_in_doubt_meets_no_expectation() -> None:
    hooks = {"url": "/hooks/"}
    found = results(*({**hooks, "expect": each} for each in ("allow", 403, "login")))
    assert [each.passed for each in found] == [False] * 3
    (known,) = results({**hooks, "expect": "allow", "address": "10.0.0.1"})
    assert known.passed


def test_an_envoy_with_other_rules_fails_even_what_comes_to_what_is_expected() -> None:
    old = generated(ruled(rules=[])).listeners[0]
    test = {"url": "/admin/", "user": "bob", "expect": "allow"}
    cases = Cases.model_validate_json(json.dumps({"users": USERS, "tests": [test]}))
    (result,) = run(MADE, cases, NOW, old)
    assert result.got.word == "allow" and not result.passed
    assert "the settings choose the rule admin" in result.got.fault


@pytest.mark.parametrize(
    ("test", "name", "expected", "found"),
    [
        (
            {"url": "/admin/", "user": "bob", "expect": "allow", "rule": "admin"},
            "1, GET /admin/",
            "allow by the rule admin",
            "403 not_allowed by the rule admin",
        ),
        (
            {"application": "app", "path": "/new/", "user": "bob", "expect": 403, "rule": ""},
            "1, GET app /new/",
            "403 by no rule",
            "allow, with an identity beside tried in shadow mode",
        ),
        (
            {"url": "/", "name": "front", "expect": 200, "shadow": "", "identity": True},
            "front",
            "200 beside no shadow rule with an identity",
            "login (303 to the provider)",
        ),
        (
            {"url": "/", "expect": 200, "shadow": "tried", "identity": False},
            "1, GET /",
            "200 beside tried in shadow mode without an identity",
            "login (303 to the provider)",
        ),
    ],
)
def test_a_result_says_what_was_expected_and_what_came(
    test: dict[str, Any], name: str, expected: str, found: str
) -> None:
    (result,) = results(test)
    assert not result.passed
    assert (result.name, result.expected, result.found) == (name, expected, found)
