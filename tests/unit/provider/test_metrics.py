"""One call to a provider, measured: how it ended, in one word."""

from contextlib import suppress

import pytest
from opentelemetry.trace import INVALID_SPAN
from unit.provider.conftest import counted

from extproc.core.provider_errors import InvalidAnswer, ProviderTimeout, ProviderUnreachable
from extproc.metrics import Metrics
from extproc.provider.metrics import Call


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "success"),
        (204, "success"),
        (302, "failed"),
        (400, "refused"),
        (429, "failed"),
        (503, "failed"),
    ],
)
def test_a_status_is_an_outcome(status: int, outcome: str) -> None:
    metrics = Metrics()
    with Call(metrics, "main", "token", INVALID_SPAN) as call:
        call.answered(status)
    assert counted(metrics) == {("main", "token", outcome): 1}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ProviderTimeout(), "timeout"),
        (ProviderUnreachable(), "unreachable"),
        (InvalidAnswer(), "invalid"),
        (KeyError(), "failed"),
        (KeyboardInterrupt(), "cancelled"),
    ],
)
def test_an_error_is_an_outcome_and_is_raised(error: BaseException, outcome: str) -> None:
    metrics = Metrics()
    with pytest.raises(type(error)), Call(metrics, "main", "token", INVALID_SPAN):
        raise error
    assert counted(metrics) == {("main", "token", outcome): 1}


def test_a_response_that_was_not_read_to_its_end_counts_as_its_error() -> None:
    metrics = Metrics()
    with suppress(InvalidAnswer), Call(metrics, "main", "jwks", INVALID_SPAN) as call:
        call.answered(200)
        raise InvalidAnswer
    assert counted(metrics) == {("main", "jwks", "invalid"): 1}
