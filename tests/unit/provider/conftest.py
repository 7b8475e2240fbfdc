"""A provider on loopback, for the tests of what calls it."""

from collections.abc import Iterator

import pytest
from harness.fake_provider import Liar

from extproc.metrics import Metrics


@pytest.fixture
def liar() -> Iterator[Liar]:
    liar = Liar(behind=False)
    liar.start()
    yield liar
    liar.close()


def counted(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Calls by provider, endpoint and outcome."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in metrics.families()
        for sample in family.samples
        if sample.name == "extproc_provider_calls_total"
    }
