"""Tokens that no session has any more are given back to the provider (RFC 7009): best effort,
bounded, whoever has left.
"""

import logging
from typing import Protocol

import trio

from extproc import background, telemetry
from extproc.core.errors import Refusal
from extproc.core.oidc.client import Client
from extproc.core.oidc.token import revocation
from extproc.provider.client import Provider

REVOCATION_TIMEOUT = 3.0  # seconds


class Tokens(Protocol):
    """What has them: an answer of the token endpoint, or a session."""

    @property
    def access_token(self) -> str: ...

    @property
    def refresh_token(self) -> str | None: ...


async def revoke_tokens(provider: Provider, client: Client, tokens: Tokens) -> None:
    """The refresh token where there is one: the access token ends with it."""
    token, hint = (
        (tokens.refresh_token, "refresh_token")
        if tokens.refresh_token
        else (tokens.access_token, "access_token")
    )
    with trio.move_on_after(REVOCATION_TIMEOUT, shield=True) as scope:
        try:
            await provider.revoke(revocation(client, token, hint))
        except Refusal as error:
            telemetry.log(logging.INFO, "not_revoked", provider=provider.name, reason=error.reason)
        except Exception as error:  # a bug; what is done besides goes on
            background.bug("not_revoked", error, provider=provider.name)
    if scope.cancelled_caught:
        telemetry.log(logging.INFO, "not_revoked", provider=provider.name, reason="too_slow")
