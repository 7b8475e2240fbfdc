"""Refusals of access tokens: each has its row of the table."""

import pytest

from extproc.core.bearer_errors import (
    BearerKeyPending,
    InsufficientScope,
    InvalidAccessToken,
    InvalidAuthorization,
    TokenRequired,
    TooManyIntrospections,
)
from extproc.core.reasons.tokens import ACCESS_TOKEN


@pytest.mark.parametrize("row", ACCESS_TOKEN[:-2], ids=lambda row: row.code)
def test_an_invalid_access_token_is_401_by_the_name_of_its_check(row):
    error = InvalidAccessToken(row.code.removeprefix("bearer_token_"), "why")
    assert (error.row, error.status, error.detail) == (row, 401, "why")


def test_each_refusal_of_a_caller_has_its_code_of_rfc_6750():
    refusals = (
        TokenRequired(),
        InvalidAuthorization(),
        InsufficientScope(),
        InvalidAccessToken("x"),
    )
    assert [each.error for each in refusals] == [
        "",
        "invalid_request",
        "insufficient_scope",
        "invalid_token",
    ]
    assert [each.status for each in refusals[:3]] == [401, 400, 403]


def test_what_may_succeed_later_says_when():
    assert (BearerKeyPending().status, BearerKeyPending().row.retry_after) == (503, 10)
    assert (TooManyIntrospections().status, TooManyIntrospections().row.retry_after) == (429, 60)
