"""The authorization request and what comes back (RFC 6749 section 4.1, RFC 7636, RFC 9207, OpenID Connect Core section 3.1.2).

A login attempt is one random secret of 32 bytes. state, nonce and the PKCE verifier are derived from it, so that a sealed login
cookie stays small; each is a value of its own with at least 160 bits, and none tells another.
"""

import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qsl

from extproc.core.application import Application
from extproc.core.errors import InvalidCallback, StateMismatch
from extproc.core.http import MAX_QUERY, Cookie, Request, as_envoy_reads, same_origin_target
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.core.sealing import Label, b64decode, b64encode, expand, to_json

LIFE = 1800  # seconds: identity providers' pages live that long
GRACE = (
    5400  # how much longer the cookie stays: a late answer restarts the login with its return URL, instead of an error
)
MAX_COOKIES = 12
MAX_OPENED = 24  # login cookies of a request that are opened; the rest is expired unread
MAX_COOKIE_BYTES = 4096  # of all login cookies of a host, names and values
MAX_RETURN_TO = 1024
MAX_PLANTED = 3  # cookies of one name that are looked at; a browser itself keeps one
ATTEMPT_BYTES = 32


@dataclass(frozen=True)
class PendingAuthorization:
    """What the callback needs to know of the request that started it; travels in a sealed cookie of its own."""

    secret: bytes = field(repr=False)
    issuer: str
    created: int  # seconds since the epoch
    return_to: str
    traceparent: str = ""  # of the request that started it, for a link: never a secret, never trusted

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
        """What marks the attempt as overtaken by another login of its browser; tells nothing of the attempt."""
        return hashlib.sha256(b"settled " + self.secret).digest()

    @property
    def order(self) -> tuple[int, bytes]:
        """Of two attempts of a browser the later has the larger; never the same for two."""
        return self.created, self.store_key

    @property
    def forgotten(self) -> int:
        """When its browser has forgotten it: a callback that came within its life may take its time."""
        return self.created + LIFE + GRACE

    def expired(self, now: int) -> bool:
        return not self.created - 60 <= now < self.created + LIFE

    def to_bytes(self) -> bytes:
        trace = packed(self.traceparent)
        return to_json([b64encode(self.secret), self.issuer, self.created, self.return_to, trace]).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "PendingAuthorization":
        """Only for bytes that were sealed by us."""
        secret, issuer, created, return_to, trace = json.loads(data)
        return cls(b64decode(secret), issuer, created, return_to, unpacked(trace))


def packed(traceparent: str) -> str:
    """The ids of a traceparent (W3C Trace Context section 3.2) as 32 characters: 16 and 8 bytes. '' for what is none."""
    parts = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}", traceparent)
    return b64encode(bytes.fromhex(parts[1] + parts[2])) if parts else ""


def unpacked(trace: str) -> str:
    """The traceparent again, without its flags: a link needs none."""
    ids = b64decode(trace).hex() if len(trace) == 32 else ""  # another length: a cookie of an older release
    return f"00-{ids[:32]}-{ids[32:]}-00" if ids else ""


def return_target(application: Application, target: str) -> str:
    """Where a login ends: the target when it is ours, not too long and no endpoint of ours; else the application's start page."""
    accepted = same_origin_target(target) if len(target) <= MAX_RETURN_TO else None
    if accepted is None or as_envoy_reads(accepted.partition("?")[0]).startswith(application.all_endpoints):
        return application.path_prefix
    return accepted


def authorization_url(application: Application, metadata: ProviderMetadata, pending: PendingAuthorization) -> str:
    """Where the browser is sent."""
    challenge = b64encode(hashlib.sha256(pending.code_verifier.encode()).digest())
    mark = "&" if "?" in metadata.authorization_endpoint else "?"
    # these three are base64url, so they stand in a query as they are
    own = f"&state={pending.state}&nonce={pending.nonce}&code_challenge={challenge}"
    return f"{metadata.authorization_endpoint}{mark}{application.authorization_query}{own}"


def label(application: Application, cookie_name: str) -> Label:
    return Label("login", application.name, cookie_name)


def login_cookie(application: Application, pending: PendingAuthorization, entropy: bytes) -> Cookie:
    """The sealed cookie of one attempt; entropy: 44 random bytes."""
    name = application.cookies.login(pending.attempt)
    sealed = application.ring.seal(pending.to_bytes(), label(application, name), entropy)
    return Cookie(name, sealed, application.cookies.secure, LIFE + GRACE)


