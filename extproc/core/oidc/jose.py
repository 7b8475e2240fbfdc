"""Signed tokens of a provider: key sets and signatures (RFC 7515, RFC 7517, RFC 8725).

joserfc verifies the signatures. This module adds strictness: only the registered algorithm, only a
key that is made for it, no unknown critical header, no key from the token itself, and a length
limit before anything is decoded.
"""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwk, jws
from joserfc.errors import JoseError

from extproc.core.encoding import b64decode
from extproc.core.oidc.claims import parse_object
from extproc.core.provider_errors import InvalidAnswer, UnknownKey, UnverifiedToken, WrongSignature

# characters of a token
MAX_TOKEN = 65_536
# JSON values that header and claims of a token may have together where anybody can send one:
# thousands of small ones take milliseconds to read
MAX_VALUES = 1_000
# keys of a set that are read
MAX_KEYS = 100
# kty and crv of the keys for each alg
KEY_OF = {
    "RS256": ("RSA", None), "RS384": ("RSA", None), "RS512": ("RSA", None),
    "PS256": ("RSA", None), "PS384": ("RSA", None), "PS512": ("RSA", None),
    "ES256": ("EC", "P-256"), "ES384": ("EC", "P-384"), "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"), "Ed25519": ("OKP", "Ed25519"),
}  # fmt: skip
# Algorithms whose key is the client secret (OpenID Connect Core section 10.1). They are not
# supported, because whoever has the secret could make tokens, and no key set could replace it.
SYMMETRIC = ("HS256", "HS384", "HS512")


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One public key for signatures. alg and kid: as the key set has them."""

    kty: str
    crv: str | None
    alg: str | None
    kid: str | None
    key: Any = field(repr=False)

    def fits(self, alg: str) -> bool:
        """Whether the key is made for an algorithm."""
        return (self.kty, self.crv) == KEY_OF[alg] and self.alg in (None, alg)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The usable keys of a JWK set: keys that are malformed, too weak or not for signatures are
    left out.
    """

    keys: tuple[VerificationKey, ...]

    @classmethod
    def parse(cls, body: bytes) -> "KeySet":
        """Read a JWK set. Raises InvalidAnswer if the body is no key set at all."""
        try:
            keys = parse_object(body).get("keys")
        except ValueError as error:
            raise InvalidAnswer(f"the key set is {error}") from None
        if not isinstance(keys, list):
            raise InvalidAnswer("the key set has no list of keys")
        read = (_key(entry) for entry in keys[:MAX_KEYS])
        return cls(tuple(key for key in read if key is not None))

    def choose(self, alg: str, kid: str | None) -> VerificationKey:
        """The key that a token's header names, or the only one that fits. Raises UnknownKey."""
        fitting = [key for key in self.keys if key.fits(alg) and (kid is None or key.kid == kid)]
        if not fitting:
            raise UnknownKey("no key of the set fits")
        if len(fitting) > 1:
            raise UnknownKey("several keys fit and the token names none")
        return fitting[0]


def _key(entry: object) -> VerificationKey | None:
    """Read one key of a set; None if it is malformed, too weak or not for signatures."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    operations = entry.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    kty, crv, alg, kid = (entry.get(name) for name in ("kty", "crv", "alg", "kid"))
    if kty not in ("RSA", "EC", "OKP") or not all(
        isinstance(text, str | None) for text in (crv, alg, kid)
    ):
        return None
    public = {name: entry[name] for name in ("kty", "crv", "n", "e", "x", "y") if name in entry}
    try:
        with warnings.catch_warnings():
            # joserfc warns of weak keys, which are left out below
            warnings.simplefilter("ignore")
            key = jwk.import_key(public)
        bits = key.public_key.key_size if isinstance(key, jwk.RSAKey) else 2048
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None
    return VerificationKey(kty, crv, alg, kid, key) if bits >= 2048 else None


def has_too_many_values(token: str) -> bool:
    """Whether a JWT would take long to read; False for what is no JWT."""
    segments = token.split(".", 3)
    return len(segments) == 3 and sum(map(_values, segments[:2])) > MAX_VALUES


def _values(segment: str) -> int:
    """How many JSON values a segment has at most: before each of them is one of these signs."""
    try:
        text = b64decode(segment)
    except ValueError:
        return 0
    return sum(map(text.count, (b"{", b"[", b",")))


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A compact JWS whose header is checked, and whose signature is not yet verified."""

    header: Mapping[str, Any]
    raw: str = field(repr=False)

    @classmethod
    def parse(
        cls,
        token: str,
        alg: str,
        types: tuple[str, ...] = ("JWT",),
        setting: str = "id_token_signed_response_alg",
    ) -> "SignedToken":
        """Check length, shape and header of a token.

        Args:
            token: the compact serialization.
            alg: the only accepted algorithm.
            types: the accepted values of typ; a token without typ has the type JWT.
            setting: the key of the settings with the algorithm, for the text of an error.

        Raises:
            UnverifiedToken: the token fails a check, whose name it has.
        """
        if len(token) > MAX_TOKEN:
            raise UnverifiedToken("malformed", "longer than 64 kB")
        if not re.fullmatch(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", token):
            raise UnverifiedToken("malformed", "not three segments of base64url")
        try:
            header = parse_object(b64decode(token.partition(".")[0]))
        except ValueError:
            raise UnverifiedToken("malformed", "the header is no JSON object") from None
        if header.get("alg") != alg:
            raise UnverifiedToken("algorithm", _wrong_algorithm(header.get("alg"), alg, setting))
        if "crit" in header or header.get("b64", True) is not True or "zip" in header:
            raise UnverifiedToken("header", "a critical or unknown processing header")
        typ = header.get("typ", "JWT")
        accepted = {name.lower() for name in types}
        if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in accepted:
            raise UnverifiedToken("type", "typ is of another kind of token")
        kid = header.get("kid")
        if kid is not None and (not isinstance(kid, str) or len(kid) > 256):
            raise UnverifiedToken("key", "kid is no short text")
        return cls(header, token)

    def unverified(self) -> Mapping[str, Any]:
        """Read the claims before the signature is verified: good for a refusal, and for nothing
        else. Raises UnverifiedToken if the payload is no JSON object.
        """
        try:
            return parse_object(b64decode(self.raw.split(".")[1]))
        except ValueError:
            raise UnverifiedToken("signature", "the payload is no JSON object") from None

    def verified(self, keys: KeySet) -> Mapping[str, Any]:
        """Verify the signature, and return the claims.

        Raises:
            UnknownKey, WrongSignature: a newer key set may help.
        """
        alg = self.header["alg"]
        chosen = keys.choose(alg, self.header.get("kid"))
        try:
            with warnings.catch_warnings():
                # joserfc warns that EdDSA has a newer name (RFC 9864)
                warnings.simplefilter("ignore")
                # the key and alg come from here, so the token's header has no influence
                content = jws.deserialize_compact(
                    self.raw.encode(), chosen.key, algorithms=[alg], registry=_REGISTRY
                )
            return parse_object(content.payload)
        except (JoseError, ValueError, TypeError):
            raise WrongSignature("the signature or its payload is not right") from None


def _wrong_algorithm(received: object, alg: str, setting: str) -> str:
    if received in SYMMETRIC:
        return (
            f"signed with the client secret ({received}), which is not supported: have the "
            f"provider sign this client's tokens with {alg}"
        )
    return f"signed with another algorithm than {alg} (setting {setting})"


_REGISTRY = jws.JWSRegistry(algorithms=list(KEY_OF), strict_check_header=False)
