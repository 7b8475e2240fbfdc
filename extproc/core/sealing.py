"""Sealing: authenticated encryption of what we hand out and take back (cookies) or put away
(session records).

A sealed value names the key that made it and gets a key of its own, derived from the ring's key and
a random salt, so that no number of values wears a key out. Purpose, application and name are
associated data: a value opens only as what it was sealed as. Opening tries the one ring key that
the value names; everything that is not exactly a value of ours opens as None, with one answer for
all causes. The caller brings the randomness (44 bytes), since the core draws none.

Layout, base64url without padding: version 1 byte | key id 4 | salt 32 | AES-256-GCM nonce 12 |
ciphertext and tag.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from extproc.core.encoding import b64decode, b64encode

VERSION = b"\x01"
ENTROPY = 44
_HEAD = 1 + 4 + ENTROPY
_TAG = 16


def expand(key: bytes, info: bytes, length: int = 32) -> bytes:
    """HKDF-Expand with SHA-256 (RFC 5869 section 2.3); length: 8160 bytes at most.

    By the standard library's HMAC: every login start expands once, and the object of `cryptography`
    costs five times as much.
    """
    blocks, block = b"", b""
    for count in range(1, -(-length // 32) + 1):
        block = hmac.digest(key, block + info + bytes((count,)), "sha256")
        blocks += block
    return blocks[:length]


@dataclass(frozen=True)
class Key:
    """One key of the ring, and what is derived from it."""

    material: bytes = field(repr=False)

    @cached_property
    def id(self) -> bytes:
        return expand(self.material, b"extproc key id", 4)

    @cached_property
    def sealing(self) -> bytes:
        return expand(self.material, b"extproc sealing")

    @cached_property
    def tagging(self) -> bytes:
        """What the tags of session records are made with, see index.py."""
        return expand(self.material, b"extproc tagging")

    @cached_property
    def assertion_seed(self) -> bytes:
        """The seed of the Ed25519 key that signs identity assertions (RFC 8032)."""
        return expand(self.material, b"extproc assertion Ed25519 seed")


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The first key seals, all open. Made from the settings' secrets."""

    keys: tuple[Key, ...]

    @classmethod
    def of(cls, secrets: Sequence[bytes]) -> "KeyRing":
        if not secrets:
            raise ValueError("a key ring has at least one secret")
        # HKDF-Extract: the secrets may be text of any shape
        return cls(
            tuple(Key(hmac.digest(b"extproc key ring v1", secret, "sha256")) for secret in secrets)
        )

    def seal(self, plaintext: bytes, label: "Label", entropy: bytes) -> str:
        """`entropy` is 44 fresh random bytes."""
        if len(entropy) != ENTROPY:
            raise ValueError(f"sealing takes {ENTROPY} random bytes")
        key, salt, nonce = self.keys[0], entropy[:32], entropy[32:]
        box = AESGCM(hmac.digest(key.sealing + label.secret, salt, "sha256"))
        return b64encode(
            VERSION + key.id + entropy + box.encrypt(nonce, plaintext, label.associated_data)
        )

    def newest(self, sealed: str) -> bool:
        """Whether the first key sealed it, for what open() opened. What an older one sealed is to
        be sealed again when it is used.
        """
        return base64.urlsafe_b64decode(sealed[:8])[1:5] == self.keys[0].id

    def open(self, sealed: str, label: "Label", limit: int = 16_384) -> bytes | None:
        """What was sealed, or None: tampered, another key's, another label's, too long, or no
        sealed value at all.
        """
        if len(sealed) > limit:
            return None
        try:
            data = b64decode(sealed)
        except (ValueError, binascii.Error):
            return None
        if len(data) < _HEAD + _TAG or data[:1] != VERSION:
            return None
        for key in self.keys:
            if data[1:5] == key.id:
                box = AESGCM(hmac.digest(key.sealing + label.secret, data[5:37], "sha256"))
                try:
                    return box.decrypt(data[37:49], data[49:], label.associated_data)
                except InvalidTag:
                    continue
        return None


@dataclass(frozen=True, slots=True)
class Label:
    """What a sealed value is: its purpose, the application it belongs to, and its own name (a
    cookie's, a record's).

    `secret` is mixed into the key: a session record opens only with the id that its cookie holds,
    so neither a stolen store nor the ring's key alone opens it.
    """

    purpose: str
    application: str
    name: str = ""
    secret: bytes = field(default=b"", repr=False)

    @property
    def associated_data(self) -> bytes:
        # length-prefixed, so that no two labels give the same bytes
        return b"".join(
            len(part).to_bytes(4, "big") + part
            for part in (t.encode() for t in (self.purpose, self.application, self.name))
        )