def crowded_out(application: Application, request: Request, new: Cookie) -> tuple[Cookie, ...]:
    """Expires the oldest login cookies of this host, of whichever application, so that with the new one at most 12 and 4 kB remain.

    Those that do not open (another key's, tampered, more than MAX_OPENED) go first.
    """
    logins = [(name, value) for name, value in request.cookies if name.startswith(application.cookies.logins)]
    found: list[tuple[int, str, int]] = []
    for number, (name, value) in enumerate(reversed(logins)):  # browsers put the newest last
        created = _created(application, name, value) if number < MAX_OPENED else 0
        found.append((created, name, len(name) + len(value) + 3))
    found.sort(reverse=True)
    kept, size = 1, len(new.name) + len(new.value) + 3
    dropped = []
    for created, name, length in found:
        if created and kept < MAX_COOKIES and size + length <= MAX_COOKIE_BYTES:
            kept, size = kept + 1, size + length
        else:
            dropped.append(application.cookies.expired(name))
    # a browser's jar may be full of planted names: what is dropped in one answer is bounded, the rest goes next time
    return tuple(dict.fromkeys(dropped))[: 2 * MAX_COOKIES]


def _created(application: Application, name: str, value: str) -> int:
    match = re.fullmatch(r"(?P<app>.+)-[0-9a-f]{8}", name.removeprefix(application.cookies.logins))
    opened = application.ring.open(value, Label("login", match["app"], name), limit=MAX_COOKIE_BYTES) if match else None
    return PendingAuthorization.from_bytes(opened).created if opened is not None else 0


def under_way(application: Application, request: Request, now: int) -> tuple[PendingAuthorization, ...]:
    """The logins that this browser began at this application and that may not have ended yet; at most MAX_COOKIES, the newest first.

    The browser loses a login's cookie with the answer to its callback: a login whose answer is still on its way is among them.
    """
    own = re.compile(re.escape(application.cookies.login("")) + "[0-9a-f]{8}")
    named = [(name, value) for name, value in request.cookies if own.fullmatch(name)]
    opened = (_opened(application, name, value) for name, value in named[::-1][:MAX_OPENED])
    found = {each.secret: each for each in opened if each is not None and now < each.forgotten}
    return tuple(sorted(found.values(), key=lambda each: each.order, reverse=True)[:MAX_COOKIES])


@dataclass(frozen=True, slots=True)
class AuthorizationResponse:
    """The parameters of the callback: a code, or an error; iss when the provider sends it."""

    state: str
    code: str | None = field(repr=False)
    error: str | None
    iss: str | None

    @classmethod
    def parse(cls, query: str) -> "AuthorizationResponse":
        """Raises InvalidCallback: a parameter twice (RFC 6749 section 3.1), neither code nor error, or both; StateMismatch: no state."""
        if len(query) > MAX_QUERY:
            raise InvalidCallback("the query is longer than 16 kB")
        try:
            pairs = parse_qsl(
                query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=64, errors="strict"
            )
        except ValueError:
            raise InvalidCallback("the query is malformed") from None
        read = {name: value for name, value in pairs if name in ("state", "code", "error", "iss")}
        if len(read) != sum(name in read for name, _ in pairs):
            raise InvalidCallback("a parameter stands twice")
        state, code, error = read.get("state", ""), read.get("code") or None, read.get("error") or None
        if not state:
            raise StateMismatch("no state")
        if (code is None) == (error is None):
            raise InvalidCallback("neither code nor error" if code is None else "both code and error")
        if code is not None and not re.fullmatch(r"[\x20-\x7e]{1,8192}", code):
            raise InvalidCallback("the code has characters that no code has (RFC 6749 appendix A.11)")
        return cls(state, code, error, read.get("iss"))


def pending_of(application: Application, request: Request, state: str) -> PendingAuthorization:
    """The attempt that this browser started with this state. Raises StateMismatch; nothing else is looked at before."""
    if not re.fullmatch(r"[0-9a-f]{8}[A-Za-z0-9_-]{27}", state):
        raise StateMismatch("not a state of ours")
    name = application.cookies.login(state[:8])
    found = [_opened(application, name, value) for value in request.cookie_values(name)[:MAX_PLANTED]]
    known = [pending for pending in found if pending is not None]
    if not known:
        raise StateMismatch("this browser has no login cookie of that state")
    for pending in known:
        if hmac.compare_digest(pending.state, state) and pending.issuer == application.client.issuer:
            return pending
    raise StateMismatch("the login cookie has another state or another issuer")


def _opened(application: Application, name: str, value: str) -> PendingAuthorization | None:
    opened = application.ring.open(value, label(application, name), limit=MAX_COOKIE_BYTES)
    return PendingAuthorization.from_bytes(opened) if opened is not None else None
