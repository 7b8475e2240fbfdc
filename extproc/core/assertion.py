"""The identity assertion: a short-lived JWT of ours that Envoy verifies by itself, so that a
signed-in request skips us.

Its claims are the values of the identity headers, ready made: Envoy copies each into its header,
and the processor's own lane sets the same bytes. Signed with Ed25519 (`alg` EdDSA, RFC 8037):
signing costs the same as ES256 here, and the key comes from the ring's secret as it is, so that
`extproc envoy` can print the public half without asking a running processor.

An assertion counts only beside the cookie of the session that it was made for, because an answer
that comes late may set one after its user has signed out and another has signed in. Envoy compares
the session's handle in both, as text: the payload begins with it, and `{"session":"` has twelve
bytes, so that in base64url the handle has characters of its own.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from extproc.core.encoding import b64encode, to_json
from extproc.core.sealing import Key, KeyRing

ALG = "EdDSA"
# of the cookie's value; jwt_authn caches tokens up to 4096, browsers keep 4096 with name and
# attributes
MAX_BYTES = 3800
# the claim that bounds a request, in milliseconds from then on; no identity header is called so
LASTS = "lasts"
SESSION = "session"  # the first claim: the handle of the session
SIGNATURE = 86  # characters of it, 64 bytes (RFC 8032)
FIRST_CLAIM = b64encode(f'{{"{SESSION}":"'.encode())  # how the payload's text begins
MARK_AT = len(FIRST_CLAIM)  # where the handle begins in it
Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class AssertionProfile:
    """Who vouches for whom: iss and aud of an application's assertions, and their life in seconds
    (0: none are issued).
    """

    issuer: str
    audience: str
    lifetime: int


def key_id(key: Key) -> str:
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
    handle: str,
    headers: Sequence[Header],
    now: int,
    not_after: int,
) -> str | None:
    """An assertion with these header values, or None where none may be issued: life 0, session
    about to end, or too big a cookie.

    handle: the session's. now, not_after: seconds since the epoch; the assertion never outlives the
    session.
    """
    expires = min(now + profile.lifetime, not_after)
    if profile.lifetime <= 0 or expires <= now + 2:
        return None
    claims = {
        SESSION: handle,
        "iss": profile.issuer,
        "aud": profile.audience,
        "exp": expires,
        **dict(headers),
    }
    signer, head = _signer(ring.keys[0])
    signed = f"{head}.{b64encode(to_json(claims).encode())}"
    token = f"{signed}.{b64encode(signer.sign(signed.encode()))}"
    return token if len(token) <= MAX_BYTES else None


def max_age(profile: AssertionProfile) -> int:
    """The cookie's life: 3/4 of the assertion's, so that a browser drops it in time and nobody
    meets an expired one.
    """
    return profile.lifetime * 3 // 4


def jwks(ring: KeyRing) -> str:
    """The public keys of the ring as a JWK set (RFC 7517, RFC 8037), JSON text."""
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
