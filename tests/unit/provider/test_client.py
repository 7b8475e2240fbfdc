"""Provider against a real server: what it caches, what it refuses, what it keeps warm."""

import json

import pytest
import trio
from harness.fake_server import Answer

from extproc.addresses import Address
from extproc.core.errors import InvalidMetadata, ProviderUnavailable
from extproc.core.oidc.client import FormRequest
from extproc.core.provider_errors import (
    ClientRefused,
    CodeRefused,
    InvalidAnswer,
    InvalidTokenResponse,
    InvalidUserInfo,
    ProviderFailed,
)
from extproc.metrics import catalogue as metric
from extproc.provider.client import Provider
from extproc.settings import Limits, ProviderSettings, Timeouts

METADATA = "/.well-known/openid-configuration"
DOWN: Answer = lambda asked: b""  # noqa: E731 - the connection is closed
# httpx leaves the rest of a response that is not read to the garbage collector.
UNREAD = pytest.mark.filterwarnings(
    "ignore:Async generator:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
JSON = {"content-type": "application/json"}
FORM = FormRequest((("token", "t"),), "Basic Z3c6cw==")


async def test_metadata_and_keys_are_fetched_once_and_then_known_without_waiting(
    liar, known
) -> None:
    assert known.metadata_nowait() is None and known.missing == "its metadata was not fetched yet"
    metadata = await known.metadata()
    assert known.missing == "its key set was not fetched yet"
    await known.keys()
    await known.keys()
    assert known.metadata_nowait() is metadata is await known.metadata()
    assert known.missing is None and len(liar.requests) == 2


async def test_while_a_failed_fetch_backs_off_the_provider_is_unavailable_without_a_call(
    liar, known
):
    liar.answers[METADATA] = DOWN
    with pytest.raises(ProviderUnavailable):
        await known.metadata()
    with pytest.raises(ProviderUnavailable, match="a moment ago"):
        known.metadata_nowait()
    with pytest.raises(ProviderUnavailable):
        await known.keys()
    assert len(liar.requests) == 1


async def test_metadata_of_another_issuer_is_refused(liar, known) -> None:
    liar.metadata["issuer"] = "https://evil.example"
    with pytest.raises(InvalidMetadata):
        await known.metadata()
    # the reason stays the same while the next fetch backs off
    with pytest.raises(InvalidMetadata):
        known.metadata_nowait()
    with pytest.raises(InvalidMetadata):
        await known.metadata()
    assert len(liar.requests) == 1


async def test_the_document_may_be_elsewhere_and_its_endpoints_below_the_back_channel(liar) -> None:
    """As Nextcloud has it: the usual address is a redirect, which is not followed."""
    base = f"{liar.url}/index.php"
    document = {"issuer": liar.url, "authorization_endpoint": f"{base}/auth",
                "token_endpoint": f"{base}/token", "jwks_uri": f"{base}/jwks"}  # fmt: skip
    found = (200, {}, json.dumps(document).encode())
    liar.answers["/index.php" + METADATA] = lambda asked: found
    liar.answers[METADATA] = lambda asked: (301, {"location": "/index.php" + METADATA}, b"")
    for change in ({"metadata_url": base + METADATA}, {"backchannel_url": base}):
        settings = ProviderSettings(issuer=liar.url, client_id="gateway", **change)
        provider = Provider("main", settings, Timeouts(), Limits())
        assert (await provider.metadata()).token_endpoint == f"{base}/token"
        await provider.aclose()
    assert not liar.requests_to(METADATA)


async def test_metadata_that_names_a_listener_of_ours_is_refused(liar) -> None:
    settings = ProviderSettings(issuer=liar.url, client_id="gateway")
    listener = Address("127.0.0.1", 9901)
    liar.metadata["revocation_endpoint"] = "http://localhost:9901/quitquitquit"
    provider = Provider("main", settings, Timeouts(), Limits(), listeners=(listener,))
    with pytest.raises(InvalidMetadata, match="Envoy's admin"):
        await provider.metadata()
    await provider.aclose()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {}, b""), CodeRefused),
        ((400, {}, b'{"error": "invalid_grant"}'), CodeRefused),
        ((401, {}, b""), ClientRefused),
        ((401, {}, b'{"error": "invalid_client"}'), ClientRefused),
        ((429, {}, b"{}"), ProviderFailed),
        ((500, {}, b"{}"), ProviderFailed),
        ((302, {}, b"{}"), InvalidAnswer),
        ((200, {}, b"no JSON"), InvalidTokenResponse),
        ((201, {}, b'{"refresh_token": "rt"}'), InvalidTokenResponse),
    ],
)
@pytest.mark.parametrize("call", ["token", "refresh"])
async def test_each_refusal_of_the_token_endpoint_is_told_apart_and_no_grant_is_repeated(
    liar, known, call, answer, error
) -> None:
    liar.answers["/token"] = lambda asked: answer
    with pytest.raises(error):
        await {"token": known.token, "refresh": known.refresh}[call](FORM)
    assert len(liar.requests_to("/token")) == 1
    assert liar.requests[-1].headers["authorization"] == "Basic Z3c6cw=="


