"""Access tokens that API callers bring, as JWTs (RFC 9068). introspection.py is about opaque ones.

An access token is for an audience and not for a client, so an ID token, a logout token or a refresh
token of the same provider must never stand for one: each of them is refused.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from extproc.core.access_values import Scalar, matches
from extproc.core.bearer_errors import InvalidAccessToken
from extproc.core.encoding import b64decode
from extproc.core.oidc.claims import Claims, parse_object
from extproc.core.oidc.client import ClientCredentials
from extproc.core.oidc.id_token import about_user, subject_of
from extproc.core.oidc.jose import MAX_VALUES, KeySet, SignedToken, has_too_many_values
from extproc.core.oidc.token_times import (
    check_auth_time,
    check_expires,
    check_issued,
    check_not_before,
)
from extproc.core.provider_errors import InvalidIDToken, UnknownKey, WrongSignature

# characters of an access token that is looked at
MAX_ACCESS_TOKEN = 16_384
# seconds since the epoch: the end of the year 9999, for tokens that never expire
LATEST = 253_402_300_799
# claims of the other kinds of token, by the check that refuses them
_OF_OTHERS = {
    "nonce": "id_token", "at_hash": "id_token", "c_hash": "id_token", "s_hash": "id_token",
    "events": "type",
}  # fmt: skip
# The claims by which providers tell their kinds of token apart (Keycloak, AWS Cognito, Ory Hydra;
# token_type is RFC 7662's), and what they are in an access token that whoever has it may use.
_KINDS = ("typ", "token_use", "token_type")
_ACCESS = ("bearer", "access", "access_token", "at+jwt")
# claims with the client that a token was issued to: RFC 9068, OpenID Connect Core, Okta
_CLIENT = ("client_id", "azp", "cid")
# members of an introspection response that say nothing of the user
_OF_RESPONSE = ("active", "token_type")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


class UnprovedAccessToken(InvalidAccessToken):
    """Everything in the token is right, but no key that is known has signed it; a newer key set may
    have the key.
    """


@dataclass(frozen=True)
class AccessTokenProfile:
    """What the access tokens of one provider have to be for one application.

    Attributes:
        provider: the provider's name in the settings.
        alg: the only accepted signing algorithm.
        types: the accepted values of `typ` in the header of a JWT (RFC 9068 section 2.1).
        required_claims: claims by name or path, and the values of which each has to have one: what
            proves that a JWT is an access token where `typ` does not.
        scope_claim: claim with the scopes, by name or path.
        audiences: a token has to be for one of these.
        client_ids: the clients of the processor itself at this issuer. A token for one of them is
            an ID token.
        clock_skew: seconds by which the provider's clock may differ.
        groups_claim: claim with the user's groups, by name or path.
        trust_email: whether the claim `email` counts although the provider does not confirm it.
        introspection: the client that may introspect tokens; None: opaque tokens cannot be used.
    """

    provider: str
    issuer: str
    alg: str
    types: tuple[str, ...]
    required_claims: tuple[tuple[str, tuple[Scalar, ...]], ...]
    scope_claim: str
    audiences: frozenset[str]
    client_ids: frozenset[str]
    clock_skew: float
    groups_claim: str
    trust_email: bool
    introspection: ClientCredentials | None = None


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A verified access token. Times are seconds since the epoch.

    Attributes:
        profile: what it was verified by.
        subject: `sub`; "" if the introspection response has none. The client's id never stands in
            its place, because it could equal some user's `sub`.
        client_id: the client that the token was issued to, if it says so.
        scopes: what the token was issued for.
        claims: the claims about the user.
        acr: how the user signed in, if the token says so.
        auth_time: when the user authenticated, if the token says so.
        issued_at: `iat`, or the time of the introspection.
        expires_at: `exp`, or an hour after the introspection.
    """

    profile: AccessTokenProfile
    subject: str
    client_id: str | None
    scopes: frozenset[str]
    claims: Claims
    acr: str | None
    auth_time: int | None
    issued_at: int
    expires_at: int


def check_size(token: str) -> None:
    """Refuse a token that is too long, or that would take long to read.

    Raises InvalidAccessToken.
    """
    if len(token) > MAX_ACCESS_TOKEN:
        raise InvalidAccessToken("malformed", "longer than 16 kB")
    if has_too_many_values(token):
        raise InvalidAccessToken("malformed", f"more than {MAX_VALUES} values")


def is_jwt(token: str) -> bool:
    """Whether an access token is verified as a JWT: three segments, of which the first is a JSON
    object with alg. Any other token is opaque.
    """
    return token.count(".") == 2 and "alg" in _object(token.partition(".")[0])


def issuer_of(token: str) -> str | None:
    """Read iss of a JWT before its signature is verified: good for choosing the profile, and for
    nothing else.
    """
    issuer = _object(token.split(".")[1]).get("iss") if is_jwt(token) else None
    return issuer if isinstance(issuer, str) else None


def _object(segment: str) -> Mapping[str, Any]:
    """The JSON object of a segment; an empty one if it has none, or if it is too long."""
    if len(segment) > MAX_ACCESS_TOKEN:
        return {}
    try:
        return parse_object(b64decode(segment))
    except ValueError:
        return {}


