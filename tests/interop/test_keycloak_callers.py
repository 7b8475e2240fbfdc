"""API callers with the access tokens of a real Keycloak: JWTs of its own form, and by RFC 9068."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from harness.gateway import Stack
from harness.keycloak import Keycloak

RULES = [
    {"name": "own", "paths": ["/api/"], "accept": ["bearer"]},
    {"name": "dev", "paths": ["/dev/"], "accept": ["bearer"], "allow": {"groups": ["dev"]}},
]
# what docs/api-callers.md says of Keycloak
OWN = {"types": ["JWT"], "required_claims": {"typ": ["Bearer"]}}
KINDS = ("access_token", "id_token", "refresh_token")
RFC9068 = {"access.token.header.type.rfc9068": "true"}


@pytest.fixture(scope="module", params=["own", "at+jwt"])
def running(request: pytest.FixtureRequest, keycloak: Keycloak) -> Iterator[Stack]:
    """A gateway for Keycloak's own access tokens, or for those by RFC 9068 alone, and a client
    machine with such tokens.
    """
    own = request.param == "own"
    settings: dict[str, Any] = {"applications": {"app": {"rules": RULES}}}
    if own:
        settings["providers"] = {"main": {"access_tokens": OWN}}
    with (
        Stack(keycloak, settings=settings) as stack,
        keycloak.operator() as operator,
    ):
        operator.add_caller("machine", stack.url("/"), **({} if own else RFC9068))
        operator.add_caller("stranger", "https://other.example/", **({} if own else RFC9068))
        operator.add_caller("unlike", stack.url("/"), **(RFC9068 if own else {}))
        yield stack


def called(stack: Stack, path: str, token: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"}
    return httpx.get(stack.url(path), headers=headers, trust_env=False)


def test_a_user_s_access_token_admits_with_the_user_s_identity(
    running: Stack, keycloak: Keycloak
) -> None:
    token = keycloak.tokens("machine", "alice")["access_token"]
    for path in ("/api/x", "/dev/x"):
        running.app.requests.clear()
        assert called(running, path, token).status_code == 200
        (received,) = running.app.requests
        assert received.get("x-auth-email") == "alice@example.test"
        assert received.get("x-auth-groups") == "admins,dev"
        assert received.get("authorization") is None


def test_a_service_s_access_token_is_its_own(running: Stack, keycloak: Keycloak) -> None:
    token = keycloak.tokens("machine")["access_token"]
    running.app.requests.clear()
    assert called(running, "/api/x", token).status_code == 200
    assert called(running, "/dev/x", token).status_code == 403
    (received,) = running.app.requests
    assert received.get("x-auth-sub") and received.get("x-auth-email") is None


def test_no_other_token_of_keycloak_s_is_one(running: Stack, keycloak: Keycloak) -> None:
    own = keycloak.tokens("machine", "alice")
    others = keycloak.tokens("stranger", "alice")
    running.app.requests.clear()
    for token in (own["id_token"], own["refresh_token"], *(others[name] for name in KINDS)):
        assert called(running, "/api/x", token).status_code == 401
    # Another form of access tokens than the settings have.
    unlike = keycloak.tokens("unlike", "alice")["access_token"]
    assert called(running, "/api/x", unlike).status_code == 401
    assert running.app.requests == []