@pytest.mark.parametrize(("call", "error"), [("token", ClientRefused), ("refresh", CodeRefused)])
async def test_what_is_final_for_a_refresh_token_is_the_settings_fault_at_a_login(
    liar, known, call, error
) -> None:
    liar.answers["/token"] = lambda asked: (400, {}, b'{"error": "unauthorized_client"}')
    with pytest.raises(error):
        await {"token": known.token, "refresh": known.refresh}[call](FORM)


@pytest.mark.parametrize("call", ["token", "refresh"])
@pytest.mark.parametrize("status", [200, 201, 206])
async def test_a_response_that_is_refused_comes_with_its_tokens(liar, known, call, status) -> None:
    body = b'{"access_token": "at", "refresh_token": "rt"}'
    liar.answers["/token"] = lambda asked: (status, {}, body)
    with pytest.raises(InvalidTokenResponse) as refused:
        await {"token": known.token, "refresh": known.refresh}[call](FORM)
    assert refused.value.tokens == (("access_token", "at"), ("refresh_token", "rt"))
    assert "rt" not in repr(refused.value).replace("InvalidTokenResponse", "")


@pytest.mark.parametrize(
    ("status", "error"), [(401, InvalidUserInfo), (429, ProviderFailed), (503, ProviderFailed)]
)
async def test_userinfo_that_refuses_the_token_is_no_trouble_of_the_provider(
    liar, known, status, error
):
    liar.answers["/me"] = lambda asked: (status, {}, b"{}")
    with pytest.raises(error):
        await known.userinfo("at")


async def test_userinfo_is_asked_with_the_access_token(liar, known) -> None:
    liar.answers["/me"] = lambda asked: (200, {"content-type": "application/json"}, b"{}")
    answer = await known.userinfo("at")
    assert (answer.content_type, answer.body) == ("application/json", b"{}")
    assert liar.requests[-1].headers["authorization"] == "Bearer at"


async def test_a_provider_without_an_endpoint_is_not_called_for_it(liar, known) -> None:
    liar.metadata |= {"userinfo_endpoint": None, "revocation_endpoint": None}
    assert await known.userinfo("at") is None
    await known.revoke(FORM)
    assert len(liar.requests) == 1


async def test_a_missing_key_is_looked_for_once_in_a_while_by_all_together(liar, known) -> None:
    await known.keys()
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(known.newer_keys)
    await known.newer_keys()
    assert len(liar.requests_to("/jwks")) == 2


async def test_logout_tokens_which_anybody_can_post_spend_no_fetch_of_a_login(liar, known) -> None:
    assert known.keys_nowait() is None
    keys = await known.keys()
    assert known.keys_nowait() is keys
    for certain in (True, False, False):
        assert (await known.newer_keys_for_logout()).certain == certain
    assert len(liar.requests_to("/jwks")) == 2
    await known.newer_keys()
    await known.newer_keys()
    assert len(liar.requests_to("/jwks")) == 3


