"""Token introspection (RFC 7662): what a provider says of an opaque access token."""

from collections.abc import Mapping
from typing import Any

from extproc.core.bearer_errors import InvalidAccessToken
from extproc.core.errors import Refusal
from extproc.core.oidc.access_token import (
    AccessToken,
    AccessTokenProfile,
    check_audience,
    check_kind,
    read_token,
)
from extproc.core.oidc.claims import parse_object
from extproc.core.oidc.client import ClientCredentials, FormRequest
from extproc.core.oidc.id_token import subject_of
from extproc.core.oidc.token_times import check_expires, check_issued
from extproc.core.provider_errors import ClientRefused, InvalidAnswer, InvalidIDToken

# bytes of a response
MAX_INTROSPECTION = 65_536
# Seconds until a request ends that a token without exp began. The token itself is asked about again
# long before.
UNKNOWN_LIFE = 3600
# error codes of a 400 about the token: RFC 6749 section 5.2, RFC 6750 section 3.1, RFC 7009 section
# 2.2.1
_OF_THE_TOKEN = ("invalid_request", "invalid_grant", "invalid_token", "unsupported_token_type")


def introspection(credentials: ClientCredentials, token: str) -> FormRequest:
    """The request that asks a provider about a token (section 2.1)."""
    return credentials.authenticated((("token", token), ("token_type_hint", "access_token")))


def introspection_error(body: bytes) -> Refusal:
    """The refusal for a response 400. Some providers answer so to what is no token of theirs, in
    place of `active: false`; anybody can make that up, so it is no fault of the provider's.
    """
    try:
        error = parse_object(body).get("error")
    except ValueError:
        error = None
    if error in _OF_THE_TOKEN:
        return InvalidAccessToken("inactive", f"the introspection endpoint says {error}")
    if error in ("invalid_client", "unauthorized_client"):
        return ClientRefused(f"the introspection endpoint says {error}")
    return InvalidAnswer("the introspection endpoint answers 400")


def introspected(profile: AccessTokenProfile, body: bytes, now: float) -> AccessToken:
    """Read an introspection response (section 2.2).

    Args:
        profile: what the token has to be; its types and required_claims are for JWTs.
        body: the body of the response.
        now: seconds since the epoch.

    Raises:
        InvalidAnswer: the response is no JSON object, or too long.
        InvalidAccessToken: the token is not active, or fails a check, whose name it has.
    """
    if len(body) > MAX_INTROSPECTION:
        raise InvalidAnswer("the introspection response is longer than 64 kB")
    try:
        claims = parse_object(body)
    except ValueError as error:
        raise InvalidAnswer(f"the introspection response is {error}") from None
    if claims.get("active") is not True:
        raise InvalidAccessToken("inactive", "active of the introspection response is not true")
    if "iss" in claims and claims["iss"] != profile.issuer:
        raise InvalidAccessToken("issuer", "iss is not the issuer of the settings")
    check_kind(claims)
    check_audience(profile, claims)
    try:
        return _read(profile, claims, now)
    except InvalidIDToken as error:
        raise InvalidAccessToken(error.check, error.detail) from None


def _read(profile: AccessTokenProfile, claims: Mapping[str, Any], now: float) -> AccessToken:
    """Check what a response may leave out. Raises InvalidIDToken."""
    leeway = profile.clock_skew
    expires = check_expires(claims, now, leeway) if "exp" in claims else now + UNKNOWN_LIFE
    issued = check_issued(claims, now, leeway) if "iat" in claims else now
    subject = subject_of(claims["sub"]) if "sub" in claims else ""
    return read_token(profile, claims, subject, issued, expires, now)
