"""EndpointCalls against a real server: the deadline, the headers, and what is counted."""

from collections.abc import AsyncIterator

import pytest
from harness.fake_provider import FakeProvider
from unit.provider.conftest import counted

from extproc.core.oidc.client import FormRequest
from extproc.core.provider_errors import ProviderTimeout
from extproc.metrics import Metrics
from extproc.provider.endpoint_calls import EndpointCalls
from extproc.provider.http import HttpClient
from extproc.provider.limits import MemoryBudget, TickLimiter
from extproc.settings import Limits, ProviderSettings, Timeouts

SECONDS = 0.5


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def calls(liar: FakeProvider, metrics: Metrics) -> AsyncIterator[EndpointCalls]:
    settings = ProviderSettings(issuer=liar.url, client_id="gateway")
    http = HttpClient("main", settings, Timeouts(), Limits(), TickLimiter(), MemoryBudget())
    yield EndpointCalls("main", http, SECONDS, metrics)
    await http.aclose()


async def test_a_form_is_posted_with_the_client_s_authorization(liar, calls) -> None:
    answer = await calls.post(
        "revocation", f"{liar.url}/revoke", FormRequest((("token", "t"),), "Basic x")
    )
    assert answer.status == 200 and liar.revoked == ["t"]
    assert liar.requests[0].headers["authorization"] == "Basic x"
    await calls.post("revocation", f"{liar.url}/revoke", FormRequest((("token", "t"),)))
    assert "authorization" not in liar.requests[1].headers


async def test_each_call_is_counted_with_its_outcome(liar, calls, metrics) -> None:
    liar.answers["/bad"] = lambda asked: (400, {}, b"")
    liar.answers["/down"] = lambda asked: (500, {}, b"")
    await calls.get("jwks", f"{liar.url}/jwks", {})
    await calls.get("token", f"{liar.url}/bad", {})
    await calls.get("userinfo", f"{liar.url}/down", {})
    assert counted(metrics) == {
        ("main", "jwks", "success"): 1,
        ("main", "token", "refused"): 1,
        ("main", "userinfo", "failed"): 1,
    }


async def test_a_call_ends_at_its_deadline(liar, calls, metrics) -> None:
    with (
        liar.holding("/jwks"),
        pytest.raises(ProviderTimeout, match=r"GET /jwks: no whole answer within 0.5 s"),
    ):
        await calls.get("jwks", f"{liar.url}/jwks?secret", {})
    assert counted(metrics) == {("main", "jwks", "timeout"): 1}