def verify_access_token(
    profile: AccessTokenProfile, token: str, keys: KeySet, now: float
) -> AccessToken:
    """Verify a JWT access token (RFC 9068 section 4): first what it says, then its signature, so
    that what fails here costs no fetch of keys.

    Args:
        profile: what the token has to be.
        token: the compact serialization.
        keys: the provider's key set.
        now: seconds since the epoch.

    Raises:
        UnprovedAccessToken: a newer key set may help.
        InvalidAccessToken: the token fails a check, whose name it has.
    """
    check_size(token)
    try:
        signed = SignedToken.parse(token, profile.alg, profile.types, "access_tokens.signing_alg")
        checked_claims(profile, signed.unverified(), now)
        return checked_claims(profile, signed.verified(keys), now)
    except (UnknownKey, WrongSignature) as error:
        raise UnprovedAccessToken(error.check, error.detail) from None
    except InvalidIDToken as error:
        raise InvalidAccessToken(error.check, error.detail) from None


def checked_claims(
    profile: AccessTokenProfile, claims: Mapping[str, Any], now: float
) -> AccessToken:
    """Check the claims of a JWT, and nothing else: whose they are, only its signature says.

    Raises InvalidAccessToken, InvalidIDToken.
    """
    if claims.get("iss") != profile.issuer:
        raise InvalidAccessToken("issuer", "iss is not the issuer of the settings")
    check_kind(claims, [name for name, _ in profile.required_claims])
    check_audience(profile, claims)
    named = Claims(claims)
    if not all(matches(named.get(name), wanted) for name, wanted in profile.required_claims):
        raise InvalidAccessToken("claims", "a claim has none of the values of required_claims")
    expires = check_expires(claims, now, profile.clock_skew)
    issued = check_issued(claims, now, profile.clock_skew)
    return read_token(profile, claims, subject_of(claims.get("sub")), issued, expires, now)


def check_kind(claims: Mapping[str, Any], proved: Collection[str] = ()) -> None:
    """Refuse the other kinds of token, and tokens that are bound to a key: nobody who presents one
    of those proves here to have the key (RFC 8705 section 3, RFC 9449 section 7).

    proved: claims whose values the settings demand. Raises InvalidAccessToken.
    """
    if "cnf" in claims:
        raise InvalidAccessToken(
            "sender_constrained", "cnf binds it to a key (DPoP, mTLS), which is not supported"
        )
    for name, check in _OF_OTHERS.items():
        if name in claims:
            raise InvalidAccessToken(check, f"there is {name}, which no access token has")
    for name in _KINDS:
        kind = claims.get(name, "bearer")
        if name not in proved and (not isinstance(kind, str) or kind.lower() not in _ACCESS):
            raise InvalidAccessToken("type", f"the claim {name} is of another kind of token")


def check_audience(profile: AccessTokenProfile, claims: Mapping[str, Any]) -> None:
    """Check aud, which is required: a token that names no audience would be good everywhere.

    Raises InvalidAccessToken.
    """
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if not audiences or not all(isinstance(each, str) for each in audiences):
        raise InvalidAccessToken("audience", "aud is missing, or neither text nor a list of text")
    if not profile.client_ids.isdisjoint(audiences):
        raise InvalidAccessToken("id_token", "aud has a client of the processor, as in ID tokens")
    if profile.audiences.isdisjoint(audiences):
        raise InvalidAccessToken("audience", "aud has none of the audiences of the application")


def read_token(
    profile: AccessTokenProfile,
    claims: Mapping[str, Any],
    subject: str,
    issued: float,
    expires: float,
    now: float,
) -> AccessToken:
    """Check nbf and auth_time, and read the rest of checked claims.

    Args:
        profile: what the token was checked by.
        claims: all of its claims.
        subject: its subject, or "".
        issued: when it was issued, in seconds since the epoch.
        expires: when it expires.
        now: seconds since the epoch.

    Raises:
        InvalidIDToken: one of the times is wrong.
    """
    check_not_before(claims, now, profile.clock_skew)
    acr = claims.get("acr")
    user = {name: value for name, value in about_user(claims).items() if name not in _OF_RESPONSE}
    return AccessToken(
        profile=profile,
        subject=subject,
        client_id=_client_of(claims),
        scopes=_scopes(Claims(claims).get(profile.scope_claim)),
        claims=Claims(user),
        acr=acr if isinstance(acr, str) else None,
        auth_time=check_auth_time(claims, now + profile.clock_skew),
        issued_at=int(max(issued, 0)),
        expires_at=int(min(expires, LATEST)),
    )


def _client_of(claims: Mapping[str, Any]) -> str | None:
    """The client that a token was issued to: the first usable claim that names one."""
    named = (claims.get(name) for name in _CLIENT)
    return next(
        (
            each
            for each in named
            if isinstance(each, str) and 0 < len(each) <= 255 and each.isprintable()
        ),
        None,
    )


def _scopes(claim: object) -> frozenset[str]:
    """The scopes that a claim names: text with blanks between them (RFC 6749 section 3.3), or a
    list in which each text is one. What cannot be a scope is none.
    """
    if isinstance(claim, str):
        named: list[Any] = claim.split(" ")
    else:
        named = claim if isinstance(claim, list) else []
    return frozenset(each for each in named if isinstance(each, str) and _SCOPE.fullmatch(each))
