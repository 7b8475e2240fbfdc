"""Verification with a provider's keys, once more with newer ones if that may help."""

from collections.abc import Callable
from typing import TypeVar

from extproc.core.oidc.jose import KeySet
from extproc.core.provider_errors import KEY_ERRORS
from extproc.provider.client import Provider

T = TypeVar("T")


async def verified(provider: Provider, keys: KeySet, verify: Callable[[KeySet], T]) -> T:
    """Verify with the keys that are known. If a key is unknown or a signature does not fit its
    key, verify again with the provider's newer keys: a provider may replace a key under the same
    kid (OpenID Connect Core section 10.1.1).

    Args:
        provider: Whose keys they are. It limits how often its keys are fetched.
        keys: The keys that are known.
        verify: Verifies with a key set.

    Raises:
        Refusal: What verify raises, or the keys could not be fetched.
    """
    try:
        return verify(keys)
    except KEY_ERRORS:
        newer = await provider.newer_keys()
    return verify(newer)
