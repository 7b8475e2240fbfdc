"""The identity assertion: a short-lived JWT that the processor signs and Envoy verifies by itself,
so that most signed-in requests need no processor.

Its claims are the finished values of the identity headers: Envoy copies each claim into its header,
and the processor sets the same bytes on requests that it decides. The signature is Ed25519 (`alg`
EdDSA, RFC 8037): it costs as much as ES256, and the key is derived from the ring's secret alone, so
`extproc envoy` can print the public key without a running processor.

An assertion is valid only together with the cookie of its session, because a late response may set
an assertion after its user has signed out and another user has signed in. Envoy compares the
session's handle in both, as text. The payload begins with the handle: `{"session":"` has twelve
bytes, so in base64url the characters of the handle are not mixed with those before it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from extproc.core.encoding import b64encode, to_json
from extproc.core.sealing import Key, KeyRing

ALG = "EdDSA"
# characters of a token; jwt_authn caches tokens of up to 4096 bytes, and browsers keep cookies of
# 4096 bytes with name and attributes
MAX_BYTES = 3800
# the claim with the longest duration of a request, in milliseconds; no identity header has its name
LASTS = "lasts"
# the claim with the user's name for the access log; no identity header has its name
USER = "user"
# the first claim: the handle of the session
SESSION = "session"
# characters of a signature, which has 64 bytes (RFC 8032)
SIGNATURE = 86
# the first characters of every payload
FIRST_CLAIM = b64encode(f'{{"{SESSION}":"'.encode())
# the position of the handle in the payload
MARK_AT = len(FIRST_CLAIM)
# seconds by which Envoy's clock may be behind that of the processor
ENVOY_SKEW = 1
# Envoy accepts an assertion to the end of the second that is ENVOY_SKEW after exp
_LATE = ENVOY_SKEW + 1
Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class AssertionProfile:
    """The issuer (iss) of an application's assertions, and their lifetime in seconds; 0: none are
    issued.
    """

    issuer: str
    lifetime: int


def key_id(key: Key) -> str:
    """The `kid` of a key's assertions."""
    return b64encode(key.id)


@lru_cache(maxsize=32)
def _signer(key: Key) -> tuple[Ed25519PrivateKey, str]:
    head = json.dumps(
        {"alg": ALG, "kid": key_id(key), "typ": "JWT"}, separators=(",", ":")
    ).encode()
    return Ed25519PrivateKey.from_private_bytes(key.assertion_seed), b64encode(head)


def mint(
    ring: KeyRing,
    profile: AssertionProfile,
    audiences: Sequence[str],
    handle: str,
    headers: Sequence[Header],
    now: int,
    not_after: int,
) -> str | None:
    """Sign an assertion.

    Args:
        ring: the keys; the first one signs.
        profile: issuer and lifetime.
        audiences: what the session is admitted to, see access.Access.audience().
        handle: the handle of the session.
        headers: the identity headers, as (name, value).
        now: seconds since the epoch.
        not_after: the time that the assertion does not outlive, in seconds since the epoch.

    Returns:
        The token. None if none may be issued: the lifetime is 0, not_after is near, the session is
        admitted to nothing, or the token would be too long for a cookie.
    """
    expires = min(now + profile.lifetime, not_after)
    if expires <= now + _LATE or not audiences:
        return None
    claims = {
        SESSION: handle,
        "iss": profile.issuer,
        "aud": audiences[0] if len(audiences) == 1 else list(audiences),
        # earlier by what Envoy adds to it
        "exp": expires - _LATE,
        **dict(headers),
    }
    signer, head = _signer(ring.keys[0])
    signed = f"{head}.{b64encode(to_json(claims).encode())}"
    token = f"{signed}.{b64encode(signer.sign(signed.encode()))}"
    return token if len(token) <= MAX_BYTES else None


def max_age(profile: AssertionProfile) -> int:
    """Seconds that the cookie of an assertion lives: 3/4 of the assertion's lifetime, so that a
    browser drops it before it expires.
    """
    return profile.lifetime * 3 // 4


def jwks(ring: KeyRing) -> str:
    """The public keys of the ring as the JSON text of a JWK set (RFC 7517, RFC 8037)."""
    keys = [
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "use": "sig",
            "alg": ALG,
            "kid": key_id(key),
            "x": b64encode(_signer(key)[0].public_key().public_bytes_raw()),
        }
        for key in ring.keys
    ]
    return json.dumps({"keys": keys})
