"""A provider's metadata against what the settings ask for."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from harness.envoy_config import APP, simple
from harness.static_server import Answer, StaticServer
from harness.tokens import public

from extproc.checks.findings import Finding
from extproc.checks.provider_metadata import check_metadata


@pytest.fixture
def provider() -> Iterator[StaticServer]:
    """A provider with one key for RS256."""
    with StaticServer() as server:
        server.answers["/jwks"] = Answer.json({"keys": [public("RS256")]})
        yield server


def found(
    provider: StaticServer, app: dict[str, Any] | None = None, **changes: Any
) -> list[Finding]:
    url = provider.url
    metadata = {
        "issuer": url,
        **{f"{name}_endpoint": f"{url}/{name}" for name in ("authorization", "token", "userinfo")},
        "end_session_endpoint": f"{url}/logout",
        "revocation_endpoint": f"{url}/revoke",
        "jwks_uri": f"{url}/jwks",
        "code_challenge_methods_supported": ["S256"],
        "backchannel_logout_supported": True,
    }
    document = {name: value for name, value in (metadata | changes).items() if value is not None}
    made = simple(
        providers={
            "main": {"issuer": url, "client_id": "x", "client_secret": "s", "scopes": ["openid"]}
        },
        applications={"app": {**APP, "acr_values": ["mfa"], **(app or {})}},
    )
    with httpx.Client() as client:
        response = httpx.Response(200, text=json.dumps(document))
        return list(check_metadata(made, "main", client, response))


def test_metadata_that_lacks_nothing_has_no_warning(provider: StaticServer) -> None:
    assert [each.level for each in found(provider)] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("changes", "level", "part", "text"),
    [
        ({"issuer": "https://evil.example"}, "error", "issuer", "issuer is 'https://evil.example'"),
        ({"issuer": "https://idp.example/{tenantid}/v2.0"}, "error", "issuer", "that of your tenant"),
        ({"token_endpoint": "http://127.0.0.1:9490/"}, "error", "issuer", "leads to a listener of the processor"),
        ({"response_types_supported": ["token"]}, "error", "main", "response type code"),
        ({"id_token_signing_alg_values_supported": ["ES256"]}, "error", "response_alg", "signs with ES256"),
        ({"id_token_signing_alg_values_supported": ["HS256", "PS512"]}, "error", "response_alg", "signs with PS512: set"),
        ({"id_token_signing_alg_values_supported": ["HS256", "none"]}, "error", "response_alg", "none of these is supported: choose RS256"),
        ({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}, "error", "auth_method", "accepts private_key_jwt"),
        ({"code_challenge_methods_supported": None}, "warning", "main", "PKCE"),
        ({"scopes_supported": ["email"]}, "warning", "scopes", "does not list openid"),
        ({"grant_types_supported": ["authorization_code"]}, "warning", "scopes", "refresh_token"),
        ({"claims_supported": ["sub", "email"]}, "warning", "main.trust_email", "x-auth-email may be missing"),
        ({"acr_values_supported": ["low"]}, "warning", "applications.app.acr_values", "mfa"),
        ({"end_session_endpoint": None}, "warning", "main", "end_session_endpoint"),
        ({"revocation_endpoint": None}, "warning", "main", "revocation_endpoint"),
        ({"backchannel_logout_supported": None}, "warning", "backchannel_logout", "back-channel"),
    ],
)  # fmt: skip
def test_each_thing_that_is_lacking_is_one_finding_with_its_remedy(
    provider: StaticServer, changes: dict[str, Any], level: str, part: str, text: str
) -> None:
    (only,) = (each for each in found(provider, **changes) if each.level != "ok")
    assert only.level == level and only.part.endswith(part) and only.remedy
    assert text in f"{only.what} {only.remedy}"


STAFF = {"allow": {"groups": ["staff"]}}


@pytest.mark.parametrize(
    ("app", "changes", "part", "text"),
    [
        (STAFF, {"claims_supported": ["sub", "email_verified", "roles"]}, "providers.main.groups_claim", "it lists sub, email_verified, roles"),
        ({"rules": [{"name": "a", "paths": ["/a/"], "allow": {"acr_values": ["phr", "mfa"]}}]}, {"acr_values_supported": ["mfa"]}, "applications.app.rules.a.allow.acr_values", "does not list phr"),
        ({"allow": {"acr_values": ["phr", "mfa"]}}, {"acr_values_supported": ["mfa"]}, "applications.app.allow.acr_values", "does not list phr"),
    ],
)  # fmt: skip
def test_what_rules_ask_for_and_the_provider_does_not_list_is_named(
    provider: StaticServer, app: dict[str, Any], changes: dict[str, Any], part: str, text: str
) -> None:
    (only,) = (each for each in found(provider, app, **changes) if each.level != "ok")
    assert (only.level, only.part) == ("warning", part) and text in f"{only.what} {only.remedy}"


def test_a_claim_with_groups_that_is_listed_or_that_no_rule_reads_is_no_warning(
    provider: StaticServer,
) -> None:
    listed = {"claims_supported": ["email_verified", "groups"]}
    other = {"claims_supported": ["email_verified"]}
    for app, claims in ((STAFF, listed), ({}, other)):
        assert [each.level for each in found(provider, app, **claims)] == ["ok", "ok"]
