"""Whether an access token is good, with the keys of a provider that serves them."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from harness.envoy_config import APP
from harness.envoy_parts import settings
from harness.fake_provider import FakeProvider
from harness.ports import free_port
from harness.tokens import Signer

from extproc.explain.callers import TokenLookup
from extproc.explain.token import find_token
from extproc.settings import Settings
from extproc.settings.domain import applications

RULES = [{"name": "api", "paths": ["/api/"], "accept": ["bearer"]}]


@pytest.fixture(scope="module")
def serving() -> Iterator[FakeProvider]:
    provider = FakeProvider(behind=False)
    provider.start()
    yield provider
    provider.close()


@pytest.fixture
def provider(serving: FakeProvider) -> FakeProvider:
    serving.reset()
    return serving


def made(issuer: str, **changes: Any) -> Settings:
    main = {"issuer": issuer, "client_id": "gateway", "client_secret": "s", **changes}
    bearer = {"opaque": "main"} if changes else {}
    return settings(
        providers={"main": main}, applications={"app": {**APP, "rules": RULES, "bearer": bearer}}
    )


def found(of: Settings, token: str) -> TokenLookup:
    app = applications(of, of.key_ring())["app"]
    return find_token(of, app, token, int(time.time()))


def signed(of: Settings, signer: Signer | None = None, **claims: Any) -> str:
    now = int(time.time())
    issuer, audience = of.providers["main"].issuer, of.url("app")
    whole = {"iss": issuer, "sub": "CANARY", "aud": audience, "iat": now, "exp": now + 300}
    return (signer or Signer()).sign({**whole, **claims}, typ="at+jwt")


def test_a_right_token_is_verified_with_the_keys_of_its_provider(provider: FakeProvider) -> None:
    of = made(provider.url)
    lookup = found(of, signed(of))
    assert lookup.token is not None and lookup.token.subject == "CANARY"
    assert lookup.refusal is None and "CANARY" not in lookup.text
    assert lookup.text.startswith("an access token that main signed; it lasts ")
    assert {request.path for request in provider.requests} == {
        "/.well-known/openid-configuration",
        "/jwks",
    }


def test_a_forged_token_is_refused(provider: FakeProvider) -> None:
    of = made(provider.url)
    lookup = found(of, signed(of, Signer(name="other")))
    assert lookup.token is None and lookup.refusal is not None
    assert lookup.refusal.reason == "bearer_token_key"


@pytest.mark.parametrize(
    ("claims", "check"),
    [
        ({"aud": "other"}, "audience"),
        ({"exp": 1}, "expired"),
        ({"iss": "https://evil.example"}, "issuer"),
        ({"nonce": "n"}, "id_token"),
    ],
)
def test_what_the_claims_say_needs_no_keys(
    provider: FakeProvider, claims: dict[str, Any], check: str
) -> None:
    of = made(provider.url)
    lookup = found(of, signed(of, **claims))
    assert lookup.refusal is not None and lookup.refusal.reason == f"bearer_token_{check}"
    assert lookup.text == f"the token is not accepted: {lookup.refusal.detail}"
    assert provider.requests == []


def test_a_token_that_is_too_long_is_not_read(provider: FakeProvider) -> None:
    of = made(provider.url)
    for token in ("a" * 20_000, signed(of, rest=[1] * 5000)):
        lookup = found(of, token)
        assert lookup.refusal is not None and lookup.refusal.reason == "bearer_token_malformed"


def test_a_provider_that_does_not_answer_leaves_it_open() -> None:
    of = made(f"http://127.0.0.1:{free_port()}")
    lookup = found(of, signed(of))
    assert lookup.token is None and lookup.refusal is None
    assert lookup.text.startswith(
        "the token says what it has to, and whether main signed it cannot"
    )


def test_an_opaque_token_is_sent_nowhere(provider: FakeProvider) -> None:
    lookup = found(made(provider.url), "CANARY")
    assert lookup.refusal is not None and "CANARY" not in lookup.text
    asks = {"introspection": {"client_id": "i", "client_secret": "s"}}
    lookup = found(made(provider.url, access_tokens=asks), "CANARY")
    assert lookup.token is None and lookup.refusal is None
    assert lookup.text.startswith("the token is opaque: the processor asks main about it")
    assert provider.requests == []
