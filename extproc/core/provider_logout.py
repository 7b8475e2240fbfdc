"""Logout that the provider starts: by its own request (OpenID Connect Back-Channel Logout 1.0), or by a frame (Front-Channel 1.0).

Neither is a browser's navigation with a session to look at. What counts is the logout token's signature; in a frame, where our
cookies are mostly kept away (SameSite), it is that nobody but the provider and this browser knows the sid.
"""

import hashlib
from dataclasses import dataclass
from urllib.parse import parse_qsl

from extproc.contract import BACKCHANNEL_LOGOUT
from extproc.core.application import Application
from extproc.core.decisions import BackChannelLogout, FrontChannelLogout, ReadBody
from extproc.core.errors import (
    BodyTooLarge,
    InvalidIDToken,
    InvalidLogout,
    InvalidLogoutToken,
    MethodNotAllowed,
    Misdirected,
    UnknownKey,
)
from extproc.core.http import Request, parameters
from extproc.core.logout import expired
from extproc.core.navigation import is_framed
from extproc.core.oidc.client import Client
from extproc.core.oidc.id_token import MAX_AGE, check_audience, check_times, subject_of
from extproc.core.oidc.jose import KeySet, SignedToken
from extproc.core.sealing import KeyRing
from extproc.core.session import Session
from extproc.core.session_index import sid_tags, subject_tags

EVENT = "http://schemas.openid.net/event/backchannel-logout"
MAX_BODY = 65_536  # bytes of the form; beyond it 413
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class LogoutToken:
    """A verified logout token; it names a session (sid), or else all of a user's. expires: when nobody takes it any more."""

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
        return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()

    def tags(self, ring: KeyRing) -> tuple[bytes, ...]:
        """What the sessions carry that are to end."""
        if self.sid is not None:
            return sid_tags(ring, self.issuer, self.sid)
        return subject_tags(ring, self.issuer, self.subject or "")


def verify_logout_token(client: Client, token: str, keys: KeySet, now: int) -> LogoutToken:
    """Back-Channel Logout sections 2.4 and 2.6. Raises UnknownKey when a newer key set may help, InvalidLogoutToken for all else."""
    try:
        return _verified(client, token, keys, now)
    except UnknownKey:
        raise
    except InvalidIDToken as error:
        raise InvalidLogoutToken(error.check, error.detail) from None


def _verified(client: Client, token: str, keys: KeySet, now: int) -> LogoutToken:
    # many providers say JWT, or nothing; the type of any other token is refused (section 2.4)
    claims = SignedToken.parse(token, client.id_token_signed_response_alg, ("logout+jwt", "JWT")).verified(keys)
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


def is_back_channel(application: Application, request: Request) -> bool:
    """Whether this is a request that the provider makes by itself: no cookies count, and its answer is no page."""
    return application.backchannel_logout and request.path == application.endpoints + BACKCHANNEL_LOGOUT


def back_channel(application: Application, request: Request) -> ReadBody:
    """POST /oauth2/backchannel-logout, on any host of the application: the provider may know another one than browsers."""
    if "*" not in application.hosts and request.host not in application.hosts:
        raise Misdirected
    if request.method != "POST":
        raise MethodNotAllowed("POST")
    if request.header("content-type").partition(";")[0].strip().lower() != FORM:
        raise InvalidLogout(f"the content type is not {FORM}")
    length = request.header("content-length")
    if length.isdecimal() and int(length[:20]) > MAX_BODY:
        raise BodyTooLarge
    return ReadBody()


def posted(body: bytes) -> BackChannelLogout:
    """What the form says; other fields are nothing to us (section 2.5)."""
    if len(body) > MAX_BODY:
        raise BodyTooLarge
    try:
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=64)
    except ValueError:
        raise InvalidLogout("the body is no form") from None
    tokens = [value for name, value in fields if name == "logout_token"]
    if len(tokens) != 1:
        raise InvalidLogout("one logout_token is needed")
    return BackChannelLogout(tokens[0])


def front_channel(application: Application, request: Request, session: Session | None) -> FrontChannelLogout:
    """GET /oauth2/frontchannel-logout?iss=..&sid=.. (section 2). Both are needed: without them any page could sign a browser out."""
    if request.method != "GET":
        raise MethodNotAllowed("GET")
    try:
        fields = parameters(request.query)
    except ValueError:
        raise InvalidLogout("the query is too long, or no UTF-8") from None
    issuers, sids = ([value for key, value in fields if key == name] for name in ("iss", "sid"))
    if len(issuers) != 1 or len(sids) != 1 or not is_sid(sids[0]):
        raise InvalidLogout("one iss and one sid are needed (register frontchannel_logout_session_required)")
    if issuers[0] != application.client.issuer:
        raise InvalidLogout("iss is another issuer")
    if not is_framed(request):
        raise InvalidLogout(
            "the browser asks for something else than a frame (Sec-Fetch-Dest), or ahead of time (Sec-Purpose)"
        )
    if session is None or session.sid != sids[0]:
        return FrontChannelLogout(sids[0])
    return FrontChannelLogout(sids[0], session, expired(application, request))