async def test_access_tokens_of_strangers_spend_no_fetch_of_a_login_or_a_logout(liar, known):
    await known.keys()
    for certain in (True, False, False):
        assert (await known.newer_keys_for_bearer()).certain == certain
    assert len(liar.requests_to("/jwks")) == 2
    assert (await known.newer_keys_for_logout()).certain
    await known.newer_keys()
    assert len(liar.requests_to("/jwks")) == 4


async def test_an_introspection_is_a_post_of_the_token_and_its_answer_is_not_read(liar, known):
    said = {"content-type": "Application/JSON; charset=utf-8"}
    liar.answers["/introspect"] = lambda asked: (200, said, b'{"active": true')
    assert await known.introspect(FORM) == b'{"active": true'
    (asked,) = liar.requests_to("/introspect")
    assert (asked.method, asked.form["token"]) == ("POST", "t")
    assert asked.headers["authorization"] == "Basic Z3c6cw=="
    assert asked.headers["accept"] == "application/json"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((401, {}, b""), ClientRefused),
        ((403, JSON, b"{}"), ClientRefused),
        ((400, JSON, b"{}"), InvalidAnswer),
        ((302, {"location": "/elsewhere"}, b""), InvalidAnswer),
        ((200, {}, b"{}"), InvalidAnswer),
        ((200, {"content-type": "text/html"}, b'{"active": true}'), InvalidAnswer),
        ((200, {"content-type": "application/jwt"}, b"x"), InvalidAnswer),
        ((200, {"content-type": "application/token-introspection+jwt"}, b"x"), InvalidAnswer),
        ((400, {}, b'{"error":"invalid_client"}'), ClientRefused),
        ((200, JSON | {"content-encoding": "gzip"}, b"x"), InvalidAnswer),
        pytest.param((200, JSON, b" " * 2_000_000), InvalidAnswer, marks=UNREAD),
        ((204, JSON, b""), InvalidAnswer),
        ((429, {}, b""), ProviderFailed),
        ((500, {}, b""), ProviderFailed),
    ],
)
async def test_an_introspection_that_is_no_answer_is_the_providers_fault_and_not_repeated(
    liar, known, answer, error
):
    liar.answers["/introspect"] = lambda asked: answer
    with pytest.raises(error):
        await known.introspect(FORM)
    assert len(liar.requests_to("/introspect")) == 1 and not liar.requests_to("/elsewhere")


async def test_a_provider_that_cannot_introspect_is_not_called_for_it(liar, known):
    liar.metadata["introspection_endpoint"] = None
    with pytest.raises(InvalidMetadata, match="has no introspection_endpoint"):
        await known.introspect(FORM)
    assert len(liar.requests) == 1


async def test_the_gauges_say_whether_it_is_ready_and_how_old_what_is_known_is(liar, known) -> None:
    before = {reading.gauge: reading.value for reading in known.readings()}
    assert before[metric.PROVIDER_READY] == 0 and metric.KEYS_AGE not in before
    await known.keys()
    after = {reading.gauge: reading.value for reading in known.readings()}
    assert after[metric.PROVIDER_READY] == 1 and after[metric.BREAKER] == 0
    assert 0 <= after[metric.KEYS_AGE] <= after[metric.METADATA_AGE]


async def test_a_providers_cookies_are_not_kept_nor_do_those_of_one_users_call_come_with_anothers(
    liar, known
) -> None:
    liar.answers["/revoke"] = lambda asked: (200, {"set-cookie": "PHPSESSID=u; path=/"}, b"")
    for _ in range(3):
        await known.revoke(FORM)
    assert len(liar.requests_to("/revoke")) == 3
    assert not [asked for asked in liar.requests if "cookie" in asked.headers]
