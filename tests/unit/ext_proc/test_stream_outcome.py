"""How a stream ended, by the error with which it did."""

import asyncio
from contextlib import nullcontext

import grpc
import pytest
from google.protobuf.message import DecodeError
from harness.metrics import samples

from extproc.ext_proc.admission import Admission
from extproc.ext_proc.stream_outcome import StreamOutcome
from extproc.metrics import OUTCOMES, Metrics
from extproc.settings import Limits


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "answered"),
        (asyncio.CancelledError(), "cancelled"),
        (grpc.aio.AbortError(), "aborted"),
        (DecodeError(), "aborted"),
        (ValueError(), "unanswered"),
        (KeyboardInterrupt(), "unanswered"),
    ],
)
def test_a_stream_is_counted_while_it_lasts_and_then_by_its_outcome(
    error: BaseException | None, outcome: str, answered: bool
) -> None:
    admission, metrics = Admission(Limits()), Metrics()
    counted = StreamOutcome(admission, metrics)
    with pytest.raises(type(error)) if error is not None else nullcontext(), counted:
        assert admission.streams == 1
        counted.answered = answered
        if error is not None:
            raise error
    if answered and outcome == "cancelled":
        outcome = "answered"
    assert admission.streams == 0
    assert samples(metrics, "extproc_streams_total") == {
        (known,): float(known == outcome) for known in OUTCOMES
    }
