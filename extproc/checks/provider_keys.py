"""Checks what a provider needs so that its tokens can be verified: keys, and introspection."""

from collections.abc import Iterator

import httpx

from extproc.checks.failures import failure
from extproc.checks.findings import Finding, error, ok
from extproc.core.errors import Refusal
from extproc.core.oidc.jose import KeySet
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.settings import ProviderSettings, Settings

AT_PROVIDER = "the provider's metadata has to be corrected at the provider"
_ALGORITHM = "id_token_signed_response_alg"


def check_introspection(
    settings: Settings, name: str, metadata: ProviderMetadata
) -> Iterator[Finding]:
    """Whether a provider can be asked about opaque tokens, if an application has it asked.

    Args:
        settings: the settings.
        name: the name of the provider in them.
        metadata: the provider's metadata.
    """
    asks = any(accepted.opaque == name for accepted in settings.accepted.values())
    if asks and metadata.introspection_endpoint is None:
        yield error(
            f"providers.{name}.access_tokens.introspection",
            "its metadata has no introspection_endpoint, so opaque access tokens are refused",
            "have it issue JWT access tokens, and remove bearer.opaque",
        )


def check_keys(
    provider: ProviderSettings, client: httpx.Client, metadata: ProviderMetadata, part: str
) -> Iterator[Finding]:
    """Whether a provider's keys verify its tokens.

    Args:
        provider: the settings of the provider.
        client: for the request for the keys.
        metadata: the provider's metadata, which says where they are.
        part: the provider's key in the settings.
    """
    try:
        response = client.get(metadata.jwks_uri)
        if response.status_code != 200:
            yield error(part, f"{metadata.jwks_uri} answers {response.status_code}", AT_PROVIDER)
            return
        keys = KeySet.parse(response.content)
    except httpx.HTTPError as problem:
        yield error(
            part,
            f"its keys at {metadata.jwks_uri} cannot be fetched: {failure(problem)}",
            "check that this machine may connect to that address, too",
        )
        return
    except Refusal as problem:
        yield error(part, f"{metadata.jwks_uri}: {problem.detail}", AT_PROVIDER)
        return
    yield from _fitting(keys, provider.id_token_signed_response_alg, part, _ALGORITHM)
    of_callers = provider.access_tokens.signing_alg
    if of_callers not in (None, provider.id_token_signed_response_alg):
        yield from _fitting(keys, str(of_callers), part, "access_tokens.signing_alg")


def _fitting(keys: KeySet, algorithm: str, part: str, setting: str) -> Iterator[Finding]:
    """Whether a key set has a key for an algorithm.

    Args:
        keys: the key set.
        algorithm: the algorithm.
        part: the provider's key in the settings.
        setting: the key below it that names the algorithm.
    """
    count = sum(key.fits(algorithm) for key in keys.keys)
    if count:
        yield ok(part, f"{count} of its keys verify {algorithm}")
        return
    if not keys.keys:
        yield error(
            f"{part}.{setting}",
            f"its key set has no key that can be used for {algorithm}",
            "a provider without public keys signs ID tokens with the client secret (HS256), which "
            f"is not supported: choose {algorithm} for this client at the provider",
        )
        return
    kinds = sorted({f"{key.kty} {key.alg or key.crv or ''}".strip() for key in keys.keys})
    yield error(
        f"{part}.{setting}",
        f"its key set has no key for {algorithm}",
        f"it has {', '.join(kinds)}: set the algorithm that it signs with",
    )
