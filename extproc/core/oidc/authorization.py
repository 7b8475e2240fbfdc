"""The authorization request that is under way, and the response to it (RFC 6749 section 4.1)."""

import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qsl

from extproc.core.encoding import b64decode, b64encode, to_json
from extproc.core.errors import InvalidCallback, StateMismatch
from extproc.core.http import MAX_QUERY
from extproc.core.sealing import expand

LIFE = 1800  # seconds: identity providers' pages live that long


ATTEMPT_BYTES = 32


@dataclass(frozen=True)
class PendingAuthorization:
    """What the callback needs to know of the request that started it; travels in a sealed cookie of
    its own.
    """

    secret: bytes = field(repr=False)
    issuer: str
    created: int  # seconds since the epoch
    return_to: str
    # of the request that started it, for a link: never a secret, never trusted
    traceparent: str = ""

    @cached_property
    def _derived(self) -> bytes:
        # HKDF's output blocks tell nothing of each other: one expansion serves all four
        return expand(self.secret, b"attempt, state, nonce, code_verifier", 80)

    @property
    def attempt(self) -> str:
        """Names the cookie; also the head of state, by which the callback finds it."""
        return self._derived[:4].hex()

    @property
    def state(self) -> str:
        return self.attempt + b64encode(self._derived[4:24])

    @property
    def nonce(self) -> str:
        return b64encode(self._derived[24:48])

    @property
    def code_verifier(self) -> str:
        return b64encode(self._derived[48:80])

    @property
    def store_key(self) -> bytes:
        """What marks the attempt as used in the store; tells nothing of the attempt."""
        return hashlib.sha256(b"attempt " + self.secret).digest()

    @property
    def settled_key(self) -> bytes:
        """What marks the attempt as overtaken by another login of its browser; tells nothing of the
        attempt.
        """
        return hashlib.sha256(b"settled " + self.secret).digest()

    @property
    def order(self) -> tuple[int, bytes]:
        """Of two attempts of a browser the later has the larger; never the same for two."""
        return self.created, self.store_key

    @property
    def forgotten(self) -> int:
        """When its browser has forgotten it: a callback that came within its life may take its
        time.
        """
        return self.created + LIFE + GRACE

    def expired(self, now: int) -> bool:
        return not self.created - 60 <= now < self.created + LIFE

    def to_bytes(self) -> bytes:
        trace = packed(self.traceparent)
        return to_json(
            [b64encode(self.secret), self.issuer, self.created, self.return_to, trace]
        ).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "PendingAuthorization":
        """Only for bytes that were sealed by us."""
        secret, issuer, created, return_to, trace = json.loads(data)
        return cls(b64decode(secret), issuer, created, return_to, unpacked(trace))


def packed(traceparent: str) -> str:
    """The ids of a traceparent (W3C Trace Context section 3.2) as 32 characters: 16 and 8 bytes. ''
    for what is none.
    """
    parts = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}", traceparent)
    return b64encode(bytes.fromhex(parts[1] + parts[2])) if parts else ""


def unpacked(trace: str) -> str:
    """The traceparent again, without its flags: a link needs none."""
    # another length: a cookie of an older release
    ids = b64decode(trace).hex() if len(trace) == 32 else ""
    return f"00-{ids[:32]}-{ids[32:]}-00" if ids else ""


@dataclass(frozen=True, slots=True)
class AuthorizationResponse:
    """The parameters of the callback: a code, or an error; iss when the provider sends it."""

    state: str
    code: str | None = field(repr=False)
    error: str | None
    iss: str | None

    @classmethod
    def parse(cls, query: str) -> "AuthorizationResponse":
        """Raises InvalidCallback: a parameter twice (RFC 6749 section 3.1), neither code nor error,
        or both; StateMismatch: no state.
        """
        if len(query) > MAX_QUERY:
            raise InvalidCallback("the query is longer than 16 kB")
        try:
            pairs = parse_qsl(
                query,
                keep_blank_values=True,
                strict_parsing=bool(query),
                max_num_fields=64,
                errors="strict",
            )
        except ValueError:
            raise InvalidCallback("the query is malformed") from None
        read = {name: value for name, value in pairs if name in ("state", "code", "error", "iss")}
        if len(read) != sum(name in read for name, _ in pairs):
            raise InvalidCallback("a parameter stands twice")
        state, code, error = (
            read.get("state", ""),
            read.get("code") or None,
            read.get("error") or None,
        )
        if not state:
            raise StateMismatch("no state")
        if (code is None) == (error is None):
            raise InvalidCallback(
                "neither code nor error" if code is None else "both code and error"
            )
        if code is not None and not re.fullmatch(r"[\x20-\x7e]{1,8192}", code):
            raise InvalidCallback(
                "the code has characters that no code has (RFC 6749 appendix A.11)"
            )
        return cls(state, code, error, read.get("iss"))


# how much longer the cookie stays: a late answer restarts the login with its return URL, instead of
# an error
GRACE = 5400
