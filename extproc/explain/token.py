"""Finds out whether an access token is good, with the keys of its provider. The token itself is
sent nowhere.
"""

import trio

from extproc.core.application import Application
from extproc.core.bearer_errors import InvalidAccessToken
from extproc.core.errors import Refusal
from extproc.core.oidc.access_token import (
    AccessTokenProfile,
    UnprovedAccessToken,
    check_size,
    is_jwt,
    issuer_of,
    verify_access_token,
)
from extproc.core.oidc.jose import KeySet
from extproc.explain.callers import TokenLookup
from extproc.explain.words import time_span
from extproc.provider.client import Provider
from extproc.settings import Settings


def find_token(settings: Settings, application: Application, token: str, now: int) -> TokenLookup:
    """What can be found out about an access token.

    Args:
        settings: for its provider.
        application: the application that the request is for; a rule of it accepts tokens.
        token: the token.
        now: seconds since the epoch.
    """
    try:
        check_size(token)
    except InvalidAccessToken as refusal:
        return _refused(refusal)
    bearer = application.bearer
    if bearer is None or not is_jwt(token):
        return _opaque(application)
    issuer = issuer_of(token)
    profile = next((each for each in bearer.profiles if each.issuer == issuer), None)
    if profile is None:
        return _refused(
            InvalidAccessToken("issuer", "iss is none of the providers whose tokens count")
        )
    try:
        verify_access_token(profile, token, KeySet(()), now)
    except UnprovedAccessToken:
        # Its signature is all that is left, which takes keys.
        return _verified(settings, profile, token, now)
    except InvalidAccessToken as refusal:
        return _refused(refusal)
    raise AssertionError("a token was verified without a key")


def _verified(settings: Settings, profile: AccessTokenProfile, token: str, now: int) -> TokenLookup:
    """Verify a token, whose claims are right, with the keys of its provider, which are fetched."""
    try:
        keys = trio.run(_keys, settings, profile.provider)
    except Refusal as problem:
        return TokenLookup(
            None,
            f"the token says what it has to, and whether {profile.provider} signed it cannot be "
            f"found out: {problem.detail}",
        )
    try:
        found = verify_access_token(profile, token, keys, now)
    except InvalidAccessToken as refusal:
        return _refused(refusal)
    lasts = time_span(found.expires_at - now)
    return TokenLookup(
        found, f"an access token that {profile.provider} signed; it lasts {lasts} more"
    )


async def _keys(settings: Settings, name: str) -> KeySet:
    provider = Provider(
        name,
        settings.providers[name],
        settings.timeouts,
        settings.limits,
        listeners=settings.own_listeners,
    )
    try:
        return await provider.keys()
    finally:
        await provider.aclose()


def _opaque(application: Application) -> TokenLookup:
    """What is known of a token that is no JWT."""
    profile = application.bearer.opaque if application.bearer is not None else None
    if profile is None:
        return _refused(InvalidAccessToken("opaque", "it is no JWT, and bearer.opaque is not set"))
    return TokenLookup(
        None,
        f"the token is opaque: the processor asks {profile.provider} about it (introspection, not "
        "tried here)",
    )


def _refused(refusal: InvalidAccessToken) -> TokenLookup:
    return TokenLookup(None, f"the token is not accepted: {refusal.detail}", refusal)
