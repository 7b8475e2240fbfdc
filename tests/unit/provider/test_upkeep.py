"""What is kept warm of a provider in the background, and how loud its faults are."""

import logging

import pytest
import trio
from harness.fake_server import Answer

from extproc.core.errors import ProviderUnavailable
from extproc.core.provider_errors import InvalidAnswer
from extproc.provider.upkeep import only_refusals

METADATA = "/.well-known/openid-configuration"
DOWN: Answer = lambda asked: b""  # noqa: E731 - the connection is closed


async def test_a_broken_document_is_one_warning(liar, known, caplog) -> None:
    liar.metadata["issuer"] = "https://evil.example"
    with caplog.at_level(logging.DEBUG):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(known.keep_warm)
            with trio.fail_after(60):
                while len(liar.requests_to(METADATA)) < 3:
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    levels = [line.levelno for line in caplog.records if line.message == "provider_not_ready"]
    assert levels.count(logging.WARNING) == 1


async def test_what_is_missing_is_fetched_in_the_background_and_without_metadata_no_keys(
    liar, known
):
    liar.answers[METADATA] = DOWN
    async with trio.open_nursery() as nursery:
        nursery.start_soon(known.keep_warm)
        with trio.fail_after(30):
            while not liar.requests_to(METADATA):
                await trio.sleep(0.01)
            assert len(liar.requests_to("/jwks")) == 0
            del liar.answers[METADATA]
            while known.missing:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert len(liar.requests_to("/jwks")) == 1


def test_a_bug_becomes_a_refusal_of_this_provider_and_a_refusal_stays(caplog):
    refusing = only_refusals("main")
    with pytest.raises(InvalidAnswer, match=r"^provider main: the call met KeyError$"), refusing:
        raise KeyError("secret")
    assert [line.message for line in caplog.records] == ["provider_call_failed"]
    with pytest.raises(ProviderUnavailable), only_refusals("main"):
        raise ProviderUnavailable
