"""Base64url and JSON as the core writes them."""

import base64
import json
import re

_ALPHABET = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)


# one for all: json.dumps makes an encoder for each call
to_json = json.JSONEncoder(separators=(",", ":")).encode


def b64encode(data: bytes) -> str:
    """base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64decode(text: str) -> bytes:
    """The reverse, strict: alphabet, no padding, no stray bits. Raises ValueError."""
    if not _ALPHABET.fullmatch(text) or len(text) % 4 == 1:
        raise ValueError("not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64encode(data) != text:
        raise ValueError("not canonical base64url")
    return data
