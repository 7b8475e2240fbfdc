"""The ID token and UserInfo, every check (OpenID Connect Core sections 3.1.3.7 and 5.3.2)."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from extproc.core.encoding import b64encode
from extproc.core.errors import InvalidIDToken, InvalidUserInfo, Refusal, SubjectMismatch
from extproc.core.oidc.claims import Claims, number, parse_object
from extproc.core.oidc.client import Client
from extproc.core.oidc.jose import KeySet, SignedToken

MAX_AGE = 3600  # seconds: an ID token of the code flow was made a moment ago
_HASHES = {
    "RS256": hashlib.sha256, "PS256": hashlib.sha256, "ES256": hashlib.sha256,
    "RS384": hashlib.sha384, "PS384": hashlib.sha384, "ES384": hashlib.sha384,
    "RS512": hashlib.sha512, "PS512": hashlib.sha512, "ES512": hashlib.sha512,
    "EdDSA": hashlib.sha512, "Ed25519": hashlib.sha512,
}  # fmt: skip
# what speaks of the token and not of the user
_PROTOCOL = frozenset(
    (
        "iss",
        "aud",
        "azp",
        "exp",
        "iat",
        "nbf",
        "nonce",
        "at_hash",
        "c_hash",
        "s_hash",
        "jti",
        "typ",
        "auth_time",
        "acr",
        "amr",
        "sid",
    )
)


@dataclass(frozen=True, slots=True)
class IDToken:
    """A verified ID token."""

    subject: str
    sid: str | None
    auth_time: int | None
    acr: str | None
    amr: tuple[str, ...]
    claims: Mapping[str, Any] = field(repr=False)


def verify_id_token(
    client: Client, token: str, access_token: str, nonce: str, keys: KeySet, now: int
) -> IDToken:
    """Raises UnknownKey when a newer key set may help, InvalidIDToken with the failed check's name
    for all else.
    """
    id_token = verify_without_nonce(client, token, access_token, keys, now)
    check_nonce(id_token, nonce)
    return id_token


def verify_without_nonce(
    client: Client, token: str, access_token: str, keys: KeySet, now: int
) -> IDToken:
    """All but the nonce, for the ID token of a refresh, which need not have it. Raises as
    verify_id_token does.
    """
    signed = SignedToken.parse(token, client.id_token_signed_response_alg)
    claims = signed.verified(keys)
    if claims.get("iss") != client.issuer:
        raise InvalidIDToken("issuer", "iss is not the issuer of the settings")
    subject = subject_of(claims.get("sub"))
    check_audience(client, claims)
    check_times(claims, now, client.clock_skew)
    _check_at_hash(claims, access_token, client.id_token_signed_response_alg)
    auth_time = number(claims["auth_time"]) if "auth_time" in claims else None
    if "auth_time" in claims and auth_time is None:
        raise InvalidIDToken("malformed", "auth_time is no number")
    sid, acr, amr = claims.get("sid"), claims.get("acr"), claims.get("amr")
    return IDToken(
        subject,
        sid if isinstance(sid, str) and 0 < len(sid) <= 255 else None,
        int(auth_time) if auth_time is not None else None,
        acr if isinstance(acr, str) else None,
        tuple(method for method in amr if isinstance(method, str)) if isinstance(amr, list) else (),
        claims,
    )


def check_nonce(id_token: IDToken, nonce: str) -> None:
    """Raises InvalidIDToken."""
    said = id_token.claims.get("nonce")
    if not isinstance(said, str) or not hmac.compare_digest(
        said.encode("utf-8", "replace"), nonce.encode()
    ):
        raise InvalidIDToken("nonce", "nonce is not the one that was sent")


def subject_of(value: object) -> str:
    """A sub claim as text. Raises InvalidIDToken."""
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= 255
        or not value.isprintable()
        or value.isspace()
    ):
        raise InvalidIDToken("subject", "sub is missing, too long or no printable text")
    return value


def check_audience(client: Client, claims: Mapping[str, Any]) -> None:
    """aud and azp. Raises InvalidIDToken."""
    audience = claims.get("aud")
    # a list is fine when we are the only one in it: other audiences are not trusted (section
    # 3.1.3.7 step 3)
    if audience not in (client.client_id, [client.client_id]):
        raise InvalidIDToken("audience", "aud is not this client alone")
    if claims.get("azp", client.client_id) != client.client_id:
        raise InvalidIDToken("audience", "azp is another client")


def check_times(claims: Mapping[str, Any], now: int, leeway: float) -> None:
    """exp and iat, both demanded, and nbf. Raises InvalidIDToken."""
    expires, issued = number(claims.get("exp")), number(claims.get("iat"))
    if expires is None or now >= expires + leeway:
        raise InvalidIDToken("expired", "exp is missing or past")
    if issued is None or issued > now + leeway:
        raise InvalidIDToken("issued_at", "iat is missing or in the future; check both clocks")
    if issued < now - MAX_AGE - leeway:
        raise InvalidIDToken("issued_at", "iat is more than an hour ago")
    if "nbf" in claims and (
        (not_before := number(claims["nbf"])) is None or not_before > now + leeway
    ):
        raise InvalidIDToken("not_before", "nbf is in the future or no number")


def _check_at_hash(claims: Mapping[str, Any], access_token: str, alg: str) -> None:
    if "at_hash" not in claims:
        return
    digest = _HASHES[alg](access_token.encode()).digest()
    if claims["at_hash"] != b64encode(digest[: len(digest) // 2]):
        raise InvalidIDToken("at_hash", "at_hash is not of this access token")


@dataclass(frozen=True, slots=True)
class UserInfo:
    """A UserInfo answer as it came; it counts only after claims_of has compared its subject."""

    content_type: str
    body: bytes = field(repr=False)


def claims_of(client: Client, id_token: IDToken, userinfo: UserInfo | None, keys: KeySet) -> Claims:
    """What is known of the user: the ID token's claims and UserInfo's over them. Raises
    InvalidUserInfo, SubjectMismatch.
    """
    known = user_claims(id_token)
    if userinfo is not None:
        known = {**known, **claims_of_userinfo(client, userinfo, id_token.subject, keys)}
    return Claims(known)


def claims_of_userinfo(
    client: Client, userinfo: UserInfo, subject: str, keys: KeySet
) -> Mapping[str, Any]:
    """What UserInfo says of this user (OpenID Connect Core section 5.3.2). Raises InvalidUserInfo,
    SubjectMismatch.
    """
    said = _read_userinfo(client, userinfo, keys)
    if said.get("sub") != subject:
        raise SubjectMismatch("sub of UserInfo is not sub of the ID token")
    return {name: value for name, value in said.items() if name not in _PROTOCOL}


def user_claims(id_token: IDToken) -> Mapping[str, Any]:
    """What an ID token says of the user, without what it says of itself."""
    return {name: value for name, value in id_token.claims.items() if name not in _PROTOCOL}


def _read_userinfo(client: Client, userinfo: UserInfo, keys: KeySet) -> Mapping[str, Any]:
    kind = userinfo.content_type.partition(";")[0].strip().lower()
    try:
        if kind != "application/jwt":
            return parse_object(userinfo.body)
        token = SignedToken.parse(
            userinfo.body.decode("ascii"), client.id_token_signed_response_alg
        )
        claims = token.verified(keys)
    except Refusal as error:
        raise InvalidUserInfo(f"signed UserInfo: {error.detail}") from None
    except ValueError as error:
        raise InvalidUserInfo(f"UserInfo is {error}") from None
    # section 5.3.2: a signed answer has iss and aud
    if claims.get("iss") != client.issuer or claims.get("aud") not in (
        client.client_id,
        [client.client_id],
    ):
        raise InvalidUserInfo("signed UserInfo of another issuer or for another client")
    return claims
