"""Settings of access tokens that are seldom meant as they stand."""

from typing import Any

import pytest
from harness.envoy_config import APP, lint_lines
from harness.envoy_parts import settings

BEARER = {"name": "api", "paths": ["/api/"], "accept": ["bearer"]}
BOTH = {**BEARER, "accept": ["bearer", "session"]}
CLIENT = {"client_id": "i", "client_secret": "s"}
KEYCLOAK = "https://idp.example/realms/demo"


def lines(
    app: dict[str, Any] | None = None,
    tokens: dict[str, Any] | None = None,
    rule: dict[str, Any] | None = None,
    issuer: str = "https://idp.example",
) -> list[str]:
    """What `check` says about access tokens of main at the application app."""
    main = {"issuer": issuer, "client_id": "c", "client_secret": "s"}
    if tokens is not None:
        main["access_tokens"] = tokens
    rules = [] if rule == {} else [rule or BEARER]
    made = settings(
        providers={"main": main}, applications={"app": {**APP, "rules": rules, **(app or {})}}
    )
    keys = ("bearer", "access_tokens", "accept", "cors.headers")
    return [line for line in lint_lines(made) if any(key in line.partition(":")[0] for key in keys)]


SCOPES = {"scopes": ["read"]}
OWN = {"types": ["JWT"], "required_claims": {"typ": ["Bearer"]}}
FOUND: list[tuple[dict[str, Any], str]] = [
    (
        {"tokens": {"introspection": CLIENT}},
        "providers.main.access_tokens.introspection: no application has its opaque tokens",
    ),
    (
        {"rule": {}, "tokens": {"scope_claim": "scp"}},
        "providers.main.access_tokens: no application accepts access tokens of this provider",
    ),
    (
        {"app": {"bearer": {"audiences": ["account"]}}},
        "applications.app.bearer.audiences: Keycloak writes the audience account into",
    ),
    (
        {"app": {"bearer": {"audiences": ["https://idp.example"]}}},
        "applications.app.bearer.audiences: the provider writes the audience https://idp.example",
    ),
    (
        {"app": {"bearer": {"audiences": ["https://idp.example/userinfo"]}}},
        "applications.app.bearer.audiences: the provider writes the audience https://idp.example/u",
    ),
    (
        {"rule": {**BOTH, "allow": SCOPES}},
        "applications.app.rules.api.accept: has session, and allow asks for scopes",
    ),
    (
        {"rule": BOTH, "app": {"allow": [SCOPES, {**SCOPES, "users": ["a"]}]}},
        "applications.app.rules.api.accept: has session, and allow asks for scopes",
    ),
    (
        {"app": {"cors": {"origins": ["https://www.example.com"], "headers": ["x"]}}},
        "applications.app.cors.headers: does not list authorization",
    ),
    *(
        ({"issuer": issuer}, f"providers.main.access_tokens.types: access tokens of {kind} are")
        for issuer, kind in (
            (KEYCLOAK, "Keycloak"),
            ("https://idp.example/auth/realms/demo", "Keycloak"),
            ("https://dev-1.okta.com/oauth2/default", "Okta"),
            (
                "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0",
                "Entra",
            ),
            ("https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_x", "Cognito"),
        )
    ),
]


@pytest.mark.parametrize(("how", "begin"), FOUND)
def test_what_is_seldom_meant_is_named_with_its_remedy(how: dict[str, Any], begin: str) -> None:
    (line,) = lines(**how)
    assert line.startswith(begin)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"app": {"bearer": {"opaque": "main"}}, "tokens": {"introspection": CLIENT}},
        {"app": {"bearer": {"audiences": ["https://api.example", "https://idp.example.org"]}}},
        {"rule": {**BEARER, "allow": SCOPES}},
        {"rule": {**BOTH, "allow": [SCOPES, {"groups": ["staff"]}]}},
        {"issuer": KEYCLOAK, "tokens": OWN},
        {"issuer": KEYCLOAK, "rule": {}},
        {"app": {"cors": {"origins": ["https://www.example.com"], "headers": ["Authorization"]}}},
        {"rule": {}, "app": {"cors": {"origins": ["https://www.example.com"]}}},
    ],
)
def test_what_is_right_is_not_named(how: dict[str, Any]) -> None:
    assert lines(**how) == []
