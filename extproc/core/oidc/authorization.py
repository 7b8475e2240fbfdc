"""An authorization request that is under way, and the response to it (RFC 6749 section 4.1, RFC
9207).

A login attempt is one secret of 32 bytes, 31 of them random. state, nonce and the PKCE verifier are
derived from it, so that its sealed cookie stays small. Each of them has at least 160 bits, and none
reveals another.
"""

import hashlib
import json
import re
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qsl

from extproc.core.encoding import b64decode, b64encode, to_json
from extproc.core.errors import InvalidCallback, StateMismatch
from extproc.core.http import MAX_QUERY
from extproc.core.sealing import expand

# seconds that a login may take: as long as the pages of identity providers
LIFE = 1800
# seconds that the cookie of a login stays after LIFE, so that a late callback starts a new login
# with the same target, in place of an error
GRACE = 5400
# random bytes of an attempt's secret
ATTEMPT_BYTES = 31
# parameters of a callback that are read
MAX_FIELDS = 64
# characters of a return target that are compressed in the cookie of the attempt
COMPRESSED_FROM = 256


@dataclass(frozen=True)
class PendingAuthorization:
    """A login attempt: what the callback needs to know of the request that started it. It is kept
    in a sealed cookie of its own.

    Attributes:
        secret: 32 bytes: when the login was started within the second `created`, in 256ths, and
            31 random ones. (A byte more in each of many login cookies would let fewer of them fit
            into a request. An older release made the first byte random, too.)
        issuer: the provider to which the browser was redirected.
        created: when the login was started, in seconds since the epoch.
        return_to: the path to which the login returns.
        traceparent: trace context of the request that started the login, for a link between the
            traces; neither secret nor trusted.
        restarted: whether the processor started the login by itself, in place of one that the
            provider had let expire.
        acr_values: the values of acr of which the login must have one, where a rule demands more
            than the application demands of every login.
        max_age: seconds that the user's authentication may be ago, likewise.
    """

    secret: bytes = field(repr=False)
    issuer: str
    created: int
    return_to: str
    traceparent: str = ""
    restarted: bool = False
    acr_values: tuple[str, ...] = ()
    max_age: int | None = None

    @classmethod
    def secret_of(cls, moment: float, entropy: bytes) -> bytes:
        """Make a secret.

        Args:
            moment: when the login is started, in seconds since the epoch.
            entropy: ATTEMPT_BYTES random bytes.
        """
        return bytes([int(moment * 256) % 256]) + entropy

    @cached_property
    def _derived(self) -> bytes:
        # the output blocks of HKDF reveal nothing of each other, so one expansion serves all four
        return expand(self.secret, b"attempt, state, nonce, code_verifier", 80)

    @property
    def attempt(self) -> str:
        """The name of the attempt: a part of its cookie's name, and the first part of state, by
        which the callback finds the cookie.
        """
        return self._derived[:4].hex()

    @property
    def state(self) -> str:
        """The parameter state."""
        return self.attempt + b64encode(self._derived[4:24])

    @property
    def nonce(self) -> str:
        """The parameter nonce, which the ID token has to repeat."""
        return b64encode(self._derived[24:48])

    @property
    def code_verifier(self) -> str:
        """The PKCE verifier (RFC 7636 section 4.1)."""
        return b64encode(self._derived[48:80])

    @property
    def store_key(self) -> bytes:
        """The key that marks the attempt as used in the store; it reveals nothing of the secret."""
        return hashlib.sha256(b"attempt " + self.secret).digest()

    @property
    def settled_key(self) -> bytes:
        """The key that marks the attempt as overtaken by another login of the same browser; it
        reveals nothing of the secret.
        """
        return hashlib.sha256(b"settled " + self.secret).digest()

    @property
    def session_entropy(self) -> bytes:
        """The 32 bytes of which the id of this login's session is made.

        They are derived, so that another login of the same browser, whose request carries this
        login's cookie, can give the browser the session that this login has made.
        """
        return expand(self.secret, b"session id")

    @property
    def begun(self) -> int:
        """When the login was started, in milliseconds since the epoch, 4 ms late at most."""
        return self.created * 1000 + (self.secret[0] + 1) * 1000 // 256 - 1

    @property
    def order(self) -> tuple[int, bytes]:
        """Sort key for the attempts of a browser; the later attempt has the larger, and no two
        attempts have the same.
        """
        return self.begun, self.store_key

    @property
    def forgotten(self) -> int:
        """When the browser has dropped the cookie, in seconds since the epoch. It is later than the
        end of the attempt's life, because the callback itself may take a while.
        """
        return self.created + LIFE + GRACE

    def expired(self, now: int) -> bool:
        """Whether the attempt's life has ended, or it began over a minute in the future."""
        return not self.created - 60 <= now < self.created + LIFE

    def to_bytes(self) -> bytes:
        """Serialize the attempt for its sealed cookie.

        A long return target follows the list of the other values, compressed (RFC 1951). It stands
        apart from the secret, so that the length of the cookie depends on the target alone.
        """
        trace = packed(self.traceparent)
        long = len(self.return_to) > COMPRESSED_FROM
        plain = "" if long else self.return_to
        fields = [b64encode(self.secret), self.issuer, self.created, plain, trace]
        if self.acr_values or self.max_age is not None:
            fields += [int(self.restarted), list(self.acr_values), self.max_age]
        elif self.restarted:
            fields.append(1)
        head = to_json(fields).encode()
        return head + b"\n" + _compress(self.return_to) if long else head

    @classmethod
    def from_bytes(cls, data: bytes) -> "PendingAuthorization":
        """Deserialize an attempt; only for bytes that a seal of the processor has authenticated."""
        head, _, compressed = data.partition(b"\n")
        secret, issuer, created, return_to, trace, *rest = json.loads(head)
        restarted = bool(rest and rest[0])
        acr_values, max_age = rest[1:] if len(rest) > 1 else ((), None)
        if compressed:
            return_to = zlib.decompress(compressed, wbits=-zlib.MAX_WBITS).decode()
        return cls(
            b64decode(secret),
            issuer,
            created,
            return_to,
            unpacked(trace),
            restarted,
            tuple(acr_values),
            max_age,
        )


