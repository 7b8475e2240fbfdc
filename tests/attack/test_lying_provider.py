"""A provider that lies in every possible way.

Each call ends in a Refusal, in bounded time and memory.
"""

import re
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest
import trio
from harness.bad_urls import BAD_URLS
from harness.fake_provider import FakeProvider
from harness.fake_server import Reply
from harness.gateway import Stack
from harness.journey import to_callback
from harness.providers import Place
from harness.raw_answers import HANG, RESET, Endless, Script, drip, gzip_bomb, head
from harness.tokens import client, key_set

from extproc.core.errors import Refusal
from extproc.core.oidc.claims import Claims
from extproc.core.oidc.client import FormRequest
from extproc.core.oidc.id_token import IDToken, claims_of
from extproc.provider.client import Provider
from extproc.settings import Limits, ProviderSettings, Timeouts

LIMIT = 100_000
BOMB = gzip_bomb(50_000_000)
CHUNK = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
LIES: dict[str, Reply | bytes | Script] = {
    "closes at once": b"",
    "closes in the head": b"HTTP/1.1 200 OK\r\ncontent-ty",
    "closes in the body": head(100) + b"{",
    "resets at once": [RESET],
    "resets in the body": [head(100) + b"{", RESET],
    "hangs": [HANG],
    "hangs after a line": [b"HTTP/1.1 200 OK\r\n", HANG],
    "hangs after the head": [head(100), HANG],
    "hangs in the body": [head(100) + b'{"a":', HANG],
    "drips the head": [*drip(head(2) + b"{}", 0.05)],
    "drips the body": [head(1000), *drip(b"{" + b" " * 999, 0.05)],
    "a body without end": [head(10**12), Endless(b"x" * 65_536)],
    "chunks without end": [head(None, "transfer-encoding: chunked"), Endless(CHUNK)],
    "a chunk of any size": head(None, "transfer-encoding: chunked") + b"f" * 40 + b"\r\n",
    "headers without end": [b"HTTP/1.1 200 OK\r\n", Endless(b"x-a: " + b"a" * 8_000 + b"\r\n")],
    "a header without end": [b"HTTP/1.1 200 OK\r\nx-a: ", Endless(b"a" * 65_536)],
    "informational answers without end": [Endless(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)],
    "a body to the end of the connection, without end": [head(), Endless(b"x" * 65_536)],
    "a gzip bomb": head(len(BOMB), "content-encoding: gzip") + BOMB,
    "deflate": head(2, "content-encoding: deflate") + b"{}",
    "gzip that is none": head(2, "content-encoding: gzip") + b"{}",
    "two lengths": head(2, "content-length: 3") + b"{}x",
    "a length below zero": head(-1) + b"{}",
    "a status of four digits": head(2, status="2000 OK") + b"{}",
    "no status": b"HTTP/1.1\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.9\r\n",
    "HTTP/0.9": b"<html>hello",
    "an upgrade": head(0, "upgrade: h2c", "connection: upgrade", status="101 Switching Protocols"),
    "a redirect": head(0, "location: http://127.0.0.1:1/", status="302 Found"),
    "a redirect that keeps the method": head(0, "location: file:///etc/passwd", status="307 Temporary Redirect"),
    "no content": head(None, status="204 No Content"),
    "not modified": head(None, status="304 Not Modified"),
    "partial content": head(2, status="206 Partial Content") + b"{}",
    "a list": head(2) + b"[]",
    "a number": head(5) + b"1e400",
    "NaN": head(9) + b'{"a":NaN}',
    "nested lists": head(50_000) + b"[" * 50_000,
    "nested objects": head(50_000) + b'{"a":' * 10_000,
    "a number of 50,000 digits": head(50_006) + b'{"a":' + b"9" * 50_000 + b"}",
    "UTF-16": head(6) + '{}'.encode("utf-16"),
    "HTML": head(6, kind="text/html") + b"<html>",
    "nothing": head(0),
    "500": head(2, status="500 Oops") + b"{}",
    "429": head(2, "retry-after: 99999999999", status="429 Slow Down") + b"{}",
    "401 without a word": head(0, status="401 No"),
    "400 of wrong type": head(11, status="400 No") + b'{"error":1}',
}  # fmt: skip


ALICE = IDToken("alice", None, None, None, (), {})


def calls(provider: Provider) -> dict[str, Callable[[], Awaitable[object]]]:
    form = FormRequest((("token", "t"),))

    async def userinfo() -> Claims:
        return claims_of(client(), ALICE, await provider.userinfo("at"), key_set())

    return {
        "/.well-known/openid-configuration": provider.metadata,
        "/jwks": provider.keys,
        "/token": lambda: provider.token(form),
        "/me": userinfo,
    }


