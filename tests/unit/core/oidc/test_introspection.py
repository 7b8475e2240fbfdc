"""Introspection: what a provider says of an opaque token, and what it may not say."""

import json

import pytest
from harness.refusals import EVIL
from harness.tokens import API, ISSUER, NOW, access_token_claims, token_profile

from extproc.core.bearer_errors import InvalidAccessToken
from extproc.core.oidc.client import ClientCredentials
from extproc.core.oidc.introspection import (
    MAX_INTROSPECTION,
    UNKNOWN_LIFE,
    introspected,
    introspection,
    introspection_error,
)
from extproc.core.provider_errors import ClientRefused, InvalidAnswer


def body(**changes) -> bytes:
    right = access_token_claims(active=True, token_type="Bearer", username="al")
    claims = right | changes
    return json.dumps({name: value for name, value in claims.items() if value is not None}).encode()


def read(content: bytes, now: float = NOW, **profile):
    return introspected(token_profile(**profile), content, now)


def refusal(content: bytes) -> tuple[str, str]:
    with pytest.raises(InvalidAccessToken) as caught:
        read(content)
    assert EVIL not in caught.value.detail and caught.value.status == 401
    return caught.value.check, caught.value.detail


def test_a_right_response_is_read_whole():
    token = read(body(acr="gold", auth_time=NOW, email="a@example.com"))
    assert (token.subject, token.client_id, token.acr) == ("alice", "machine", "gold")
    assert token.scopes == {"orders:read", "orders:write"}
    assert (token.auth_time, token.issued_at, token.expires_at) == (NOW, NOW, NOW + 300)
    assert token.profile == token_profile()
    assert token.claims.values == {
        "sub": "alice",
        "client_id": "machine",
        "scope": "orders:read orders:write",
        "username": "al",
        "email": "a@example.com",
    }


def test_what_a_response_may_leave_out():
    least = json.dumps({"active": True, "aud": API}).encode()
    token = read(least, now=NOW + 0.5)
    assert (token.subject, token.client_id, token.scopes) == ("", None, frozenset())
    assert (token.issued_at, token.expires_at) == (NOW, NOW + UNKNOWN_LIFE)
    assert token.claims.values == {}


def test_the_clients_id_never_stands_for_a_subject():
    assert read(body(sub=None)).subject == ""


@pytest.mark.parametrize(
    ("changes", "check", "detail"),
    [
        ({"active": False}, "inactive", "active of the introspection response is not true"),
        ({"active": "true"}, "inactive", "active of the introspection response is not true"),
        ({"active": 1}, "inactive", "active of the introspection response is not true"),
        ({"active": 1.0}, "inactive", "active of the introspection response is not true"),
        ({"active": None}, "inactive", "active of the introspection response is not true"),
        ({"active": [True]}, "inactive", "active of the introspection response is not true"),
        ({"iss": EVIL}, "issuer", "iss is not the issuer of the settings"),
        ({"iss": ISSUER + "/"}, "issuer", "iss is not the issuer of the settings"),
        ({"aud": None}, "audience", "aud is missing, or neither text nor a list of text"),
        ({"aud": "https://other.example"}, "audience", "aud has none of the audiences of the application"),
        ({"aud": [API, "gateway"]}, "id_token", "aud has a client of the processor, as in ID tokens"),
        ({"exp": NOW - 60}, "expired", "exp was 60 s ago; leeway 60 s; check both clocks"),
        ({"exp": str(NOW + 60)}, "expired", "exp is missing or no number"),
        ({"exp": 0}, "expired", "exp was years ago; leeway 60 s; check both clocks"),
        ({"iat": "1"}, "issued_at", "iat is missing or no number"),
        ({"iat": NOW + 61}, "issued_at", "iat is 61 s in the future; leeway 60 s; check both clocks"),
        ({"nbf": NOW + 61}, "not_before", "nbf is 61 s in the future; leeway 60 s; check both clocks"),
        ({"auth_time": NOW + 61}, "auth_time", "auth_time is in the future; check both clocks"),
        ({"sub": 5}, "subject", "sub is missing, too long or no printable text"),
        ({"token_type": "DPoP"}, "type", "the claim token_type is of another kind of token"),
        ({"token_use": "refresh_token"}, "type", "the claim token_use is of another kind of token"),
        ({"typ": "Refresh"}, "type", "the claim typ is of another kind of token"),
        ({"nonce": EVIL}, "id_token", "there is nonce, which no access token has"),
        ({"cnf": {"jkt": EVIL}}, "sender_constrained", "cnf binds it to a key (DPoP, mTLS), which is not supported"),
    ],
)  # fmt: skip
def test_the_log_names_the_check_that_a_response_fails(changes, check, detail):
    assert refusal(body(**changes)) == (check, detail)


