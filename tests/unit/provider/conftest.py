"""A provider on loopback, for the tests of what calls it."""

from collections.abc import AsyncIterator, Iterator

import pytest
from harness.fake_provider import FakeProvider

from extproc.metrics import Metrics
from extproc.provider.client import Provider
from extproc.settings import Limits, ProviderSettings, Timeouts


@pytest.fixture
def liar() -> Iterator[FakeProvider]:
    liar = FakeProvider(behind=False)
    liar.start()
    yield liar
    liar.close()


@pytest.fixture
async def known(liar: FakeProvider) -> AsyncIterator[Provider]:
    """The provider as the processor knows it; nothing was asked of it yet."""
    settings = ProviderSettings(issuer=liar.url, client_id="gateway")
    made = Provider("main", settings, Timeouts(), Limits())
    yield made
    await made.aclose()


def counted(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Calls by provider, endpoint and outcome."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in metrics.families()
        for sample in family.samples
        if sample.name == "extproc_provider_calls_total"
    }