def _compress(text: str) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(text.encode()) + packer.flush()


def packed(traceparent: str) -> str:
    """Shorten a traceparent (W3C Trace Context section 3.2) to its two ids, as 32 characters; '' if
    it is malformed.
    """
    parts = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}", traceparent)
    return b64encode(bytes.fromhex(parts[1] + parts[2])) if parts else ""


def unpacked(trace: str) -> str:
    """Restore a traceparent from packed(), without its flags, which a link does not need."""
    # a cookie of an older release has a text of another length
    ids = b64decode(trace).hex() if len(trace) == 32 else ""
    return f"00-{ids[:32]}-{ids[32:]}-00" if ids else ""


@dataclass(frozen=True, slots=True)
class AuthorizationResponse:
    """The parameters of the callback: a code or an error, and iss if the provider sends it.

    authentication_expired: whether the error says that the provider had let the login expire, so
    that it is worth another try (Keycloak: `temporarily_unavailable` with this description).
    """

    state: str
    code: str | None = field(repr=False)
    error: str | None
    iss: str | None
    authentication_expired: bool = False

    @classmethod
    def parse(cls, query: str) -> "AuthorizationResponse":
        """Read the query of a callback.

        Raises:
            InvalidCallback: the query is too long, a parameter is repeated (RFC 6749 section 3.1),
                or there is not exactly one of code and error.
            StateMismatch: there is no state.
        """
        values, description = _parameters(query)
        state = values.get("state", "")
        code = values.get("code") or None
        error = values.get("error") or None
        if not state:
            raise StateMismatch("no state")
        if code is None and error is None:
            raise InvalidCallback("neither code nor error")
        if code is not None and error is not None:
            raise InvalidCallback("both code and error")
        if code is not None and not re.fullmatch(r"[\x20-\x7e]{1,8192}", code):
            raise InvalidCallback(
                "the code has characters that no code has (RFC 6749 appendix A.11)"
            )
        expired = error == "temporarily_unavailable" and description == "authentication_expired"
        return cls(state, code, error, values.get("iss"), expired)


def _parameters(query: str) -> tuple[dict[str, str], str | None]:
    """The known parameters of a callback, and the description of an error if there is one alone.

    Any other parameter is ignored (RFC 6749 section 4.1.2), and so are empty pairs, names without a
    value, and bytes that are not UTF-8. Raises InvalidCallback.
    """
    if len(query) > MAX_QUERY:
        raise InvalidCallback("the query is longer than 16 kB")
    fields = [field for field in query.split("&") if field]
    if len(fields) > MAX_FIELDS:
        raise InvalidCallback(f"the query has more than {MAX_FIELDS} parameters")
    pairs = parse_qsl("&".join(fields), keep_blank_values=True, errors="replace")
    known = [pair for pair in pairs if pair[0] in ("state", "code", "error", "iss")]
    values = dict(known)
    if len(values) != len(known):
        raise InvalidCallback("a parameter stands twice")
    descriptions = [value for name, value in pairs if name == "error_description"]
    return values, descriptions[0] if len(descriptions) == 1 else None
