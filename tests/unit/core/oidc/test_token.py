"""The token endpoint: requests, responses and errors."""

import json

import pytest
from harness.refusals import EVIL, raised
from harness.tokens import METADATA, client, pending

from extproc.core.errors import ClientRefused, CodeRefused, InvalidTokenResponse
from extproc.core.oidc.token import (
    RefreshResponse,
    TokenResponse,
    code_grant,
    refresh_grant,
    revocation,
    token_error,
)


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
        (lambda: response(RefreshResponse, expires_in=-1), "expires_in is no number of seconds"),
    ],
)  # fmt: skip
def test_the_log_names_what_is_wrong_with_a_token_response(call, detail):
    assert raised(call) == (InvalidTokenResponse, detail)


def test_a_right_token_response_is_read_whole():
    assert response(refresh_token="rt") == TokenResponse("at", "idt", "rt", 60)
    assert response(RefreshResponse, id_token=None, expires_in=0) == RefreshResponse(
        "at", None, None, 0
    )
    assert response(expires_in=1e12).expires_in == 31_536_000


@pytest.mark.parametrize(
    ("body", "kind", "detail"),
    [
        (EVIL, InvalidTokenResponse, "an error answer without a JSON object"),
        ('{"error":"invalid_grant"}', CodeRefused, "invalid_grant"),
        ('{"error":"invalid_client"}', ClientRefused, "invalid_client"),
        ('{"error":"unauthorized_client"}', ClientRefused, "unauthorized_client"),
        ('{"error":"invalid_request"}', InvalidTokenResponse, "the token endpoint says invalid_request"),
        ('{"error":"unsupported_grant_type"}', InvalidTokenResponse, "the token endpoint says unsupported_grant_type"),
        ('{"error":"invalid_scope"}', InvalidTokenResponse, "the token endpoint says invalid_scope"),
        (json.dumps({"error": EVIL}), InvalidTokenResponse, "the token endpoint refuses with an error that is not registered"),
        ("{}", InvalidTokenResponse, "the token endpoint refuses with an error that is not registered"),
    ],
)  # fmt: skip
def test_the_log_names_a_registered_error_of_the_token_endpoint(body, kind, detail):
    error = token_error(body.encode())
    assert (type(error), error.detail) == (kind, detail)


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
        {"expires_in": "soon"}, {"expires_in": -1}, {"expires_in": True}, {"expires_in": [1]},
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


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error":"invalid_grant"}', CodeRefused),
        (b'{"error":"invalid_client"}', ClientRefused),
        (b'{"error":"invalid_scope"}', InvalidTokenResponse),
        (b'{"error":["x"]}', InvalidTokenResponse),
        (b"<html>", InvalidTokenResponse),
    ],
)
def test_what_an_error_of_the_token_endpoint_means(body, kind):
    assert type(token_error(body)) is kind


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


@pytest.mark.parametrize("members", [{"access_token": None}, {"access_token": ""}, {"id_token": 7}, {"refresh_token": "a b"}, {"expires_in": -1}, {"token_type": "mac"}])  # fmt: skip
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
