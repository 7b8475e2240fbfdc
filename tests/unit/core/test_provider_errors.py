"""Refusals about what a provider answered: what they are called in the log."""

import pytest

from extproc.core.provider_errors import (
    KEY_ERRORS,
    InvalidIDToken,
    InvalidTokenResponse,
    UnknownKey,
    UnverifiedUserInfo,
    WrongSignature,
)


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (InvalidIDToken("nonce", "x"), "id_token_nonce"),
        (UnknownKey(), "id_token_key"),
        (WrongSignature(), "id_token_signature"),
    ],
)
def test_a_token_s_failed_check_is_its_reason(refusal, reason):
    assert (refusal.reason, f"id_token_{refusal.check}") == (reason, reason)


def test_what_is_wrong_with_a_key_needs_no_further_words():
    assert {refusal.detail for refusal in (UnknownKey(), WrongSignature())} == {""}


def test_a_newer_key_set_may_help_where_no_key_has_signed():
    for refusal in (UnknownKey(), WrongSignature(), UnverifiedUserInfo("x")):
        assert isinstance(refusal, KEY_ERRORS)
    assert not isinstance(InvalidIDToken("nonce"), KEY_ERRORS)


def test_the_tokens_of_a_response_that_is_refused_are_kept_for_their_revocation():
    tokens = (("access_token", "at"),)
    assert InvalidTokenResponse("x", tokens).tokens == tokens
    assert InvalidTokenResponse("x").tokens == ()
