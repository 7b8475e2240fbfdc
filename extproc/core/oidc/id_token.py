"""The ID token and UserInfo, with every check (OpenID Connect Core sections 3.1.3.7 and 5.3.2)."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from extproc.core.encoding import b64encode
from extproc.core.errors import Refusal
from extproc.core.oidc.claims import Claims, overlaid, parse_object
from extproc.core.oidc.client import Client
from extproc.core.oidc.jose import KeySet, SignedToken
from extproc.core.oidc.token_times import (
    check_auth_time,
    check_expires,
    check_issued,
    check_not_before,
    distance,
)
from extproc.core.provider_errors import (
    InvalidIDToken,
    InvalidUserInfo,
    SubjectMismatch,
    UnknownKey,
    UnverifiedUserInfo,
    WrongSignature,
)

# seconds: in the code flow an ID token was issued a moment ago
MAX_AGE = 3600
_HASHES = {
    "RS256": hashlib.sha256, "PS256": hashlib.sha256, "ES256": hashlib.sha256,
    "RS384": hashlib.sha384, "PS384": hashlib.sha384, "ES384": hashlib.sha384,
    "RS512": hashlib.sha512, "PS512": hashlib.sha512, "ES512": hashlib.sha512,
    "EdDSA": hashlib.sha512, "Ed25519": hashlib.sha512,
}  # fmt: skip
# claims about the token or the login, not about the user
_PROTOCOL = frozenset((
    "iss", "aud", "azp", "exp", "iat", "nbf", "nonce", "at_hash", "c_hash", "s_hash", "jti", "typ",
    "auth_time", "acr", "amr", "sid",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class IDToken:
    """A verified ID token. claims: all of its claims."""

    subject: str
    sid: str | None
    auth_time: int | None
    acr: str | None
    amr: tuple[str, ...]
    claims: Mapping[str, Any] = field(repr=False)


def verify_id_token(
    client: Client, token: str, access_token: str, nonce: str, keys: KeySet, now: int
) -> IDToken:
    """Verify the ID token of a login.

    Args:
        client: the client that the token has to be for.
        token: the compact serialization.
        access_token: the access token that was received with it, for at_hash.
        nonce: the nonce of the authorization request.
        keys: the provider's key set.
        now: seconds since the epoch.

    Raises:
        UnknownKey, WrongSignature: a newer key set may help.
        InvalidIDToken: the token fails a check, whose name it has.
    """
    id_token = verify_without_nonce(client, token, access_token, keys, now)
    check_nonce(id_token, nonce)
    return id_token


def verify_without_nonce(
    client: Client, token: str, access_token: str, keys: KeySet, now: int
) -> IDToken:
    """Verify the ID token of a refresh, which need not have a nonce; other checks, arguments and
    errors are those of verify_id_token().
    """
    signed = SignedToken.parse(token, client.id_token_signed_response_alg)
    claims = signed.verified(keys)
    if claims.get("iss") != client.issuer:
        raise InvalidIDToken("issuer", "iss is not the issuer of the settings")
    subject = subject_of(claims.get("sub"))
    check_audience(client, claims)
    _check_authorized_party(claims)
    check_times(claims, now, client.clock_skew)
    _check_at_hash(claims, access_token, client.id_token_signed_response_alg)
    sid, acr, amr = claims.get("sid"), claims.get("acr"), claims.get("amr")
    methods = amr if isinstance(amr, list) else []
    return IDToken(
        subject=subject,
        sid=sid if is_sid(sid) else None,
        auth_time=check_auth_time(claims, now + client.clock_skew),
        acr=acr if isinstance(acr, str) else None,
        amr=tuple(method for method in methods if isinstance(method, str)),
        claims=claims,
    )


def check_nonce(id_token: IDToken, nonce: str) -> None:
    """Check that an ID token repeats the nonce of its request. Raises InvalidIDToken."""
    received = id_token.claims.get("nonce")
    if not isinstance(received, str) or not hmac.compare_digest(
        received.encode("utf-8", "replace"), nonce.encode()
    ):
        raise InvalidIDToken("nonce", "nonce is not the one that was sent")


def subject_of(value: object) -> str:
    """Check a sub claim, and return it. Raises InvalidIDToken."""
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= 255
        or not value.isprintable()
        or value.isspace()
    ):
        raise InvalidIDToken("subject", "sub is missing, too long or no printable text")
    return value


def is_sid(value: object) -> TypeGuard[str]:
    """Whether a value can be a sid: printable, as a sub is, because operators read it in a
    terminal, and because half of a surrogate pair cannot be encoded.
    """
    return isinstance(value, str) and 0 < len(value) <= 255 and value.isprintable()


def check_audience(client: Client, claims: Mapping[str, Any]) -> None:
    """Check aud, and azp if there is one (section 3.1.3.7 steps 3 and 5).

    Audiences beside this client have to be trusted: each of them can use the token as well. Raises
    InvalidIDToken.
    """
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if client.client_id not in audiences:
        raise InvalidIDToken("audience", "aud is not this client")
    others = [other for other in audiences if other != client.client_id]
    if len(audiences) - len(others) > 1 or not all(
        isinstance(other, str) and other in client.trusted_audiences for other in others
    ):
        raise InvalidIDToken("audience", "aud is not this client alone (setting trusted_audiences)")
    if claims.get("azp", client.client_id) != client.client_id:
        raise InvalidIDToken("audience", "azp is another client")


def _check_authorized_party(claims: Mapping[str, Any]) -> None:
    """Check that an ID token for several audiences names the client that requested it (section
    3.1.3.7 step 4). Raises InvalidIDToken.
    """
    audience = claims.get("aud")
    if isinstance(audience, list) and len(audience) > 1 and "azp" not in claims:
        raise InvalidIDToken("audience", "aud has several audiences, and azp is missing")


def check_times(claims: Mapping[str, Any], now: int, leeway: float) -> None:
    """Check exp and iat, which are required, and nbf. Raises InvalidIDToken.

    leeway: seconds by which the provider's clock may differ.
    """
    check_expires(claims, now, leeway)
    issued = check_issued(claims, now, leeway)
    if issued < now - MAX_AGE - leeway:
        ago = distance(now - issued, leeway)
        raise InvalidIDToken("issued_at", f"iat is more than an hour past: {ago}")
    check_not_before(claims, now, leeway)


def _check_at_hash(claims: Mapping[str, Any], access_token: str, alg: str) -> None:
    if "at_hash" not in claims:
        return
    digest = _HASHES[alg](access_token.encode()).digest()
    if claims["at_hash"] != b64encode(digest[: len(digest) // 2]):
        raise InvalidIDToken("at_hash", "at_hash is not of this access token")


@dataclass(frozen=True, slots=True)
class UserInfo:
    """An unverified UserInfo response; its claims count only after claims_of_userinfo() has
    compared its subject.
    """

    content_type: str
    body: bytes = field(repr=False)


def claims_of(client: Client, id_token: IDToken, userinfo: UserInfo | None, keys: KeySet) -> Claims:
    """The user's claims: those of the ID token, overridden by those of UserInfo.

    Args:
        client: the client that signed UserInfo has to be for.
        id_token: the verified ID token.
        userinfo: the UserInfo response, if the provider has been asked.
        keys: the provider's key set.

    Raises:
        InvalidUserInfo: UserInfo cannot be read, or has no sub.
        UnverifiedUserInfo: a newer key set may help.
        SubjectMismatch: UserInfo is about another user.
    """
    claims = user_claims(id_token)
    if userinfo is not None:
        newer = claims_of_userinfo(client, userinfo, id_token.subject, keys)
        claims = overlaid(claims, newer)
    return Claims(claims)


def claims_of_userinfo(
    client: Client, userinfo: UserInfo, subject: str, keys: KeySet
) -> Mapping[str, Any]:
    """The claims of UserInfo about the user (OpenID Connect Core section 5.3.2); arguments and
    errors are those of claims_of(), but for the subject that they have to be about.
    """
    claims = _read_userinfo(client, userinfo, keys)
    if claims.get("sub") is None:
        raise InvalidUserInfo("UserInfo has no sub, so it is unknown whose claims it has")
    if claims.get("sub") != subject:
        raise SubjectMismatch("sub of UserInfo is not sub of the ID token")
    return about_user(claims)


def user_claims(id_token: IDToken) -> Mapping[str, Any]:
    """The claims of an ID token about the user."""
    return about_user(id_token.claims)


def about_user(claims: Mapping[str, Any]) -> Mapping[str, Any]:
    """The claims about the user, without those about a token or a login."""
    return {name: value for name, value in claims.items() if name not in _PROTOCOL}


def _read_userinfo(client: Client, userinfo: UserInfo, keys: KeySet) -> Mapping[str, Any]:
    content_type = userinfo.content_type.partition(";")[0].strip().lower()
    try:
        if content_type != "application/jwt":
            return parse_object(userinfo.body)
        # What is not ASCII becomes a character that no token has.
        text = userinfo.body.decode("ascii", "replace")
        token = SignedToken.parse(text, client.id_token_signed_response_alg)
        claims = token.verified(keys)
    except (UnknownKey, WrongSignature) as error:
        raise UnverifiedUserInfo(f"signed UserInfo: {error.detail}") from None
    except Refusal as error:
        raise InvalidUserInfo(f"signed UserInfo: {error.detail}") from None
    except ValueError as error:
        raise InvalidUserInfo(f"UserInfo is {error}") from None
    # a signed response has iss and aud (section 5.3.2)
    try:
        check_audience(client, claims)
    except InvalidIDToken as error:
        raise InvalidUserInfo(f"signed UserInfo: {error.detail}") from None
    if claims.get("iss") != client.issuer:
        raise InvalidUserInfo("signed UserInfo of another issuer")
    return claims