@pytest.mark.parametrize("name", ["iss", "exp", "iat", "nbf", "sub", "auth_time"])
def test_a_member_that_is_null_or_beyond_all_numbers_is_not_absent(name):
    assert refusal(body()[:-1].replace(f'"{name}"'.encode(), b'"x"') + f',"{name}":null}}'.encode())
    assert refusal(
        body()[:-1].replace(f'"{name}"'.encode(), b'"x"') + f',"{name}":1e400}}'.encode()
    )


def test_types_and_required_claims_are_for_jwts():
    assert read(body(), types=("JWT",), required_claims=(("no", ("such",)),)).subject == "alice"


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "the introspection response is not JSON"),
        (b"<html>active: true</html>", "the introspection response is not JSON"),
        (b"[true]", "the introspection response is no JSON object"),
        (b'{"active":false,"active":true}', "the introspection response is a key stands twice"),
        (b'{"active":NaN}', "the introspection response is NaN and Infinity are no JSON"),
        (b"\xff\xfe", "the introspection response is not JSON"),
        (b'{"a":' * 10_000, "the introspection response is not JSON"),
        (b" " * (MAX_INTROSPECTION + 1), "the introspection response is longer than 64 kB"),
    ],
)
def test_what_is_no_response_is_the_providers_fault(content, detail):
    with pytest.raises(InvalidAnswer) as caught:
        read(content)
    assert (caught.value.detail, caught.value.status) == (detail, 502)


def test_a_response_of_64_kb_is_read():
    content = body()
    padded = content[:-1] + b" " * (MAX_INTROSPECTION - len(content)) + b"}"
    assert len(padded) == MAX_INTROSPECTION and read(padded).subject == "alice"


def test_the_request_has_the_token_and_the_introspecting_client():
    basic = introspection(ClientCredentials("a:b", "client_secret_basic", "c d"), "tok")
    assert basic.parameters == (("token", "tok"), ("token_type_hint", "access_token"))
    assert basic.authorization == "Basic YSUzQWI6Yytk"
    post = introspection(ClientCredentials("a", "client_secret_post", "c"), "tok")
    assert post.parameters[2:] == (("client_id", "a"), ("client_secret", "c"))
    assert post.authorization is None
    assert "tok" not in repr(basic) and "c d" not in repr(ClientCredentials("a", "x", "c d"))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"error":"invalid_request"}', InvalidAccessToken),
        (b'{"error":"invalid_token"}', InvalidAccessToken),
        (b'{"error":"invalid_grant"}', InvalidAccessToken),
        (b'{"error":"unsupported_token_type"}', InvalidAccessToken),
        (b'{"error":"invalid_client"}', ClientRefused),
        (b'{"error":"unauthorized_client"}', ClientRefused),
        (b'{"error":"Bad Request"}', InvalidAnswer),
        (b'{"error":["invalid_request"]}', InvalidAnswer),
        (b"{}", InvalidAnswer),
        (b"<html>", InvalidAnswer),
    ],
)
def test_a_400_is_about_the_token_if_it_says_so(body, error):
    assert type(introspection_error(body)) is error
