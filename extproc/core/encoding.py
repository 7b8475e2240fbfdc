"""Base64url and compact JSON."""

import base64
import json
import re

_ALPHABET = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
# one encoder for all calls: json.dumps makes an encoder for each
to_json = json.JSONEncoder(separators=(",", ":")).encode


def b64encode(data: bytes) -> str:
    """Encode bytes as base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64decode(text: str) -> bytes:
    """Decode base64url strictly: only its alphabet, no padding, no stray bits.

    Raises ValueError.
    """
    if not _ALPHABET.fullmatch(text) or len(text) % 4 == 1:
        raise ValueError("not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64encode(data) != text:
        raise ValueError("not canonical base64url")
    return data
