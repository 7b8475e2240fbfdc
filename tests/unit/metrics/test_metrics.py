"""Metrics: bounded whatever comes, the same numbers for Prometheus and OTLP, every one of them
documented and none invented.
"""

from contextlib import nullcontext

import pytest
from harness.memory_peers import MemoryStore
from harness.metrics import NOBODY, samples

from extproc.core.decisions import StepKind
from extproc.core.errors import StoreUnavailable
from extproc.core.provider_errors import InvalidAnswer, ProviderTimeout, ProviderUnreachable
from extproc.metrics import NO_STEP, OTHER, STEPS, Metrics
from extproc.provider.metrics import Call
from extproc.sessions.instrumented import InstrumentedStore

# -- bounded


def test_ten_thousand_hostile_names_are_one_series() -> None:
    metrics = Metrics(["app"], ["login_required"])
    metrics.answered("none", "app", "login_required", 0.001, NOBODY)
    before = sum(len(family.samples) for family in metrics.families())
    for n in range(10_000):
        metrics.answered("none", f'../{n}\n"evil"', "login_required", 0.001, NOBODY)
        metrics.answered("none", "app", f"reason {n}", 0.001, NOBODY)
    assert samples(metrics, "extproc_requests_total") == {
        ("none", "app", "login_required"): 1,
        ("none", OTHER, "login_required"): 10_000,
        ("none", "app", OTHER): 10_000,
    }
    after = sum(len(family.samples) for family in metrics.families())
    assert after <= before + 4 and len(metrics._by_request) == 3, (
        "and memory does not grow by what clients say"
    )


def test_the_lanes_of_the_limits_are_those_of_the_metrics() -> None:
    assert (NO_STEP, *StepKind) == STEPS


# -- what is measured


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (200, None, "success"),
        (204, None, "success"),
        (302, None, "failed"),
        (400, None, "refused"),
        (401, None, "refused"),
        (429, None, "failed"),
        (503, None, "failed"),
        (None, ProviderTimeout(), "timeout"),
        (None, ProviderUnreachable(), "unreachable"),
        (None, InvalidAnswer(), "invalid"),
        (None, KeyError(), "failed"),
        (None, KeyboardInterrupt(), "cancelled"),
    ],
)
def test_a_call_to_a_provider_ends_in_one_word(
    status: int | None, error: BaseException | None, outcome: str
) -> None:
    metrics = Metrics()
    with (
        pytest.raises(type(error)) if error is not None else nullcontext(),
        Call(metrics, "main", "token", NOBODY) as call,
    ):
        if error is not None:
            raise error
        call.answered(status or 0)
    assert samples(metrics, "extproc_provider_calls_total") == {("main", "token", outcome): 1}
    assert samples(metrics, "extproc_provider_call_duration_seconds_count") == {
        ("main", "token"): 1
    }


async def test_an_operation_of_the_store_is_measured_and_its_failure_counted() -> None:
    metrics, memory = Metrics(), MemoryStore()
    store = InstrumentedStore(memory, "redis", metrics)
    assert await store.get(b"key", 0) is None

    def met(operation: str, when: str) -> None:
        raise StoreUnavailable

    memory.met = met
    with pytest.raises(StoreUnavailable):
        await store.get(b"key", 0)
    assert samples(metrics, "extproc_store_operation_duration_seconds_count") == {
        ("redis", "get"): 2
    }
    assert samples(metrics, "extproc_store_errors_total") == {("redis", "get"): 1}
