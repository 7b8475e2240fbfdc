"""Refusals: what they are called in the log."""

import pytest

from extproc.core.errors import LoginRequired, ProviderRefused


def test_a_refusal_without_a_detail_is_called_by_its_reason():
    assert str(LoginRequired()) == "login_required" and LoginRequired().detail == ""


@pytest.mark.parametrize(
    ("error", "detail"),
    [("access_denied", ""), ("<script>", "an error code that is not registered")],
)
def test_what_a_provider_calls_a_refusal_is_said_only_when_it_is_registered(error, detail):
    assert ProviderRefused(error).detail == detail or str(ProviderRefused(error)) == detail
    assert "<script>" not in repr(ProviderRefused(error))
