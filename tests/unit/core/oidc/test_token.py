"""The token endpoint: requests, responses and errors."""

import json

import pytest
from harness.refusals import EVIL, raised
from harness.tokens import METADATA, client, pending

from extproc.core.oidc.token import (
    RefreshResponse,
    TokenResponse,
    code_grant,
    refresh_grant,
    revocation,
    tokens_in,
)
from extproc.core.provider_errors import InvalidTokenResponse


def response(kind=TokenResponse, **changes):
    right = {"access_token": "at", "id_token": "idt", "token_type": "Bearer", "expires_in": 60}
    return kind.parse(
        json.dumps(
            {name: value for name, value in (right | changes).items() if value is not None}
        ).encode()
    )


@pytest.mark.parametrize(
    ("call", "detail"),
    [
        (lambda: TokenResponse.parse(EVIL.encode()), "the token response is not JSON"),
        (lambda: response(token_type=EVIL), "token_type is not Bearer"),
        (lambda: response(access_token=None), "access_token is missing or no token"),
        (lambda: response(access_token=EVIL + " "), "access_token is missing or no token"),
        (lambda: response(id_token=None), "id_token is missing or no token"),
        (lambda: response(id_token=["x"]), "id_token is missing or no token"),
        (lambda: response(refresh_token=""), "refresh_token is missing or no token"),
        (lambda: response(expires_in=EVIL), "expires_in is no number of seconds"),
        (lambda: response(RefreshResponse, expires_in=[-1]), "expires_in is no number of seconds"),
    ],
)  # fmt: skip
def test_the_log_names_what_is_wrong_with_a_token_response(call, detail):
    assert raised(call) == (InvalidTokenResponse, detail)


def test_a_right_token_response_is_read_whole():
    assert response(refresh_token="rt") == TokenResponse("at", "idt", "rt", 60)
    assert response(RefreshResponse, id_token=None) == RefreshResponse("at", None, None, 60)


@pytest.mark.parametrize(
    ("said", "life"),
    [
        (3599, 3599), (59.9, 59), (1, 1), ("3599", 3599), ("0060", 60), ("1", 1), (1e12, 31_536_000), (10**400, 31_536_000), ("9" * 20_000, 31_536_000),
        # as unknown as none at all: otherwise the token would be renewed, or the user signed in, for ever
        (0, 300), (-1, 300), (0.5, 300), (-0.0, 300), (-1e300, 300), ("0", 300), ("000", 300), ("-1", 300), ("-0", 300),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [TokenResponse, RefreshResponse])
def test_a_lifetime_is_a_number_or_digits_and_none_that_is_over_at_once(kind, said, life):
    assert response(kind, expires_in=said).expires_in == life


def test_a_lifetime_of_null_is_an_absent_one():
    body = b'{"access_token": "at", "token_type": "Bearer", "expires_in": null}'
    assert RefreshResponse.parse(body).expires_in == 300


MEMBERS = {"access_token": "at", "id_token": "idt", "token_type": "bearer"}


@pytest.mark.attack("FAPI-09")
def test_a_token_response_without_expires_in_has_a_default():
    assert TokenResponse.parse(json.dumps(MEMBERS).encode()).expires_in == 300


@pytest.mark.attack("IDT-28", "REL-10")
@pytest.mark.parametrize(
    "changes",
    [
        {"access_token": None}, {"access_token": ""}, {"access_token": 5}, {"access_token": "a b"}, {"access_token": "a\nb"}, {"access_token": "é"},
        {"id_token": None}, {"id_token": ["x"]}, {"token_type": None}, {"token_type": "mac"}, {"token_type": 5}, {"refresh_token": 5}, {"refresh_token": ""},
        {"expires_in": "soon"}, {"expires_in": ""}, {"expires_in": "1 h"}, {"expires_in": "1e3"}, {"expires_in": "٣"}, {"expires_in": "--1"}, {"expires_in": True}, {"expires_in": [1]},
    ],
)  # fmt: skip
def test_a_malformed_token_response_is_refused(changes):
    answer = {name: value for name, value in (MEMBERS | changes).items() if value is not None}
    with pytest.raises(InvalidTokenResponse):
        TokenResponse.parse(json.dumps(answer).encode())


@pytest.mark.attack("REL-07")
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"\xff"])
def test_a_token_response_that_is_no_object_is_refused(body):
    with pytest.raises(InvalidTokenResponse):
        TokenResponse.parse(body)


BOTH = (("access_token", "at"), ("refresh_token", "rt"))


@pytest.mark.parametrize(
    ("members", "tokens"),
    [
        ('"access_token": "at", "refresh_token": "rt"', BOTH),
        ('"refresh_token": "rt", "id_token": "x.y.z", "nested": {"access_token": "no"}', BOTH[1:]),
        ('"access_token": "at", "access_token": "at2"', (BOTH[0], ("access_token", "at2"))),
        ('"access_token": "at", "expires_in": NaN, "refresh_token": "rt"', BOTH),
        ('"access_token": "a t", "refresh_token": ""', ()),
        ('"access_token": ["at"], "refresh_token": null', ()),
        (", ".join(f'"access_token": "{n}"' for n in range(9)), tuple(("access_token", str(n)) for n in range(4))),
    ],
)  # fmt: skip
def test_the_tokens_of_a_response_that_is_refused_can_be_revoked(members, tokens):
    body = f"{{{members}}}".encode()
    assert tokens_in(body) == tokens
    with pytest.raises(InvalidTokenResponse) as refused:
        TokenResponse.parse(body)
    assert refused.value.tokens == tokens


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'"access_token"', b"7", b"\xff", b'[{"access_token": "at"}]', b"[" * 50_000, b'{"a":' * 50_000, b'{"a":' + b"9" * 5000 + b"}"],
    ids=range(9),
)  # fmt: skip
def test_what_is_no_object_has_none(body):
    assert tokens_in(body) == ()


def refresh_response(**members) -> RefreshResponse:
    said = {
        "access_token": "at2",
        "token_type": "Bearer",
        "expires_in": 600,
        "refresh_token": "rt2",
        **members,
    }
    return RefreshResponse.parse(
        json.dumps({name: value for name, value in said.items() if value is not None}).encode()
    )


@pytest.mark.parametrize("members", [{"access_token": None}, {"access_token": ""}, {"id_token": 7}, {"refresh_token": "a b"}, {"expires_in": "x"}, {"token_type": "mac"}])  # fmt: skip
def test_an_answer_that_is_none_is_refused(members):
    with pytest.raises(InvalidTokenResponse):
        refresh_response(**members)


def test_rfc_7009_a_token_is_revoked_with_its_kind():
    asked = revocation(client(), "the-token", "refresh_token")
    assert ("token", "the-token") in asked.parameters and (
        "token_type_hint",
        "refresh_token",
    ) in asked.parameters
    assert METADATA.revocation_endpoint is not None and asked.authorization is not None


def test_rfc_6749_and_7636_the_token_request_is_exact():
    assert code_grant(client(), "the-code", pending()).parameters == (
        ("grant_type", "authorization_code"),
        ("code", "the-code"),
        ("redirect_uri", "https://app.example/oauth2/callback"),
        ("code_verifier", pending().code_verifier),
    )


def test_a_refresh_token_request_is_exact():
    assert refresh_grant(client(), "rt").parameters == (
        ("grant_type", "refresh_token"),
        ("refresh_token", "rt"),
    )
