"""Whether tokens of a provider can be verified: its keys, and its introspection."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from harness.envoy_config import APP, simple
from harness.static_server import Answer, StaticServer
from harness.tokens import METADATA, public

from extproc.checks.findings import Finding
from extproc.checks.provider_keys import check_introspection, check_keys
from extproc.settings import Settings


@pytest.fixture
def provider() -> Iterator[StaticServer]:
    """A provider with one key for RS256."""
    with StaticServer() as server:
        server.answers["/jwks"] = Answer.json({"keys": [public("RS256")]})
        yield server


def made(url: str = "https://idp.example", opaque: str = "", **tokens: Any) -> Settings:
    client = {"client_id": "x", "client_secret": "s"}
    rule = {"name": "api", "paths": ["/api/"], "accept": ["bearer"]}
    bearer = {"bearer": {"opaque": opaque}} if opaque else {}
    return simple(
        providers={"main": {"issuer": url, **client, "access_tokens": tokens}},
        applications={"app": {**APP, "rules": [rule], **bearer}},
    )


def found(provider: StaticServer, **tokens: Any) -> list[Finding]:
    metadata = replace(METADATA, jwks_uri=f"{provider.url}/jwks")
    main = made(provider.url, **tokens).providers["main"]
    with httpx.Client() as client:
        return list(check_keys(main, client, metadata, "providers.main"))


def test_keys_of_both_kinds_of_token_are_counted(provider: StaticServer) -> None:
    assert [each.what for each in found(provider)] == ["1 of its keys verify RS256"]
    assert [each.what for each in found(provider, signing_alg="RS256")] == [
        "1 of its keys verify RS256"
    ]
    provider.answers["/jwks"] = Answer.json({"keys": [public("RS256"), public("ES256")]})
    assert [(each.level, each.what) for each in found(provider, signing_alg="ES256")] == [
        ("ok", "1 of its keys verify RS256"),
        ("ok", "1 of its keys verify ES256"),
    ]


def test_a_key_for_access_tokens_that_is_not_there_is_an_error(provider: StaticServer) -> None:
    _, last = found(provider, signing_alg="ES256")
    assert (last.level, last.part) == ("error", "providers.main.access_tokens.signing_alg")
    assert last.what == "its key set has no key for ES256"


@pytest.mark.parametrize(
    ("opaque", "endpoint", "count"),
    [("main", None, 1), ("main", "https://idp.example/introspect", 0), ("", None, 0)],
)
def test_a_provider_that_cannot_be_asked_is_an_error_if_it_would_be(
    opaque: str, endpoint: str | None, count: int
) -> None:
    metadata = replace(METADATA, introspection_endpoint=endpoint)
    asks = {"introspection": {"client_id": "i", "client_secret": "s"}}
    findings = list(check_introspection(made(opaque=opaque, **asks), "main", metadata))
    assert [each.level for each in findings] == ["error"] * count
    assert all("no introspection_endpoint" in each.what for each in findings)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer(500), "answers 500"),
        (Answer.html("<p>"), "/jwks: "),
        (Answer.json({"keys": []}), "no key that can be used for RS256"),
        (Answer.json({"keys": [{"kty": "oct", "k": "eA"}]}), "no key that can be used for RS256"),
        (Answer.json({"keys": [public("ES256")]}), "no key for RS256"),
    ],
)
def test_keys_that_verify_nothing_are_an_error(
    provider: StaticServer, answer: Answer, text: str
) -> None:
    provider.answers["/jwks"] = answer
    (only,) = (each for each in found(provider) if each.level != "ok")
    assert only.level == "error" and any(each in only.what for each in text.split("|"))


def test_a_provider_without_keys_is_not_advised_to_set_the_algorithm_of_its_secret(
    provider: StaticServer,
) -> None:
    provider.answers["/jwks"] = Answer.json({"keys": []})
    (only,) = (each for each in found(provider) if each.level != "ok")
    assert "client secret (HS256), which is not supported: choose RS256" in only.remedy
