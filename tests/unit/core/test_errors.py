"""Refusals: what they are called in the log."""

import pytest

from extproc.core.errors import (
    InvalidLogoutToken,
    LoginRequired,
    NoSuchEndpoint,
    ProviderRefused,
    Refusal,
    StoreUnavailable,
)
from extproc.core.reasons import REASONS, Level


def test_a_refusal_without_a_detail_is_called_by_its_reason():
    assert str(LoginRequired()) == "login_required" and LoginRequired().detail == ""


@pytest.mark.parametrize(
    ("error", "detail"),
    [("access_denied", ""), ("<script>", "an error code that is not registered")],
)
def test_what_a_provider_calls_a_refusal_is_said_only_when_it_is_registered(error, detail):
    assert ProviderRefused(error).detail == detail or str(ProviderRefused(error)) == detail
    assert "<script>" not in repr(ProviderRefused(error))


def test_a_refusal_has_status_and_level_of_its_row():
    refusal = StoreUnavailable("the disk is full")
    assert refusal.row is REASONS["store_unavailable"]
    assert (refusal.status, refusal.level) == (503, Level.WARNING)
    assert (refusal.detail, str(refusal)) == ("the disk is full", "the disk is full")
    assert NoSuchEndpoint().status == 404


def test_a_refusal_of_no_kind_is_a_bug():
    assert (Refusal().reason, Refusal().status) == ("internal_error", 500)


def test_a_token_s_failed_check_is_its_reason():
    refusal = InvalidLogoutToken("events")
    assert (refusal.reason, refusal.check) == ("logout_token_events", "events")


@pytest.mark.attack("FLOW-15")
def test_a_registered_error_of_the_provider_is_said_by_its_name():
    assert [ProviderRefused(error).reason for error in ("access_denied", "mine")] == [
        "provider_access_denied",
        "provider_error",
    ]
    assert "not registered" in ProviderRefused("mine").detail
