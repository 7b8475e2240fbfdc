"""Settings of access tokens as values of the core."""

from collections.abc import Iterable, Iterator

from extproc.core.oidc.access_token import AccessTokenProfile
from extproc.settings.root import Settings


def access_token_profile(
    settings: Settings, name: str, audiences: Iterable[str]
) -> AccessTokenProfile:
    """What access tokens have to be.

    Args:
        settings: All settings.
        name: The provider that issues the tokens.
        audiences: What the tokens have to be for.

    Raises:
        OSError: The file of a client secret cannot be read.
    """
    provider = settings.providers[name]
    tokens = provider.access_tokens
    return AccessTokenProfile(
        provider=name,
        issuer=provider.issuer,
        alg=tokens.signing_alg or provider.id_token_signed_response_alg,
        types=tokens.types,
        required_claims=tuple(tokens.required_claims.items()),
        scope_claim=tokens.scope_claim,
        audiences=frozenset(audiences),
        client_ids=frozenset(_clients(settings, provider.issuer)),
        clock_skew=settings.timeouts.clock_skew,
        groups_claim=provider.groups_claim,
        trust_email=provider.trust_email,
        introspection=tokens.introspection.credentials() if tokens.introspection else None,
    )


def _clients(settings: Settings, issuer: str) -> Iterator[str]:
    """The processor's clients at an issuer: no access token is for one of them."""
    for provider in settings.providers.values():
        if provider.issuer == issuer:
            yield provider.client_id
            if provider.access_tokens.introspection is not None:
                yield provider.access_tokens.introspection.client_id
