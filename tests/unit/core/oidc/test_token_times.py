"""Times in tokens, at their bounds."""

import pytest

from extproc.core.oidc.token_times import (
    check_auth_time,
    check_expires,
    check_issued,
    check_not_before,
    distance,
)
from extproc.core.provider_errors import InvalidIDToken

NOW, LEEWAY = 1_800_000_000, 60.0
NO_NUMBERS = (None, True, "1800000000", [NOW], {}, 1e400, 10**400)


def refusal(check, claims, *arguments):
    with pytest.raises(InvalidIDToken) as caught:
        check(claims, *arguments)
    return caught.value.check, caught.value.detail


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: type(value).__name__)
def test_a_time_that_is_no_number_is_refused(value):
    assert refusal(check_expires, {"exp": value}, NOW, LEEWAY) == (
        "expired",
        "exp is missing or no number",
    )
    assert refusal(check_issued, {"iat": value}, NOW, LEEWAY) == (
        "issued_at",
        "iat is missing or no number",
    )
    assert refusal(check_not_before, {"nbf": value}, NOW, LEEWAY) == (
        "not_before",
        "nbf is no number",
    )
    assert refusal(check_auth_time, {"auth_time": value}, NOW) == (
        "malformed",
        "auth_time is no number",
    )


def test_times_count_up_to_the_leeway_and_no_further():
    assert check_expires({"exp": NOW - 59.5}, NOW, LEEWAY) == NOW - 59.5
    assert refusal(check_expires, {"exp": NOW - 60}, NOW, LEEWAY) == (
        "expired",
        "exp was 60 s ago; leeway 60 s; check both clocks",
    )
    assert check_issued({"iat": NOW + 60}, NOW, LEEWAY) == NOW + 60
    assert refusal(check_issued, {"iat": NOW + 61}, NOW, LEEWAY) == (
        "issued_at",
        "iat is 61 s in the future; leeway 60 s; check both clocks",
    )
    check_not_before({"nbf": NOW + 60}, NOW, LEEWAY)
    assert refusal(check_not_before, {"nbf": NOW + 61}, NOW, LEEWAY) == (
        "not_before",
        "nbf is 61 s in the future; leeway 60 s; check both clocks",
    )
    assert check_auth_time({"auth_time": NOW + 0.5}, NOW + 1) == NOW
    assert refusal(check_auth_time, {"auth_time": NOW + 1}, NOW) == (
        "auth_time",
        "auth_time is in the future; check both clocks",
    )


def test_nbf_and_auth_time_may_be_absent():
    check_not_before({}, NOW, LEEWAY)
    assert check_auth_time({}, NOW) is None


def test_a_distance_of_a_year_and_more_is_years():
    assert distance(31_535_999, 1.5) == "31535999 s ago; leeway 1.5 s; check both clocks"
    assert distance(-31_536_000, 60) == "years in the future; leeway 60 s; check both clocks"
    assert distance(10**300, 60) == "years ago; leeway 60 s; check both clocks"
    assert distance(0, 60).startswith("0 s ago")