# If an answer is abandoned, httpx closes the connection and leaves its own generators to the
# garbage collector.
@pytest.mark.attack("KEYS-04", "REL-05", "REL-07", "REL-08")
@pytest.mark.filterwarnings(
    "ignore:Async generator:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_of_the_provider_is_an_error_of_ours_at_every_endpoint(
    lie: str, tmp_path
) -> None:
    fake = FakeProvider(behind=False)
    fake.open(Place(fake.url, (), tmp_path, None))
    settings = ProviderSettings(issuer=fake.url, client_id="gateway")
    # Long enough for correct calls on a busy machine.
    timeouts, limits = (
        Timeouts(call=2, connect=2),
        Limits(response_bytes=LIMIT),
    )
    outcomes: dict[str, str] = {}

    async def asks(path: str, provider: Provider) -> None:
        """Metadata first, since every other call needs it; then the lie, at one endpoint."""
        if path != "/.well-known/openid-configuration":
            await provider.metadata()
        fake.answers[path] = lambda _: LIES[lie]
        try:
            await calls(provider)[path]()
            outcomes[path] = "believed"
        except Refusal as error:
            outcomes[path] = error.reason

    providers = [
        (path, Provider("main", settings, timeouts, limits)) for path in ("/jwks", "/token", "/me")
    ]
    try:
        warm = Provider("main", settings, timeouts, limits)
        # Imports and caches of the first call are not caused by the lie.
        await warm.metadata()
        await warm.aclose()
        tracemalloc.start()
        async with trio.open_nursery() as nursery:
            for path, provider in providers:
                nursery.start_soon(asks, path, provider)
        last = Provider("main", settings, timeouts, limits)
        providers.append(("", last))
        await asks("/.well-known/openid-configuration", last)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        for _, provider in providers:
            await provider.aclose()
        fake.close()
    assert set(outcomes) == {"/jwks", "/token", "/me", "/.well-known/openid-configuration"}
    assert "believed" not in outcomes.values(), outcomes
    assert peak < 20_000_000, f"{peak} bytes"


ENDPOINTS = (
    "jwks_uri",
    "token_endpoint",
    "userinfo_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
    "authorization_endpoint",
    "end_session_endpoint",
)


@pytest.mark.attack("REL-41")
@pytest.mark.threat("foreign-input")
@pytest.mark.parametrize("backchannel", [False, True], ids=["as it is", "rewritten"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_an_address_that_cannot_be_called_is_invalid_metadata_at_every_endpoint(
    endpoint: str, backchannel: bool, tmp_path, monkeypatch
) -> None:
    """Each of harness.bad_urls, also where it would be rewritten.

    An accepted address is called, and only a Refusal may come of it.
    """
    fake = FakeProvider(behind=False)
    fake.open(Place(fake.url, (), tmp_path, None))
    issuer = "https://idp.example" if backchannel else fake.url
    fake.issuer = issuer
    settings = ProviderSettings(
        issuer=issuer, client_id="gateway", backchannel_url=fake.url if backchannel else None
    )
    form = FormRequest((("token", "t"),))
    for back_off in ("RETRY_FIRST", "RETRY_MOST"):
        monkeypatch.setattr(f"extproc.provider.cache.{back_off}", 0)
    provider = Provider("main", settings, Timeouts(call=5, connect=5), Limits())
    try:
        for url in BAD_URLS:
            fake.metadata[endpoint] = url
            for call in (
                provider.metadata,
                provider.keys,
                lambda: provider.token(form),
                lambda: provider.revoke(form),
            ):
                with pytest.raises(Refusal) as refused:
                    await call()
                assert refused.value.reason in (
                    "invalid_provider_metadata",
                    "provider_unavailable",
                ), url
    finally:
        await provider.aclose()
        fake.close()


# Through Envoy, because this provider is behind it, so some lies never reach the processor.
PAGES = {
    "hangs after the head": (504, "provider_timeout"),
    "drips the body": (504, "provider_timeout"),
    "resets in the body": (502, "provider_unreachable|provider_failed"),
    "closes in the head": (502, "provider_unreachable|provider_failed"),
    "a body without end": (502, "invalid_provider_answer"),
    "chunks without end": (502, "invalid_provider_answer"),
    "headers without end": (502, "provider_unreachable|provider_failed"),
    "a gzip bomb": (502, "invalid_provider_answer"),
    "informational answers without end": (504, "provider_timeout"),
    "nested lists": (502, "invalid_token_response"),
    "a redirect that keeps the method": (502, "invalid_provider_answer"),
}


@pytest.mark.attack("REL-07", "REL-08")
@pytest.mark.parametrize("lie", PAGES)
def test_a_lie_is_a_page_with_its_reason_and_no_session(stack: Stack, lie: str) -> None:
    status, reasons = PAGES[lie]
    stack.provider.answers["/token"] = lambda _: LIES[lie]
    with stack.user() as user:
        answer = user.navigate(to_callback(stack, user))
        assert answer.status_code == status and re.search(f">({reasons})<", answer.text), (
            answer.text
        )
        assert answer.headers["cache-control"] == "no-store" and not user.cookies.named("extproc-")
    assert len(stack.provider.requests_to("/token")) == 1 and not stack.app.requests
