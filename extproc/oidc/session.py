"""Session: what a login establishes. The browser holds a 256-bit id, the store a sealed record under the id's SHA-256."""

import hashlib
import json
import re
from dataclasses import dataclass, field, replace

from extproc.oidc.application import Application
from extproc.oidc.authorization import PendingAuthorization
from extproc.oidc.claims import Claims
from extproc.oidc.id_token import UserInfo, claims_of, verify_id_token
from extproc.oidc.jose import KeySet
from extproc.oidc.seal import Label, b64encode
from extproc.oidc.token import TokenResponse

ID_BYTES = 32
TOUCH_AFTER = 60  # seconds: last use is written at most this often


@dataclass(frozen=True, slots=True)
class SessionId:
    """The cookie's value: 32 random bytes as base64url. Never printed, never stored."""

    value: str = field(repr=False)

    @classmethod
    def of(cls, entropy: bytes) -> "SessionId":
        if len(entropy) != ID_BYTES:
            raise ValueError(f"a session id is {ID_BYTES} random bytes")
        return cls(b64encode(entropy))

    @classmethod
    def parse(cls, cookie: str | None) -> "SessionId | None":
        """A cookie's value, or None for what cannot be an id; checked before any lookup."""
        return cls(cookie) if cookie is not None and re.fullmatch(r"[A-Za-z0-9_-]{43}", cookie) else None

    @property
    def key(self) -> bytes:
        """The store's key: a stolen store gives no cookie away."""
        return hashlib.sha256(self.value.encode()).digest()


@dataclass(frozen=True, slots=True)
class Session:
    """Times are seconds since the epoch. touched: last use, as the store knows it, to the minute."""

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

    def fresh(self, application: Application, now: int) -> bool:
        """Within its absolute and its idle life, and of this application's provider."""
        return (
            now < self.expires
            and now < self.touched + application.session_idle
            and self.issuer == application.client.issuer
        )

    def stale_touch(self, now: int) -> bool:
        return now >= self.touched + TOUCH_AFTER

    def not_after(self, application: Application, now: int) -> int:
        """No assertion outlives this."""
        return min(self.expires, max(self.touched, now) + application.session_idle)


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

    Raises UnknownKey, InvalidIDToken, InvalidUserInfo, SubjectMismatch.
    """
    client = application.client
    id_token = verify_id_token(client, tokens.id_token, tokens.access_token, pending.nonce, keys, now)
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
    )


@dataclass(frozen=True, slots=True)
class Record:
    """A session as a store keeps it: opaque bytes under a key, with the times by which it ends."""

    key: bytes
    sealed: bytes = field(repr=False)
    expires: int
    touched: int


def _label(application: Application, session_id: SessionId) -> Label:
    # the id is half of the key: the record opens only for the browser that holds it
    return Label("session", application.name, session_id.key.hex(), secret=session_id.value.encode())


def to_record(application: Application, session: Session, entropy: bytes) -> Record:
    """entropy: 44 random bytes."""
    s = session
    fields = [
        1,
        s.issuer,
        s.subject,
        s.claims.values,
        s.id_token,
        s.access_token,
        s.refresh_token,
        s.access_expires,
        s.created,
        s.expires,
        s.sid,
        s.auth_time,
        s.acr,
    ]
    sealed = application.ring.seal(
        json.dumps(fields, separators=(",", ":")).encode(), _label(application, s.id), entropy
    )
    return Record(s.id.key, sealed.encode(), s.expires, s.touched)


def from_record(application: Application, session_id: SessionId, record: Record) -> Session | None:
    """None: another key's, another application's or a damaged record, which is as if there were none."""
    opened = application.ring.open(
        record.sealed.decode("ascii", "replace"), _label(application, session_id), limit=2_000_000
    )
    if opened is None:
        return None
    (
        version,
        issuer,
        subject,
        claims,
        id_token,
        access,
        refresh,
        access_expires,
        created,
        expires,
        sid,
        auth_time,
        acr,
    ) = json.loads(opened)
    if version != 1:
        return None
    known = Session(
        session_id,
        issuer,
        subject,
        Claims(claims),
        id_token,
        access,
        refresh,
        access_expires,
        created,
        expires,
        created,
        sid,
        auth_time,
        acr,
    )
    return replace(known, touched=record.touched)
