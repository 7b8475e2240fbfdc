"""Tokens are revoked as well as it goes, and nothing that happens there reaches the caller."""

import logging

import pytest
import trio
from harness.memory_peers import MemoryProvider
from harness.tokens import client, session

from extproc.core.oidc.token import TokenResponse
from extproc.core.provider_errors import ProviderUnreachable
from extproc.relying_party.revocation import REVOCATION_TIMEOUT, revoke_found, revoke_tokens

TOKENS = TokenResponse("at", "id", "rt", 60)


class Revoking(MemoryProvider):
    """Knows which tokens were revoked."""

    def __init__(self) -> None:
        super().__init__()
        self.good = {"at", "rt"}


def not_revoked(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.getMessage() == "not_revoked"]


@pytest.mark.parametrize(
    ("tokens", "left"),
    [
        (TOKENS, {"at"}),  # which ends with the refresh token at the provider
        (TokenResponse("at", "id", None, 60), {"rt"}),
        (session(access_token="at", refresh_token="rt"), {"at"}),
    ],
)
async def test_the_refresh_token_is_revoked_and_without_one_the_access_token(tokens, left) -> None:
    provider = Revoking()
    await revoke_tokens(provider, client(), tokens)
    assert provider.good == left


@pytest.mark.parametrize(
    ("tokens", "left"),
    [
        ((("access_token", "at"), ("refresh_token", "rt")), {"at"}),
        ((("access_token", "at"),), {"rt"}),
        ((("access_token", "at"), ("access_token", "rt")), set()),
        ((), {"at", "rt"}),
    ],
)
async def test_so_are_tokens_that_were_found_in_a_refused_response(tokens, left) -> None:
    provider = Revoking()
    await revoke_found(provider, client(), tokens)
    assert provider.good == left


@pytest.mark.parametrize(
    ("fault", "level"),
    [(ProviderUnreachable("away"), logging.INFO), (KeyError("x"), logging.ERROR)],
)
async def test_a_failure_is_logged_and_not_raised(fault, level, caplog) -> None:
    caplog.set_level(logging.INFO)
    provider = Revoking()

    def met(operation: str, when: str) -> None:
        raise fault

    provider.met = met
    await revoke_tokens(provider, client(), TOKENS)
    assert [record.levelno for record in not_revoked(caplog)] == [level]


async def test_a_provider_that_hangs_is_waited_for_a_moment_only(autojump_clock, caplog) -> None:
    caplog.set_level(logging.INFO)
    provider = Revoking()
    provider.open = trio.Event()
    started = trio.current_time()
    await revoke_tokens(provider, client(), TOKENS)
    assert trio.current_time() - started == REVOCATION_TIMEOUT
    assert len(not_revoked(caplog)) == 1


async def test_a_client_that_has_left_stops_no_revocation() -> None:
    provider = Revoking()
    with trio.CancelScope() as scope:
        scope.cancel()
        await revoke_tokens(provider, client(), TOKENS)
    assert "rt" not in provider.good
