"""Tokens that no session took are given back to the provider (RFC 7009): best effort, bounded, whoever has left."""

import logging

import trio

from extproc import telemetry
from extproc.oidc.client import Client
from extproc.oidc.errors import OIDCError
from extproc.oidc.token import RefreshResponse, TokenResponse, revocation
from extproc.provider import Provider

REVOCATION_TIMEOUT = 3.0  # seconds


async def give_back(provider: Provider, client: Client, tokens: TokenResponse | RefreshResponse) -> None:
    """The refresh token where there is one: the access token ends with it."""
    token, hint = (
        (tokens.refresh_token, "refresh_token") if tokens.refresh_token else (tokens.access_token, "access_token")
    )
    with trio.move_on_after(REVOCATION_TIMEOUT) as scope:
        scope.shield = True
        try:
            await provider.revoke(revocation(client, token, hint))
        except OIDCError as error:
            telemetry.log(logging.INFO, "not_revoked", provider=provider.name, reason=error.reason)
