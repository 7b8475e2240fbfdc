"""Logout tokens (OpenID Connect Back-Channel Logout 1.0, sections 2.4 and 2.6)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from extproc.core.errors import InvalidLogoutToken
from extproc.core.oidc.client import Client
from extproc.core.oidc.id_token import MAX_AGE, check_audience, check_times, is_sid, subject_of
from extproc.core.oidc.jose import MAX_VALUES, KeySet, SignedToken, has_too_many_values
from extproc.core.provider_errors import InvalidIDToken, UnknownKey, WrongSignature

EVENT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass(frozen=True, slots=True)
class LogoutToken:
    """A verified logout token. It names one session at the provider (sid) or, without a sid, all
    sessions of a user.

    expires: from when on the token is refused in any case, in seconds since the epoch.
    """

    issuer: str
    client_id: str
    subject: str | None
    sid: str | None
    jti: str
    expires: int

    @property
    def key(self) -> bytes:
        """The key that marks the token as used in the store."""
        parts = (part.encode() for part in ("jti", self.issuer, self.client_id, self.jti))
        return hashlib.sha256(
            b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        ).digest()


def check_unsigned(client: Client, token: str, now: int) -> None:
    """Check everything in a logout token but its signature.

    Anybody can post a logout token. What fails here costs neither a permit nor a fetch of keys.

    Args:
        client: the client that the token has to be for.
        token: the compact serialization.
        now: seconds since the epoch.

    Raises:
        InvalidLogoutToken: the token fails a check, whose name it has.
    """
    if has_too_many_values(token):
        raise InvalidLogoutToken("malformed", f"more than {MAX_VALUES} values")
    try:
        _unsigned(client, token, now)
    except InvalidIDToken as error:
        raise InvalidLogoutToken(error.check, error.detail) from None


def verify_logout_token(client: Client, token: str, keys: KeySet, now: int) -> LogoutToken:
    """Verify a logout token: first what it says, then its signature.

    Args:
        client: the client that the token has to be for.
        token: the compact serialization.
        keys: the provider's key set.
        now: seconds since the epoch.

    Raises:
        UnknownKey, WrongSignature: everything else is right, and a newer key set may help.
        InvalidLogoutToken: the token fails a check, whose name it has.
    """
    try:
        signed = _unsigned(client, token, now)
        return _checked(client, signed.verified(keys), now)
    except (UnknownKey, WrongSignature):
        raise
    except InvalidIDToken as error:
        raise InvalidLogoutToken(error.check, error.detail) from None


def _unsigned(client: Client, token: str, now: int) -> SignedToken:
    """Check everything but the signature. Raises InvalidIDToken, InvalidLogoutToken."""
    # Many providers send the type JWT, or none. The type of any other kind of token is refused
    # (section 2.4).
    signed = SignedToken.parse(token, client.id_token_signed_response_alg, ("logout+jwt", "JWT"))
    _checked(client, signed.unverified(), now)
    return signed


def _checked(client: Client, claims: Mapping[str, Any], now: int) -> LogoutToken:
    """Check the claims. Raises InvalidIDToken, InvalidLogoutToken."""
    if claims.get("iss") != client.issuer:
        raise InvalidLogoutToken("issuer", "iss is not the issuer of the settings")
    check_audience(client, claims)
    check_times(claims, now, client.clock_skew)
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise InvalidLogoutToken("events", "events has no object for a back-channel logout")
    if "nonce" in claims:
        raise InvalidLogoutToken("nonce", "there is a nonce: an ID token is no logout token")
    jti, sid = claims.get("jti"), claims.get("sid")
    if not isinstance(jti, str) or not 0 < len(jti) <= 1024 or not jti.isprintable():
        raise InvalidLogoutToken("jti", "jti is missing, too long or no printable text")
    if "sid" in claims and not is_sid(sid):
        raise InvalidLogoutToken("sid", "sid is too long or no printable text")
    if "sid" not in claims and "sub" not in claims:
        raise InvalidLogoutToken("subject", "neither sub nor sid")
    subject = subject_of(claims["sub"]) if "sub" in claims else None
    # check_times() refuses the token an hour after iat, whatever exp is
    last = min(claims["exp"], claims["iat"] + MAX_AGE) + client.clock_skew
    return LogoutToken(client.issuer, client.client_id, subject, sid, jti, int(last) + 1)
