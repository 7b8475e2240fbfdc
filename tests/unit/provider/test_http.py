"""HttpClient against a real server: what is a response, and which error the rest becomes."""

from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing
from harness.fake_provider import FakeProvider
from harness.raw_answers import RESET

from extproc.core.errors import Overloaded
from extproc.core.oidc.client import FormRequest
from extproc.core.provider_errors import (
    InvalidAnswer,
    ProviderFailed,
    ProviderTimeout,
    ProviderUnreachable,
)
from extproc.provider.http import SHARD, HttpClient, HttpResponse, client_fault
from extproc.provider.limits import FREE_BYTES, MemoryBudget, TickLimiter
from extproc.settings import Limits, ProviderSettings, Timeouts

LIMIT = 50_000
# httpx's own generators, of a response that is not read to its end
UNREAD = pytest.mark.filterwarnings(
    "ignore:Async generator:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture
def budget() -> MemoryBudget:
    return MemoryBudget(most=40_000)


@pytest.fixture
async def client(liar: FakeProvider, budget: MemoryBudget) -> AsyncIterator[HttpClient]:
    settings = ProviderSettings(issuer=liar.url, client_id="gateway")
    timeouts, limits = Timeouts(call=0.5, connect=0.5), Limits(response_bytes=LIMIT)
    client = HttpClient("main", settings, timeouts, limits, TickLimiter(), budget)
    yield client
    await client.aclose()


async def test_a_response_is_read_whole_and_the_budget_is_given_back(liar, client, budget) -> None:
    body = b"x" * 2 * FREE_BYTES
    liar.answers["/x"] = lambda asked: (200, {"content-type": "text/plain"}, body)
    answer = await client.request("GET", f"{liar.url}/x", {"x-a": "b"}, None)
    assert (answer.status, answer.content_type, answer.body) == (200, "text/plain", body)
    (asked,) = liar.requests
    assert (asked.headers["x-a"], asked.headers["accept-encoding"]) == ("b", "identity")
    assert (client.in_flight, client.waiting, budget.held) == (0, 0, 0)


async def test_a_form_is_sent_in_the_body(liar, client) -> None:
    form = FormRequest((("token", "t&x"), ("hint", "y")))
    await client.request("POST", f"{liar.url}/revoke", {}, form)
    assert (liar.requests[0].method, liar.requests[0].form) == (
        "POST",
        {"token": "t&x", "hint": "y"},
    )


async def test_a_redirect_is_a_response_and_is_not_followed(liar, client) -> None:
    liar.answers["/x"] = lambda asked: (302, {"location": f"{liar.url}/inside"}, b"")
    answer = await client.request("GET", f"{liar.url}/x", {}, None)
    assert answer.status == 302 and not liar.requests_to("/inside")


@UNREAD
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((200, {"content-encoding": "gzip"}, b"x"), InvalidAnswer),
        ((200, {}, b"x" * (LIMIT + 1)), InvalidAnswer),
        ((200, {}, b"x" * LIMIT), None),
        (b"", ProviderUnreachable),
        ([RESET], ProviderUnreachable),
        (b"no HTTP at all\r\n\r\n", ProviderUnreachable),
    ],
    ids=["encoded", "too long", "long", "closed", "reset", "no HTTP"],
)
async def test_what_a_server_sends_is_a_response_or_this_provider_s_error(liar, answer, error):
    settings = ProviderSettings(issuer=liar.url, client_id="gateway")
    limits = Limits(response_bytes=LIMIT)
    client = HttpClient("main", settings, Timeouts(), limits, TickLimiter(), MemoryBudget())
    liar.answers["/x"] = lambda asked: answer
    if error is None:
        assert (await client.request("GET", f"{liar.url}/x", {}, None)).status == 200
    else:
        with pytest.raises(error):
            await client.request("GET", f"{liar.url}/x", {}, None)
    assert client.in_flight == 0
    await client.aclose()


@UNREAD
async def test_a_response_beyond_the_budget_of_all_is_no_response(liar, client, budget) -> None:
    liar.answers["/x"] = lambda asked: (200, {}, b"x" * LIMIT)
    budget.take(10_000)
    with pytest.raises(Overloaded):
        await client.request("GET", f"{liar.url}/x", {}, None)
    assert budget.held == 10_000


async def test_a_provider_that_hangs_is_a_timeout_and_one_that_is_not_there_is_unreachable(
    liar, client
) -> None:
    with liar.holding("/x"), pytest.raises(ProviderTimeout):
        await client.request("GET", f"{liar.url}/x", {}, None)
    liar.kill()
    with pytest.raises(ProviderUnreachable, match=liar.url.removeprefix("http://")):
        await client.request("GET", f"{liar.url}/x", {}, None)


@pytest.mark.parametrize("url", ["http://[::1", "gopher://idp.example/", "http://\x00/"])
async def test_a_url_that_cannot_be_called_is_the_provider_s_error(client, url) -> None:
    with pytest.raises((InvalidAnswer, ProviderUnreachable)):
        await client.request("GET", url, {}, None)


async def test_pools_of_a_burst_are_closed_when_it_is_over(liar) -> None:
    settings = ProviderSettings(issuer=liar.url, client_id="gateway")
    client = HttpClient("main", settings, Timeouts(), Limits(), TickLimiter(), MemoryBudget())
    answers: list[HttpResponse] = []

    async def call() -> None:
        answers.append(await client.request("GET", f"{liar.url}/x", {}, None))

    async with trio.open_nursery() as nursery:
        with liar.holding("/x"):
            for _ in range(SHARD + 1):
                nursery.start_soon(call)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert client.in_flight == SHARD + 1
            await client.close_idle()  # which closes none that is in use
    assert len(answers) == SHARD + 1 and client.in_flight == 0
    await client.close_idle()
    await call()
    assert answers[-1].status == 404
    await client.aclose()


@pytest.mark.parametrize(
    ("status", "error"),
    [(200, None), (204, None), (201, InvalidAnswer), (302, InvalidAnswer), (404, InvalidAnswer),
     (429, ProviderFailed), (500, ProviderFailed), (503, ProviderFailed)],
)  # fmt: skip
def test_only_a_success_is_accepted_and_trouble_of_the_provider_s_own_is_told_apart(status, error):
    if error is None:
        HttpResponse(status, "", b"").expect_success()
    else:
        with pytest.raises(error, match=str(status)):
            HttpResponse(status, "", b"").expect_success()


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://idp.example/x", False),
        ("https://", True),
        ("https://[::1/", True),
        ("https://a..b/", False),
    ],
)
def test_a_url_that_httpx_cannot_request_has_a_fault(url: str, fault: bool) -> None:
    assert (client_fault(url) is not None) == fault
