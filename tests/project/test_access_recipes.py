"""The examples of docs/access.md are settings that load, and admit whom the document says; its table
of tests holds for them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.examples import examples, loaded

from extproc.core.access_conditions import Facts
from extproc.core.access_values import email_address, groups_of
from extproc.core.oidc.claims import Claims, email_is_verified
from extproc.envoyconfig import to_yaml
from extproc.explain import cases, table
from extproc.settings import Settings
from extproc.settings.domain_access import access
from extproc.settings.load import SettingsError

DOCUMENT = Path(__file__).parents[2] / "docs" / "access.md"
NOW = 1_000_000
COMPANY = {"email": "Ann@EXAMPLE.com", "email_verified": True}
BLOCKS = examples(DOCUMENT.read_text())
TABLE = BLOCKS.pop("To see what rules do")
EXAMPLES = BLOCKS


def mistakes(example: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The example with one key misspelt, once for each key below its applications."""

    def spelt(value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            for at, each in enumerate(value):
                for wrong in spelt(each):
                    yield [*value[:at], wrong, *value[at + 1 :]]
        if isinstance(value, dict):
            for key, each in value.items():
                yield {k: v for k, v in value.items() if k != key} | {f"{key}x": each}
                # The names within `claims` are the provider's.
                for wrong in spelt(each) if key != "claims" else ():
                    yield value | {key: wrong}

    for name, application in example["applications"].items():
        for wrong in spelt(application):
            yield example | {"applications": example["applications"] | {name: wrong}}


def test_the_document_has_its_first_example_and_its_recipes() -> None:
    assert len(EXAMPLES) == 13


@pytest.mark.parametrize("heading", EXAMPLES)
def test_each_example_loads_and_envoy_s_configuration_can_be_made_of_it(heading: str) -> None:
    settings = loaded(EXAMPLES[heading])
    assert any(access(settings, name).digest for name in settings.applications)
    assert "requirement_map" in to_yaml(settings)


@pytest.mark.attack("HDR-16")
@pytest.mark.parametrize("heading", EXAMPLES)
def test_an_example_with_a_misspelt_key_is_refused(heading: str) -> None:
    wrong = list(mistakes(EXAMPLES[heading]))
    assert wrong
    for example in wrong:
        with pytest.raises(SettingsError):
            loaded(example)


def facts(settings: Settings, name: str, claims: Mapping[str, Any]) -> Facts:
    provider = settings.providers[str(settings.applications[name].provider)]
    return Facts(
        subject=claims.get("sub", "ann"),
        issuer=provider.issuer,
        claims=Claims(claims),
        address=email_address(claims.get("email")),
        email_is_verified=email_is_verified(claims),
        groups=groups_of(Claims(claims).get(provider.groups_claim)),
        acr=claims.get("acr"),
        auth_time=claims.get("auth_time"),
        claims_at=NOW,
        holding=access(settings, name).holding(Claims(claims)),
    )


def outcome(
    settings: Settings, name: str, method: str, path: str, claims: Mapping[str, Any]
) -> str:
    """allow, login (a step-up), deny, 405, open (no login), or 403 with the key that fails."""
    rights = access(settings, name)
    rule = rights.match(path, method).rule
    if rule is None:
        return "405"
    if rule.deny or rule.login == "none":
        return "deny" if rule.deny else "open"
    missing = rights.missing(rule, facts(settings, name, claims), NOW)
    if missing is None:
        return "allow"
    return "login" if missing.demand else f"403 {missing.key}"


STAFF, ADMIN = {"groups": ["staff"]}, {"groups": ["staff", "admins"]}
READER, WRITER = {"groups": ["readers"]}, {"groups": ["writers"]}
SENIOR = {"groups": ["staff", "team-a"], "level": 4}
FRESH = {"acr": "mfa", "auth_time": NOW - 100}
CASES: list[tuple[str, str, str, dict[str, Any], str]] = [
    ("Who may come in", "GET /", STAFF | COMPANY, "allow", ""),
    ("Who may come in", "GET /", STAFF, "403 allow.email_domains", ""),
    ("Who may come in", "GET /admin", ADMIN | COMPANY, "login", ""),
    ("Who may come in", "GET /admin", ADMIN | COMPANY | FRESH, "allow", ""),
    ("Who may come in", "GET /admin/x", STAFF | COMPANY, "403 rules.admin.allow.groups", ""),
    ("Who may come in", "PUT /api/x", {}, "405", ""),
    ("Who may come in", "OPTIONS /api/x", {}, "405", ""),
    ("Who may come in", "POST /hooks/x", {}, "open", ""),
    ("Who may come in", "GET /metrics", {}, "deny", ""),
    ("Only people with an address of the company", "GET /", COMPANY, "allow", ""),
    (
        "Only people with an address of the company",
        "GET /",
        COMPANY | {"email_verified": False},
        "403 allow.email_domains",
        "",
    ),
    ("Only one group", "GET /", STAFF, "allow", ""),
    ("Only one group", "GET /", {"groups": "staff admins"}, "403 allow.groups", ""),
    ("Admins for `/admin`", "GET /", STAFF, "allow", ""),
    ("Admins for `/admin`", "GET /admin", STAFF, "403 rules.admin.allow.groups", ""),
    ("Admins for `/admin`", "GET /admin/x", ADMIN, "allow", ""),
    ("Admins for `/admin`", "GET /admin/x", {"groups": ["admins"]}, "403 allow.groups", ""),
    ("An API that many read and few write", "HEAD /api/x", READER, "allow", ""),
    ("An API that many read and few write", "GET /api/x", WRITER, "allow", ""),
    ("An API that many read and few write", "PUT /api/x", WRITER, "allow", ""),
    (
        "An API that many read and few write",
        "PUT /api/x",
        READER,
        "403 rules.write.allow.groups",
        "",
    ),
    ("An API that many read and few write", "OPTIONS /api/x", WRITER, "405", ""),
    ("Webhooks from a network", "POST /hooks/x", {}, "open", ""),
    ("Webhooks from a network", "GET /hooks/x", STAFF, "405", ""),
    ("Webhooks from a network", "GET /", {}, "403 allow.groups", ""),
    ("Machines with a certificate", "POST /invoices/1", {}, "open", ""),
    ("Machines with a certificate", "GET /invoices/1", {"groups": ["accounting"]}, "allow", ""),
    (
        "Machines with a certificate",
        "GET /invoices/1",
        STAFF,
        "403 rules.read-invoices.allow.groups",
        "",
    ),
    ("Public docs that know a signed-in user", "GET /docs/x", {}, "allow", ""),
    (
        "Public docs that know a signed-in user",
        "POST /docs/x",
        STAFF,
        "403 rules.edit.allow.groups",
        "",
    ),
    ("Public docs that know a signed-in user", "PUT /docs/x", WRITER, "405", ""),
    ("Metrics that are closed", "GET /debug/pprof", ADMIN, "deny", ""),
    ("Metrics that are closed", "GET /", {}, "allow", ""),
    ("A second factor for one path", "GET /payments/1", {}, "login", ""),
    ("A second factor for one path", "GET /payments/1", FRESH, "allow", ""),
    ("A second factor for one path", "GET /payments/1", FRESH | {"auth_time": 0}, "login", ""),
    ("Groups of several providers", "GET /", {"realm_access": {"roles": ["staff"]}}, "allow", ""),
    ("Groups of several providers", "GET /", {"department": 17}, "allow", ""),
    ("Groups of several providers", "GET /", {"department": "17"}, "403 allow.groups", ""),
    ("Groups of several providers", "GET /", {"roles": ["Reports.Reader"]}, "allow", "reports"),
    (
        "Groups of several providers",
        "GET /",
        {"urn:zitadel:iam:org:project:roles": {"planner": {"1": "example.com"}}},
        "allow",
        "plans",
    ),
    ("Groups of several providers", "GET /", {"groups": ["planner"]}, "403 allow.groups", "plans"),
    ("What lists of values cannot say", "GET /", STAFF, "allow", ""),
    (
        "What lists of values cannot say",
        "GET /",
        {"groups": ["staff", "contractors"]},
        "403 allow.expression",
        "",
    ),
    ("What lists of values cannot say", "GET /", {}, "403 allow.groups", ""),
    ("What lists of values cannot say", "GET /design", SENIOR, "allow", ""),
    (
        "What lists of values cannot say",
        "GET /design",
        SENIOR | {"level": "4"},
        "403 rules.design.allow.expression",
        "",
    ),
    ("Trying a rule before it counts", "GET /reports/x", {}, "allow", ""),
]


@pytest.mark.parametrize(("heading", "request_line", "claims", "expected", "application"), CASES)
def test_an_example_does_what_its_words_promise(
    heading: str, request_line: str, claims: dict[str, Any], expected: str, application: str
) -> None:
    method, _, path = request_line.partition(" ")
    settings = loaded(EXAMPLES[heading])
    assert outcome(settings, application or "app", method, path, claims) == expected


def test_every_example_is_tried() -> None:
    assert {case[0] for case in CASES} == set(EXAMPLES)


def results(document: Mapping[str, Any]) -> list[bool]:
    """Whether each test of a table holds for the first example of the document."""
    settings = loaded(EXAMPLES["Who may come in"])
    parsed = cases.parse(yaml.safe_dump(document).encode(), "table", settings)
    return [result.passed for result in table.run(settings, parsed, NOW)]


def test_the_table_of_tests_holds_for_the_first_example() -> None:
    assert results(TABLE) == [True] * len(TABLE["tests"])


def test_a_table_that_expects_something_else_fails() -> None:
    wrong = [each | {"expect": 404} for each in TABLE["tests"]]
    assert results(TABLE | {"tests": wrong}) == [False] * len(wrong)
