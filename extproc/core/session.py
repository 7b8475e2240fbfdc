"""Session: what a login establishes.

The browser holds a 256-bit id. A store holds the session itself (session_record.py) under the
SHA-256 of the id.

A session also has a handle, the first bytes of that SHA-256. The handle is public: it stands in the
session cookie next to the id, and in each identity assertion of the session. Envoy accepts an
assertion only together with the session cookie that has the same handle.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from extproc.core.application import Application
from extproc.core.encoding import b64encode
from extproc.core.http import Request
from extproc.core.login import MAX_PLANTED
from extproc.core.oidc.claims import Claims
from extproc.core.sealing import KeyRing, Label
from extproc.core.session_index import sid_tags, sidless_marks, subject_tags, user_sid_marks

ID_BYTES = 32
# characters of an id as base64url
ID_LENGTH = 43
HANDLE_BYTES = 8
# characters in which Envoy compares a session cookie with an assertion
MARK = 20
# seconds: the last use of a session is written at most this often
TOUCH_AFTER = 60


def handle_of(key: bytes) -> str:
    """The public name of a session: 16 hex digits, from which its id cannot be derived.

    key: SHA-256 of the session's id.
    """
    return key.hex()[: 2 * HANDLE_BYTES]


@dataclass(frozen=True, slots=True)
class SessionId:
    """The secret of a session: 32 random bytes as base64url. Never printed, never stored."""

    value: str = field(repr=False)

    @classmethod
    def of(cls, entropy: bytes) -> "SessionId":
        """Make an id of 32 random bytes. Raises ValueError for another number of bytes."""
        if len(entropy) != ID_BYTES:
            raise ValueError(f"a session id is {ID_BYTES} random bytes")
        return cls(b64encode(entropy))

    @classmethod
    def parse(cls, cookie: str) -> "SessionId | None":
        """Read the id from the value of a session cookie; None if the value cannot be one.

        The shape is checked before any look-up in a store.
        """
        match = re.fullmatch(rf"([A-Za-z0-9_-]{{{MARK}}})\.([A-Za-z0-9_-]{{{ID_LENGTH}}})", cookie)
        if match is None:
            return None
        session_id = cls(match[2])
        return session_id if session_id.cookie == cookie else None

    @property
    def cookie(self) -> str:
        """The value of the session cookie: `MARK.ID`.

        The mark is the handle as it stands in the text of the session's assertions (assertion.py),
        so Envoy can compare text to find out whether an assertion belongs to the session.
        """
        return f"{b64encode(self.handle.encode())[:MARK]}.{self.value}"

    @property
    def handle(self) -> str:
        """The public name of the session."""
        return handle_of(self.key)

    @property
    def key(self) -> bytes:
        """The key of the session's record; a stolen store reveals no cookie by it."""
        return hashlib.sha256(self.value.encode()).digest()


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in user in one browser. All times are seconds since the epoch.

    Attributes:
        issuer: the provider, whose `sub` is `subject` and whose session is `sid`.
        access_expires: end of the access token.
        created: when the login was completed.
        expires: absolute end of the session.
        touched: last use as the store knows it, to the minute.
        auth_time: when the user authenticated at the provider, if the provider reported it.
        access_issued: when the access token was received.
        generation: how many times the tokens were renewed.
        attempt: store_key of the login that created the session; empty in sessions that an older
            release wrote.
        created_ms: `created` in milliseconds; 0 in sessions that an older release wrote.
        outdated: whether an older key of the ring sealed the session.
    """

    id: SessionId
    issuer: str
    subject: str
    claims: Claims
    id_token: str = field(repr=False)
    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    access_expires: int
    created: int
    expires: int
    touched: int
    sid: str | None = None
    auth_time: int | None = None
    acr: str | None = None
    access_issued: int = 0
    amr: tuple[str, ...] = ()
    generation: int = 0
    attempt: bytes = b""
    created_ms: int = 0
    outdated: bool = field(default=False, compare=False)

    def fresh(self, application: Application, now: int) -> bool:
        """Whether the session is within its absolute and its idle life, and comes from the
        application's provider.
        """
        return (
            now < self.ends(application)
            and now < self.touched + application.session_idle
            and self.issuer == application.client.issuer
        )

    def ends(self, application: Application) -> int:
        """The absolute end, in seconds since the epoch: a shorter session.lifetime counts for
        sessions that exist, too.
        """
        return min(self.expires, self.created + application.session_lifetime)

    @property
    def begun(self) -> int:
        """When the login was completed, in milliseconds since the epoch."""
        return self.created_ms or self.created * 1000

    def sufficient(self, application: Application, now: int) -> bool:
        """Whether the login that created the session meets the application's demand."""
        return application.demand.met(self.acr, self.auth_time, now, application.client.clock_skew)

    def user(self, application: Application) -> str | None:
        """The name of the user for logs, see Application.user()."""
        return application.user(self.subject, self.claims)

    @property
    def recency(self) -> tuple[int, int]:
        """Sort key for two states of one session; the later state has the larger key.

        States are ordered by generation, and within a generation by the clock.
        """
        return self.generation, self.access_issued

    def stale_touch(self, now: int) -> bool:
        """Whether the last use has to be written, or the session sealed again with the new key."""
        return self.outdated or now >= self.touched + TOUCH_AFTER

    def keys(self, ring: KeyRing) -> tuple[bytes, ...]:
        """Everything that the session can be revoked by: its own key, the login that created it,
        its user, and its session at the provider.
        """
        if self.sid is not None:
            by_sid = (
                *sid_tags(ring, self.issuer, self.sid),
                *user_sid_marks(ring, self.issuer, self.subject, self.sid),
            )
        else:
            by_sid = sidless_marks(ring, self.issuer, self.subject)
        return (
            self.id.key,
            *self.by_attempt,
            *subject_tags(ring, self.issuer, self.subject),
            *by_sid,
        )

    @property
    def by_attempt(self) -> tuple[bytes, ...]:
        """The tag by which a browser can end the session of a login that is still under way, before
        it has received the answer to that login.
        """
        return (self.attempt,) if self.attempt else ()

    def not_after(self, application: Application, now: int) -> int:
        """The time that no assertion of the session outlives, in seconds since the epoch."""
        ends = min(self.ends(application), max(self.touched, now) + application.session_idle)
        too_old = application.demand.not_after(self.auth_time)
        return ends if too_old is None else min(ends, too_old)

    def lasts(self, application: Application, now: int) -> int:
        """Seconds that a request of the session may take, at least 1; a request can be a download,
        an event stream or a WebSocket.

        Only limits that no later request can move count, so the idle life does not.
        """
        ends = [self.ends(application), application.demand.not_after(self.auth_time)]
        longest = min(end - now for end in ends if end is not None)
        if application.stream_lifetime is not None:
            longest = min(longest, application.stream_lifetime)
        return max(1, longest)


def session_label(application: Application, session_id: SessionId, purpose: str) -> Label:
    """The label of a value that opens only for the browser that holds the session's id.

    The id is mixed into the key, so the ring's keys alone do not open the value.
    """
    return Label(purpose, application.name, session_id.key.hex(), secret=session_id.value.encode())


def session_ids(application: Application, request: Request) -> tuple[SessionId, ...]:
    """The ids in the session cookies of a request, at most MAX_PLANTED.

    A browser keeps one session cookie. There are several if another host has planted cookies of
    the same name.
    """
    values = request.cookie_values(application.cookies.session)[:MAX_PLANTED]
    parsed = (SessionId.parse(value) for value in values)
    return tuple(session_id for session_id in parsed if session_id is not None)


def only(candidates: Iterable[Session | None]) -> Session | None:
    """The one valid session among several session cookies; None if there are none or several.

    Several valid sessions count as none, because it is unknown which one the browser means.
    """
    valid = [session for session in candidates if session is not None]
    return valid[0] if len(valid) == 1 else None
