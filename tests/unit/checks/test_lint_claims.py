"""How long a lost group lives, and claims that no rule reads."""

from typing import Any

import pytest
from harness.envoy_config import APP, simple

from extproc.checks.findings import Finding
from extproc.checks.lint_claims import asks_groups, lint_claims, written

STAFF = {"groups": ["staff"]}
PROVIDER = {"issuer": "https://idp.example", "client_id": "x", "client_secret": "s"}


def found(
    app: dict[str, Any], provider: dict[str, Any] | None = None, **changes: Any
) -> list[Finding]:
    providers = {"main": {**PROVIDER, **(provider or {})}}
    return list(
        lint_claims(simple(applications={"app": {**APP, **app}}, providers=providers, **changes))
    )


def rule(name: str, **keys: Any) -> dict[str, Any]:
    return {"name": name, "paths": [f"/{name}/"], **keys}


@pytest.mark.parametrize(
    ("app", "changes", "level", "texts"),
    [
        (
            {"allow": STAFF},
            {},
            "ok",
            ["each access token ends, and 1m more; 12h at the longest", "no ID token with renewed"],
        ),
        (
            {"allow": STAFF},
            {"identity": {"assertion_lifetime": "90s"}, "session": {"lifetime": "2d"}},
            "ok",
            ["and 90s more; 2d at the longest"],
        ),
        ({"allow": {"expression": "claims.a"}}, {}, "ok", ["keeps what it opens until"]),
        (
            {"allow": STAFF, "forward_access_token": True},
            {},
            "ok",
            ["each access token ends, and 0s more"],
        ),
        (
            {"allow": STAFF},
            {"session": {"refresh": "never"}},
            "warning",
            ["12h after the login, because session.refresh is never"],
        ),
        (
            {"rules": [rule("a", allow={"claims": {"x": [1]}}, max_claims_age="15m")]},
            {"session": {"refresh": "never"}},
            "ok",
            ["keeps what it opens for: a 15m"],
        ),
        (
            {"rules": [rule("a", max_claims_age="15m"), rule("b", allow=STAFF)]},
            {},
            "ok",
            ["where max_claims_age says so: a 15m"],
        ),
        (
            {"rules": [rule("a", allow={"emails": ["a@x.test"]})]},
            {},
            "ok",
            ["and 1m more"],
        ),
    ],
)
def test_the_longest_time_that_a_lost_group_lives_is_named(
    app: dict[str, Any], changes: dict[str, Any], level: str, texts: list[str]
) -> None:
    (only,) = found(app, **changes)
    assert only.level == level
    assert only.part == f"applications.app.{'allow' if 'allow' in app else 'rules'}"
    assert all(text in only.what for text in texts), only.what


@pytest.mark.parametrize(
    "app",
    [
        {},
        {"allow": {"users": ["alice"]}},
        {"allow": {"acr_values": ["mfa"], "max_age": "1h"}},
        {"rules": [rule("a", deny=True)]},
        {"rules": [rule("a", allow=STAFF, mode="shadow")]},
    ],
)
def test_where_nothing_can_be_taken_away_nothing_is_said(app: dict[str, Any]) -> None:
    assert found(app) == []


@pytest.mark.parametrize(
    ("provider", "text"),
    [
        ({}, "in UserInfo alone (providers.main.userinfo: refresh)"),
        ({"claims_at_refresh": "keep"}, "(providers.main.claims_at_refresh: keep)"),
        ({"userinfo": "never"}, "or sends no ID token with renewed tokens"),
    ],
)
def test_what_keeps_claims_as_they_were_is_named(provider: dict[str, Any], text: str) -> None:
    (only,) = found({"allow": STAFF}, provider)
    assert text in only.what


def test_a_claim_with_groups_that_no_rule_reads_is_named() -> None:
    named = {"groups_claim": "roles"}
    (only,) = found({"allow": {"users": ["a"]}}, named)
    assert (only.level, only.part) == ("warning", "providers.main.groups_claim")
    for read in ({"allow": STAFF}, {"rules": [rule("a", allow=[{"users": ["a"]}, STAFF])]}):
        assert [each.level for each in found(read, named)] == ["ok"]


def test_groups_are_asked_for_by_the_provider_of_the_application() -> None:
    made = simple(
        applications={"app": {**APP, "allow": STAFF}},
        providers={"main": PROVIDER, "other": {**PROVIDER, "issuer": "https://other.example"}},
    )
    assert asks_groups(made, "main") and not asks_groups(made, "other")


@pytest.mark.parametrize(
    ("bearer", "headers", "warned"),
    [
        ({"providers": ["main", "other"]}, {"x-auth-sub": "sub"}, True),
        ({"providers": ["other"]}, {"x-auth-sub": "sub"}, True),
        ({"providers": ["other"]}, {"x-auth-sub": "sub", "x-auth-issuer": "iss"}, False),
        ({}, {"x-auth-sub": "sub"}, False),
    ],
)
def test_users_of_several_issuers_that_an_application_cannot_tell_apart_are_named(
    bearer: dict[str, Any], headers: dict[str, str], warned: bool
) -> None:
    app = {**APP, "rules": [rule("api", accept=["bearer"])], "bearer": bearer}
    made = simple(
        applications={"app": app},
        providers={"main": PROVIDER, "other": {**PROVIDER, "issuer": "https://other.example"}},
        identity={"headers": headers},
    )
    parts = [each.part for each in lint_claims(made) if each.level == "warning"]
    assert parts == (["applications.app.bearer.providers"] if warned else [])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (90, "90s"), (60, "1m"), (7200, "2h"), (86_400, "1d"), (0.5, "0.5s")],
)
def test_a_duration_is_written_as_in_the_settings(seconds: float, text: str) -> None:
    assert written(seconds) == text
