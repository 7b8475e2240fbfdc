"""API callers with the access tokens of a real oidc-provider: JWTs by RFC 9068, opaque tokens that
it introspects, of users and of machines.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from harness.gateway import Stack
from harness.oidc_provider import OidcProvider
from harness.processes import wait_until
from harness.providers import SECRET

RULES = [
    {"name": "api", "paths": ["/api/"], "accept": ["bearer"], "allow": {"scopes": ["orders:read"]}}
]
NUMBERS = itertools.count(1)
KINDS = pytest.mark.parametrize("opaque", [False, True], ids=["jwt", "opaque"])


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    def settings(stack: Stack) -> dict[str, Any]:
        introspection = {"client_id": "introspector", "client_secret": SECRET}
        inner = {
            "hosts": ["localhost"],
            "path_prefix": "/inner/",
            "upstream": stack.app.url,
            "provider": "main",
            "rules": [{"name": "inner", "paths": ["/inner/"], "accept": ["bearer"]}],
        }
        return {
            "providers": {"main": {"access_tokens": {"introspection": introspection}}},
            "applications": {"app": {"bearer": {"opaque": "main"}, "rules": RULES}, "inner": inner},
        }

    with Stack(OidcProvider(), settings=settings) as stack:
        yield stack


@pytest.fixture
def stack(running: Stack) -> Stack:
    running.app.requests.clear()
    return running


def called(stack: Stack, token: str, path: str = "/api/x") -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"}
    return httpx.get(stack.url(path), headers=headers, trust_env=False)


def asked(stack: Stack) -> int:
    """How often the provider was asked about a token until now."""
    marker = f"/public/{next(NUMBERS)}"
    httpx.get(stack.url(marker), trust_env=False)
    # Its line comes after those of all earlier requests.
    stack.access_log(lambda line: line["path"] == marker)
    lines = stack.access_log()
    return len([line for line in lines if line["path"].endswith("/token/introspection")])


@KINDS
def test_a_user_s_token_admits_with_the_user_s_identity(stack: Stack, opaque: bool) -> None:
    token = stack.provider.access_token(stack.url("/"), "orders:read", user="alice", opaque=opaque)
    assert called(stack, token).status_code == 200
    (received,) = stack.app.requests
    assert received.get("x-auth-sub") == "alice"
    assert received.get("x-auth-email") == "alice@example.test"
    assert received.get("x-auth-groups") == "admins,dev"
    assert received.get("authorization") is None


@KINDS
def test_a_machine_s_token_admits_and_is_no_user(stack: Stack, opaque: bool) -> None:
    token = stack.provider.access_token(stack.url("/"), "orders:read", opaque=opaque)
    assert called(stack, token).status_code == 200
    (received,) = stack.app.requests
    assert received.get("x-auth-email") is None
    # An introspection response has no sub for a client of its own; a JWT has the client's id.
    assert received.get("x-auth-sub") == (None if opaque else "machine")


@KINDS
def test_a_token_without_the_scope_or_of_another_application_does_not(
    stack: Stack, opaque: bool
) -> None:
    token = stack.provider.access_token(stack.url("/"), "orders:write", user="bob", opaque=opaque)
    answer = called(stack, token)
    assert answer.status_code == 403 and "insufficient_scope" in answer.headers["www-authenticate"]
    other = stack.provider.access_token(stack.url("/inner/"), "orders:read", opaque=opaque)
    assert called(stack, other).status_code == 401
    # Its own application takes JWTs alone.
    assert called(stack, other, "/inner/x").status_code == (401 if opaque else 200)
    assert len(stack.app.requests) == (0 if opaque else 1)


def test_an_opaque_token_is_introspected_once_and_a_jwt_never(stack: Stack) -> None:
    opaque = stack.provider.access_token(stack.url("/"), "orders:read", opaque=True)
    signed = stack.provider.access_token(stack.url("/"), "orders:read")
    before = asked(stack)
    for _ in range(5):
        assert called(stack, opaque).status_code == 200
    assert called(stack, signed[:-8] + "AAAAAAAA").status_code == 401
    assert asked(stack) == before + 1


@pytest.mark.heavy
def test_a_revoked_opaque_token_is_refused_when_the_provider_is_asked_again(stack: Stack) -> None:
    """Within a minute, by the clock that counts for everybody."""
    token = stack.provider.access_token(stack.url("/"), "orders:read", user="alice", opaque=True)
    unseen = stack.provider.access_token(stack.url("/"), "orders:read", user="alice", opaque=True)
    assert called(stack, token).status_code == 200
    stack.provider.revoke(token)
    stack.provider.revoke(unseen)
    assert called(stack, unseen).status_code == 401
    wait_until(lambda: called(stack, token).status_code == 401, 90, "the revocation", every=1)
