"""Logout tokens (OpenID Connect Back-Channel Logout 1.0, section 2.4)."""

import hashlib
from dataclasses import dataclass

from extproc.core.errors import (
    InvalidIDToken,
    InvalidLogoutToken,
    UnknownKey,
)
from extproc.core.oidc.client import Client
from extproc.core.oidc.id_token import MAX_AGE, check_audience, check_times, subject_of
from extproc.core.oidc.jose import KeySet, SignedToken

EVENT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass(frozen=True, slots=True)
class LogoutToken:
    """A verified logout token; it names a session (sid), or else all of a user's. expires: when
    nobody takes it any more.
    """

    issuer: str
    client_id: str
    subject: str | None
    sid: str | None
    jti: str
    expires: int

    @property
    def key(self) -> bytes:
        """By which it is known that it was carried out."""
        parts = (part.encode() for part in ("jti", self.issuer, self.client_id, self.jti))
        return hashlib.sha256(
            b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        ).digest()


def verify_logout_token(client: Client, token: str, keys: KeySet, now: int) -> LogoutToken:
    """Back-Channel Logout sections 2.4 and 2.6. Raises UnknownKey when a newer key set may help,
    InvalidLogoutToken for all else.
    """
    try:
        return _verified(client, token, keys, now)
    except UnknownKey:
        raise
    except InvalidIDToken as error:
        raise InvalidLogoutToken(error.check, error.detail) from None


def _verified(client: Client, token: str, keys: KeySet, now: int) -> LogoutToken:
    # many providers say JWT, or nothing; the type of any other token is refused (section 2.4)
    claims = SignedToken.parse(
        token, client.id_token_signed_response_alg, ("logout+jwt", "JWT")
    ).verified(keys)
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
    if not isinstance(jti, str) or not 0 < len(jti) <= 1024:
        raise InvalidLogoutToken("jti", "jti is missing, too long or no text")
    if "sid" in claims and not is_sid(sid):
        raise InvalidLogoutToken("sid", "sid is too long or no text")
    if "sid" not in claims and "sub" not in claims:
        raise InvalidLogoutToken("subject", "neither sub nor sid")
    subject = subject_of(claims["sub"]) if "sub" in claims else None
    # an hour after iat it is refused in any case, whatever exp says
    last = min(claims["exp"], claims["iat"] + MAX_AGE) + client.clock_skew
    return LogoutToken(client.issuer, client.client_id, subject, sid, jti, int(last) + 1)


def is_sid(value: object) -> bool:
    """Whether it can be a sid as sessions keep it."""
    return isinstance(value, str) and 0 < len(value) <= 255
