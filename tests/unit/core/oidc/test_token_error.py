"""Errors of the token endpoint: what they mean for a code, and for a refresh token."""

import json

import pytest
from harness.refusals import EVIL

from extproc.core.oidc.token_error import code_error, refresh_error
from extproc.core.provider_errors import (
    ClientRefused,
    CodeRefused,
    InvalidTokenResponse,
    ProviderFailed,
)

NOT_REGISTERED = "the token endpoint refuses with an error that is not registered"


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
        (json.dumps({"error": EVIL}), InvalidTokenResponse, NOT_REGISTERED),
        ('{"error":["x"]}', InvalidTokenResponse, NOT_REGISTERED),
        ("{}", InvalidTokenResponse, NOT_REGISTERED),
    ],
)  # fmt: skip
def test_the_log_names_a_registered_error_of_the_token_endpoint(body, kind, detail):
    error = code_error(body.encode())
    assert (type(error), error.detail) == (kind, detail)


def refused(status: int, error: object):
    answer = {"error": error, "error_description": "AADSTS50076", "suberror": "basic_action"}
    problem = refresh_error(status, json.dumps(answer).encode())
    return type(problem), problem.detail


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize(
    "error",
    [
        "invalid_grant", "access_denied",
        "interaction_required", "login_required", "consent_required", "account_selection_required", "mfa_required",
    ],
)  # fmt: skip
def test_an_error_that_no_later_try_can_change_is_final_for_a_refresh_token(status, error):
    assert refused(status, error) == (CodeRefused, error)


@pytest.mark.parametrize(
    "error", ["invalid_request", "invalid_scope", "unauthorized_client", "unsupported_grant_type"]
)
def test_what_is_wrong_with_the_request_is_final_with_400_alone(error):
    assert refused(400, error) == (CodeRefused, error)
    for status in (401, 403, 404):
        assert refused(status, error)[0] is not CodeRefused


@pytest.mark.parametrize("status", [401, 403])
def test_keycloak_s_word_for_wrong_credentials_costs_no_session(status):
    assert refused(status, "unauthorized_client") == (ClientRefused, "unauthorized_client")


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, "invalid_token"), (400, "user_disabled"), (400, "policy_required"), (403, "terms_required")],
)  # fmt: skip
def test_so_is_one_that_is_not_registered_and_its_text_is_not_repeated(status, error):
    assert refused(status, error) == (CodeRefused, NOT_REGISTERED)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "bad_request"), (400, "unknown_error"), (400, "upstream_error"), (400, "invalid_client_secret"), (400, "bad_client_secret"),
        (400, "temporarily_unavailable"), (400, "server_error"), (400, "slow_down"), (400, "too_many_requests"),
        # a framework's or a proxy's words
        (400, "Bad Request"), (401, "unauthorized"), (403, "forbidden"), (404, "not_found"), (404, "Realm does not exist"), (400, EVIL),
        (400, ["x"]), (400, None), (400, 7), (400, {}), (400, ""), (400, "x" * 65), (400, "a\n"),
    ],
)  # fmt: skip
def test_every_other_error_leaves_the_session_as_it_is(status, error):
    assert refused(status, error) == (InvalidTokenResponse, NOT_REGISTERED)


@pytest.mark.parametrize("status", [408, 425, 429])
def test_a_status_that_asks_for_another_try_is_not_final_whatever_the_error(status):
    answer = f"the provider answers {status}"
    assert refused(status, "invalid_grant") == (ProviderFailed, answer)


@pytest.mark.parametrize("status", [400, 401])
def test_wrong_credentials_of_the_client_are_the_operators_to_correct_and_end_no_session(status):
    assert refused(status, "invalid_client") == (ClientRefused, "invalid_client")


@pytest.mark.parametrize("body", [b"", b"Bad Request", b"<html>", b"[]", b"\xff", b"[" * 9000])
def test_an_answer_without_a_json_object_is_not_the_token_endpoints_own(body):
    assert type(refresh_error(400, body)) is InvalidTokenResponse
