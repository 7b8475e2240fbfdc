"""Newer keys are asked for where they may help, once."""

import pytest
from harness.memory_peers import MemoryProvider
from harness.tokens import Signer, id_token_claims, key_set, public

from extproc.core.oidc.jose import KeySet, SignedToken
from extproc.core.provider_errors import (
    InvalidIDToken,
    UnknownKey,
    UnverifiedUserInfo,
    WrongSignature,
)
from extproc.relying_party.newer_keys import verified

TOKEN = Signer().sign(id_token_claims())


class Asked(MemoryProvider):
    """Counts the fetches of newer keys."""

    fetches = 0

    async def newer_keys(self) -> KeySet:
        self.fetches += 1
        return await super().newer_keys()


def subject(keys: KeySet) -> str:
    return str(SignedToken.parse(TOKEN, "RS256").verified(keys)["sub"])


@pytest.mark.parametrize(
    ("held", "fetches"),
    [
        (key_set(), 0),
        (key_set(public("RS256", "old")), 1),
        (key_set(public("RS256", "old", kid="RS256-1")), 1),
        (key_set(public("RS256", "old", kid=None)), 1),
    ],
    ids=["known", "unknown kid", "another key under its kid", "another key without a kid"],
)
async def test_a_key_that_does_not_fit_is_looked_for_once(held, fetches) -> None:
    provider = Asked()
    assert await verified(provider, held, subject) == "alice"
    assert provider.fetches == fetches


@pytest.mark.parametrize("error", [UnknownKey(), WrongSignature(), UnverifiedUserInfo()])
async def test_newer_keys_that_do_not_help_either_are_the_end(error) -> None:
    provider, tried = Asked(), []

    def fails(keys: KeySet) -> None:
        tried.append(keys)
        raise error

    with pytest.raises(type(error)):
        await verified(provider, key_set(), fails)
    assert len(tried) == 2 and provider.fetches == 1


async def test_no_keys_are_fetched_where_they_cannot_help() -> None:
    provider = Asked()

    def fails(keys: KeySet) -> None:
        raise InvalidIDToken("nonce")

    with pytest.raises(InvalidIDToken):
        await verified(provider, key_set(), fails)
    assert provider.fetches == 0
