"""Session: what a login establishes. The browser holds a 256-bit id, a store the session itself
(session_record.py) under the id's SHA-256.

A session also has a handle, the head of that SHA-256. It is public: it stands in the session cookie
beside the id, and in each identity assertion that is made for the session, which counts beside that
cookie alone.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from extproc.core.application import Application
from extproc.core.encoding import b64encode
from extproc.core.http import Request
from extproc.core.login import MAX_PLANTED
from extproc.core.oidc.authorization import PendingAuthorization
from extproc.core.oidc.claims import Claims
from extproc.core.oidc.id_token import UserInfo, claims_of, verify_id_token
from extproc.core.oidc.jose import KeySet
from extproc.core.oidc.token import TokenResponse
from extproc.core.sealing import KeyRing
from extproc.core.session_index import sid_tags, subject_tags

ID_BYTES = 32
ID_LENGTH = 43  # of its text
HANDLE_BYTES = 8
MARK = 20  # characters by which Envoy compares a session cookie with an assertion
TOUCH_AFTER = 60  # seconds: last use is written at most this often


def handle_of(key: bytes) -> str:
    """What a session is called where people and programs may see it: 16 hex digits, of which nobody
    gets its id.
    """
    return key.hex()[: 2 * HANDLE_BYTES]


@dataclass(frozen=True, slots=True)
class SessionId:
    """32 random bytes as base64url. Never printed, never stored."""

    value: str = field(repr=False)

    @classmethod
    def of(cls, entropy: bytes) -> "SessionId":
        if len(entropy) != ID_BYTES:
            raise ValueError(f"a session id is {ID_BYTES} random bytes")
        return cls(b64encode(entropy))

    @classmethod
    def parse(cls, cookie: str) -> "SessionId | None":
        """The id in a session cookie, or None for what cannot be one; checked before any lookup."""
        match = re.fullmatch(rf"([A-Za-z0-9_-]{{{MARK}}})\.([A-Za-z0-9_-]{{{ID_LENGTH}}})", cookie)
        found = cls(match[2]) if match is not None else None
        return found if found is not None and found.cookie == cookie else None

    @property
    def cookie(self) -> str:
        """The session cookie's value: `MARK.ID`. The mark is the handle as it stands in the text of
        this session's assertions (assertion.py), so that Envoy tells by comparing text whether an
        assertion is of this session.
        """
        return f"{b64encode(self.handle.encode())[:MARK]}.{self.value}"

    @property
    def handle(self) -> str:
        return handle_of(self.key)

    @property
    def key(self) -> bytes:
        """The store's key: a stolen store gives no cookie away."""
        return hashlib.sha256(self.value.encode()).digest()


@dataclass(frozen=True, slots=True)
class Session:
    """Times are seconds since the epoch. touched: last use, as the store knows it, to the minute.
    outdated: an older key sealed it.
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
    access_issued: int = 0  # when the access token came
    amr: tuple[str, ...] = ()
    generation: int = 0  # how many times its tokens were renewed
    # store_key of the login that it came of; empty where an older release wrote the session
    attempt: bytes = b""
    outdated: bool = field(default=False, compare=False)

    def fresh(self, application: Application, now: int) -> bool:
        """Within its absolute and its idle life, and of this application's provider."""
        return (
            now < self.expires
            and now < self.touched + application.session_idle
            and self.issuer == application.client.issuer
        )

    def sufficient(self, application: Application, now: int) -> bool:
        """Whether the login that it came of is enough for the application."""
        return application.demand.met(self.acr, self.auth_time, now, application.client.clock_skew)

    @property
    def recency(self) -> tuple[int, int]:
        """Orders two states of one session, the later the larger: by generation, and within one by
        the clock.
        """
        return self.generation, self.access_issued

    def stale_touch(self, now: int) -> bool:
        return self.outdated or now >= self.touched + TOUCH_AFTER

    def keys(self, ring: KeyRing) -> tuple[bytes, ...]:
        """All that it may be buried by: itself, its login, its user, the provider's session."""
        by_sid = sid_tags(ring, self.issuer, self.sid) if self.sid is not None else ()
        return (
            self.id.key,
            *self.by_attempt,
            *subject_tags(ring, self.issuer, self.subject),
            *by_sid,
        )

    @property
    def by_attempt(self) -> tuple[bytes, ...]:
        """The tag by which a browser ends what a login of its own brings, before it has that
        login's answer.
        """
        return (self.attempt,) if self.attempt else ()

    def not_after(self, application: Application, now: int) -> int:
        """No assertion outlives this."""
        ends = min(self.expires, max(self.touched, now) + application.session_idle)
        too_old = application.demand.not_after(self.auth_time)
        return ends if too_old is None else min(ends, too_old)

    def lasts(self, application: Application, now: int) -> int:
        """Seconds that a request of it may take, whatever comes of it: a download, an event stream,
        a WebSocket. At least 1.

        Until a limit that no later request can move: so the idle life is none of them.
        """
        ends = [self.expires, application.demand.not_after(self.auth_time)]
        longest = min(end - now for end in ends if end is not None)
        if application.stream_lifetime is not None:
            longest = min(longest, application.stream_lifetime)
        return max(1, longest)


def session_ids(application: Application, request: Request) -> tuple[SessionId, ...]:
    """The ids in this browser's session cookie: one, or several where somebody planted more of that
    name; at most MAX_PLANTED.
    """
    values = request.cookie_values(application.cookies.session)[:MAX_PLANTED]
    return tuple(found for value in values if (found := SessionId.parse(value)) is not None)


def only(found: Iterable[Session | None]) -> Session | None:
    """The one session of several cookies of a name. Two that are good count as none: nobody knows
    which the browser means.
    """
    good = [session for session in found if session is not None]
    return good[0] if len(good) == 1 else None


def establish(
    application: Application,
    pending: PendingAuthorization,
    tokens: TokenResponse,
    userinfo: UserInfo | None,
    keys: KeySet,
    session_id: SessionId,
    now: int,
) -> Session:
    """Checks everything the provider said and makes a session of it.

    Raises UnknownKey, InvalidIDToken, InvalidUserInfo, SubjectMismatch, AcrNotSatisfied,
    AuthTimeTooOld.
    """
    client = application.client
    id_token = verify_id_token(
        client, tokens.id_token, tokens.access_token, pending.nonce, keys, now
    )
    application.demand.check(id_token.acr, id_token.auth_time, now, client.clock_skew)
    return Session(
        id=session_id,
        issuer=client.issuer,
        subject=id_token.subject,
        claims=claims_of(client, id_token, userinfo, keys),
        id_token=tokens.id_token,
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        access_expires=now + tokens.expires_in,
        created=now,
        expires=now + application.session_lifetime,
        touched=now,
        sid=id_token.sid,
        auth_time=id_token.auth_time,
        acr=id_token.acr,
        access_issued=now,
        amr=id_token.amr,
        attempt=pending.store_key,
    )
