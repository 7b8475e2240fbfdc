"""What a login obtains from the provider: the tokens of its code, UserInfo, keys."""

import logging

from extproc import telemetry
from extproc.core.application import Application
from extproc.core.decisions import RedeemCode
from extproc.core.errors import Refusal
from extproc.core.oidc.id_token import UserInfo
from extproc.core.oidc.jose import KeySet
from extproc.core.oidc.token import TokenResponse, code_grant
from extproc.core.provider_errors import InvalidTokenResponse
from extproc.core.session import Session
from extproc.provider.client import Provider
from extproc.relying_party.revocation import revoke_found


async def redeemed(application: Application, provider: Provider, step: RedeemCode) -> TokenResponse:
    """Redeem the code. The tokens of a response that cannot be accepted are revoked."""
    grant = code_grant(application.client, step.response.code or "", step.pending)
    try:
        return await provider.token(grant)
    except InvalidTokenResponse as error:
        await revoke_found(provider, application.client, error.tokens)
        raise


async def userinfo_of(
    application: Application, provider: Provider, tokens: TokenResponse
) -> UserInfo | Refusal | None:
    """Call UserInfo, if the settings want it. A call that fails is returned as its refusal."""
    if not application.userinfo_at_login:
        return None
    try:
        return await provider.userinfo(tokens.access_token)
    except Refusal as error:
        return error


def check_sufficient(application: Application, session: Session, refusal: Refusal) -> None:
    """Refuse a login without UserInfo, unless the verified ID token has a claim for each identity
    header: then UserInfo is optional (OpenID Connect Core section 5.3). Otherwise the application
    would take a user for one without groups.
    """
    if not application.knows_all(session.claims):
        raise refusal
    telemetry.log(
        logging.WARNING,
        "userinfo_failed",
        application=application.name,
        reason=refusal.reason,
        detail=refusal.detail,
    )


async def keys_of(provider: Provider) -> KeySet:
    """Return the provider's keys under a span of their own.

    The fetch itself may be shared with other requests, and then stands in another trace.
    """
    with telemetry.span("keys"):
        return await provider.keys()
