"""Token revocation (RFC 7009): best effort, bounded in time, also when the client has left."""

import logging
from typing import Protocol

import trio

from extproc import background, telemetry
from extproc.core.errors import Refusal
from extproc.core.oidc.client import Client
from extproc.core.oidc.token import revocation
from extproc.core.provider_errors import Tokens as FoundTokens
from extproc.provider.client import Provider

REVOCATION_TIMEOUT = 3.0  # seconds


class Tokens(Protocol):
    """What holds tokens: a response of the token endpoint, or a session."""

    @property
    def access_token(self) -> str: ...

    @property
    def refresh_token(self) -> str | None: ...


async def revoke_tokens(provider: Provider, client: Client, tokens: Tokens) -> None:
    """Revoke the refresh token, which ends the access token too; if there is none, the access
    token. A failure is logged and never raised, because the caller's work does not depend on it.
    """
    access = (("access_token", tokens.access_token),)
    refresh = (("refresh_token", tokens.refresh_token),) if tokens.refresh_token else ()
    await revoke_found(provider, client, (*access, *refresh))


async def revoke_found(provider: Provider, client: Client, tokens: FoundTokens) -> None:
    """Revoke tokens of one login: its refresh tokens, or its access tokens if there are none.
    Failures are treated as those of revoke_tokens().

    Args:
        provider: The provider that issued the tokens.
        client: The client that they were issued to.
        tokens: The tokens, each with its kind.
    """
    of_refresh = tuple(found for found in tokens if found[0] == "refresh_token")
    with trio.move_on_after(REVOCATION_TIMEOUT, shield=True) as scope:
        for hint, token in of_refresh or tokens:
            try:
                await provider.revoke(revocation(client, token, hint))
            except Refusal as error:
                telemetry.log(
                    logging.INFO, "not_revoked", provider=provider.name, reason=error.reason
                )
            except Exception as error:
                background.bug("not_revoked", error, provider=provider.name)
    if scope.cancelled_caught:
        telemetry.log(logging.INFO, "not_revoked", provider=provider.name, reason="too_slow")
