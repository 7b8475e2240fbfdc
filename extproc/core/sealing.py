"""Sealing: authenticated encryption of cookies and of session records.

Each value is encrypted with a key of its own, derived from a key of the ring and a random salt, so
that no number of values weakens a key. Purpose, application and name are associated data: a value
opens only as what it was sealed as. A value names its key of the ring, so only that one is tried.
Anything but an authentic value opens as None, whatever the cause. The caller supplies the random
bytes (44), because the core draws none.

Layout, as base64url without padding: version 1 byte | key id 4 | salt 32 | AES-256-GCM nonce 12 |
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
# random bytes for one value: salt and nonce
ENTROPY = 44
_HEAD = 1 + 4 + ENTROPY
_TAG = 16


def expand(key: bytes, info: bytes, length: int = 32) -> bytes:
    """HKDF-Expand with SHA-256 (RFC 5869 section 2.3).

    It uses the standard library's HMAC, because every start of a login expands a key, and
    HKDFExpand of `cryptography` takes five times as long.

    Args:
        key: a pseudorandom key.
        info: the purpose of the output.
        length: bytes of the output, at most 8160.
    """
    blocks, block = b"", b""
    for count in range(1, -(-length // 32) + 1):
        block = hmac.digest(key, block + info + bytes((count,)), "sha256")
        blocks += block
    return blocks[:length]


@dataclass(frozen=True)
class Key:
    """One key of the ring, with the keys that are derived from it."""

    material: bytes = field(repr=False)

    @cached_property
    def id(self) -> bytes:
        """The name of the key in sealed values, 4 bytes."""
        return expand(self.material, b"extproc key id", 4)

    @cached_property
    def sealing(self) -> bytes:
        """The key from which the keys of sealed values are derived."""
        return expand(self.material, b"extproc sealing")

    @cached_property
    def tagging(self) -> bytes:
        """The HMAC key of the tags of session records, see session_index.py."""
        return expand(self.material, b"extproc tagging")

    @cached_property
    def assertion_seed(self) -> bytes:
        """The seed of the Ed25519 key that signs identity assertions (RFC 8032)."""
        return expand(self.material, b"extproc assertion Ed25519 seed")


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys of the processor: the first one seals, and all of them open."""

    keys: tuple[Key, ...]

    @classmethod
    def of(cls, secrets: Sequence[bytes]) -> "KeyRing":
        """Derive a ring from the secrets of the settings. Raises ValueError if there are none."""
        if not secrets:
            raise ValueError("a key ring has at least one secret")
        # HKDF-Extract: the secrets may be text of any shape
        return cls(
            tuple(Key(hmac.digest(b"extproc key ring v1", secret, "sha256")) for secret in secrets)
        )

    def seal(self, plaintext: bytes, label: "Label", entropy: bytes) -> str:
        """Encrypt a value.

        Args:
            plaintext: the value.
            label: what the value is; it opens only with an equal label.
            entropy: 44 random bytes that are used only once.

        Raises:
            ValueError: the entropy has another length.
        """
        if len(entropy) != ENTROPY:
            raise ValueError(f"sealing takes {ENTROPY} random bytes")
        key, salt, nonce = self.keys[0], entropy[:32], entropy[32:]
        box = AESGCM(hmac.digest(key.sealing + label.secret, salt, "sha256"))
        return b64encode(
            VERSION + key.id + entropy + box.encrypt(nonce, plaintext, label.associated_data)
        )

    @staticmethod
    def length(plaintext: bytes) -> int:
        """The characters of the text that seal() returns for a value."""
        return -(-4 * (_HEAD + len(plaintext) + _TAG) // 3)

    def newest(self, sealed: str) -> bool:
        """Whether the first key sealed a value that open() has opened.

        A value of an older key is sealed again when it is used.
        """
        return base64.urlsafe_b64decode(sealed[:8])[1:5] == self.keys[0].id

    def open(self, sealed: str, label: "Label", limit: int = 16_384) -> bytes | None:
        """Decrypt a value.

        Args:
            sealed: the text that seal() returned.
            label: what the value is.
            limit: the longest text that is opened, in characters.

        Returns:
            The plaintext; None if the text is tampered with, too long, of another key or label, or
            no sealed value at all.
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
    """What a sealed value is.

    Attributes:
        purpose: its kind.
        application: the name of the application that it belongs to.
        name: its own name, such as that of its cookie or record.
        secret: mixed into the key. By it a session record opens only with the id that the session
            cookie holds: neither a stolen store nor the ring's keys alone open it.
    """

    purpose: str
    application: str
    name: str = ""
    secret: bytes = field(default=b"", repr=False)

    @property
    def associated_data(self) -> bytes:
        """The label as bytes; no two labels give the same bytes."""
        parts = (text.encode() for text in (self.purpose, self.application, self.name))
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
