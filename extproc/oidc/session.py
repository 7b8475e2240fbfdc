"""Session: what a login establishes. The browser holds a 256-bit id, the store a record in two layers under the id's SHA-256.

A session also has a handle, the head of that SHA-256. It is public: it stands in the session cookie beside the id, and in each identity
assertion that is made for the session, which counts beside that cookie alone.

The inner layer, `sealed`, has the tokens and claims, and opens only with the id that the browser holds: a stolen store opens nothing,
and neither does the server's own key. The outer layer, `index` and `tags`, is the server's, see index.py.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from extproc.oidc.application import Application
from extproc.oidc.authorization import MAX_PLANTED, PendingAuthorization
from extproc.oidc.claims import Claims, number
from extproc.oidc.device import Device
from extproc.oidc.errors import SessionTooLarge
from extproc.oidc.http import Request
from extproc.oidc.id_token import UserInfo, claims_of, verify_id_token
from extproc.oidc.index import IndexEntry, seal_entry, sid_tags, subject_tags, written_tags
from extproc.oidc.jose import KeySet
from extproc.oidc.seal import ENTROPY, KeyRing, Label, b64encode, to_json
from extproc.oidc.token import TokenResponse

ID_BYTES = 32
ID_LENGTH = 43  # of its text
HANDLE_BYTES = 8
MARK = 20  # characters by which Envoy compares a session cookie with an assertion
FORMAT = 4  # of the inner layer; 3 has no generation, 2 no amr, 1 no access_issued either
MAX_SEALED = 262_144  # bytes of it
MAX_IDENTITY = 16_384  # bytes of its identity headers: more than most servers take, and each request makes them anew
TOUCH_AFTER = 60  # seconds: last use is written at most this often


def handle_of(key: bytes) -> str:
    """What a session is called where people and programs may see it: 16 hex digits, of which nobody gets its id."""
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
        """The session cookie's value: `MARK.ID`. The mark is the handle as it stands in the text of this session's assertions
        (assertion.py), so that Envoy tells by comparing text whether an assertion is of this session.
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
    """Times are seconds since the epoch. touched: last use, as the store knows it, to the minute. outdated: an older key sealed it."""

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
    def age_of_tokens(self) -> tuple[int, int]:
        """By which two states of a session are told apart: the later one is larger. Of one generation the clock decides."""
        return self.generation, self.access_issued

    def stale_touch(self, now: int) -> bool:
        return self.outdated or now >= self.touched + TOUCH_AFTER

    def keys(self, ring: KeyRing) -> tuple[bytes, ...]:
        """All that it may be buried by: itself, its user, the provider's session."""
        by_sid = sid_tags(ring, self.issuer, self.sid) if self.sid is not None else ()
        return (self.id.key, *subject_tags(ring, self.issuer, self.subject), *by_sid)

    def not_after(self, application: Application, now: int) -> int:
        """No assertion outlives this."""
        ends = min(self.expires, max(self.touched, now) + application.session_idle)
        too_old = application.demand.not_after(self.auth_time)
        return ends if too_old is None else min(ends, too_old)

    def lasts(self, application: Application, now: int) -> int:
        """Seconds that a request of it may take, whatever comes of it: a download, an event stream, a WebSocket. At least 1.

        Until a limit that no later request can move: so the idle life is none of them.
        """
        ends = [self.expires, application.demand.not_after(self.auth_time)]
        longest = min(end - now for end in ends if end is not None)
        if application.stream_lifetime is not None:
            longest = min(longest, application.stream_lifetime)
        return max(1, longest)


def session_ids(application: Application, request: Request) -> tuple[SessionId, ...]:
    """The ids in this browser's session cookie: one, or several where somebody planted more of that name; at most MAX_PLANTED."""
    values = request.cookie_values(application.cookies.session)[:MAX_PLANTED]
    return tuple(found for value in values if (found := SessionId.parse(value)) is not None)


def only(found: Iterable[Session | None]) -> Session | None:
    """The one session of several cookies of a name. Two that are good count as none: nobody knows which the browser means."""
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

    Raises UnknownKey, InvalidIDToken, InvalidUserInfo, SubjectMismatch, AcrNotSatisfied, AuthTimeTooOld.
    """
    client = application.client
    id_token = verify_id_token(client, tokens.id_token, tokens.access_token, pending.nonce, keys, now)
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
    )


@dataclass(frozen=True, slots=True)
class Record:
    """A session as a store keeps it: opaque bytes under a key, with the times by which it ends and the tags by which it is found.

    A tag has 32 bytes. A record that a version before them wrote has no index and no tags.
    """

    key: bytes
    sealed: bytes = field(repr=False)
    expires: int
    touched: int
    index: bytes = field(default=b"", repr=False)
    tags: tuple[bytes, ...] = field(default=(), repr=False)


def _label(application: Application, session_id: SessionId) -> Label:
    # the id is half of the key: the record opens only for the browser that holds it
    return Label("session", application.name, session_id.key.hex(), secret=session_id.value.encode())


def to_record(application: Application, session: Session, device: Device, entropy: bytes) -> Record:
    """entropy: 88 random bytes, 44 for each layer. Raises SessionTooLarge."""
    check_identity(application, session)
    ring, s = application.ring, session
    entry = IndexEntry(application.name, s.issuer, s.subject, s.sid, s.created, device)
    sealed = ring.seal(dump(session), _label(application, s.id), entropy[:ENTROPY]).encode()
    if len(sealed) > MAX_SEALED:
        raise SessionTooLarge(f"the session would take {len(sealed)} bytes of the store; {MAX_SEALED} are allowed")
    index = seal_entry(ring, s.id.key, entry, entropy[ENTROPY:])
    return Record(s.id.key, sealed, s.expires, s.touched, index, written_tags(ring, entry))


def check_identity(application: Application, session: Session) -> None:
    """Raises SessionTooLarge for more identity headers than an application could take."""
    size = sum(len(header) + len(value) for header, value in application.identity_headers(session.claims))
    if size > MAX_IDENTITY:
        raise SessionTooLarge(
            f"the identity headers would have {size} bytes; {MAX_IDENTITY} are allowed: name fewer claims in identity.headers, "
            "or have the provider give fewer groups"
        )


def dump(session: Session) -> bytes:
    """The session but for its id and its last use, which each kind of store keeps in its own way."""
    s = session
    fields = [
        FORMAT,
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
        s.access_issued,
        s.amr,
        s.generation,
    ]
    return to_json(fields).encode()


def from_record(application: Application, session_id: SessionId, record: Record) -> Session | None:
    """None: another key's, another application's or a damaged record, which is as if there were none."""
    sealed = record.sealed.decode("ascii", "replace")
    opened = application.ring.open(sealed, _label(application, session_id), limit=2_000_000)
    if opened is None:
        return None
    return load(opened, session_id, record.touched, outdated=not application.ring.newest(sealed))


def load(data: bytes, session_id: SessionId, touched: int, *, outdated: bool = False) -> Session | None:
    """Only for bytes that were sealed by us. None: a format that this version does not know, or one with other values in it."""
    try:
        session = _load(data, session_id, touched, outdated=outdated)
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return session if session is not None and _is_one(session) else None


def _is_one(s: Session) -> bool:
    """Whether each value is of its kind: whoever reads one of them later has no boundary of its own."""
    texts = (s.issuer, s.subject, s.id_token, s.access_token)
    maybe = (s.refresh_token, s.sid, s.acr)
    numbers = (s.access_expires, s.created, s.expires, s.access_issued, s.generation)
    return (
        all(isinstance(text, str) for text in (*texts, *s.amr))
        and all(isinstance(text, str | None) for text in maybe)
        and all(type(each) is int for each in numbers)
        and (s.auth_time is None or number(s.auth_time) is not None)
        and isinstance(s.claims.values, dict)
    )


def _load(data: bytes, session_id: SessionId, touched: int, *, outdated: bool) -> Session | None:
    version, *fields = json.loads(data)
    if version not in (1, 2, 3, FORMAT):
        return None
    if version == 1:
        fields.append(fields[7])  # created: its tokens are those of the login
    if version < 3:
        fields.append(())
    if version < FORMAT:
        fields.append(0)
    (
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
        access_issued,
        amr,
        generation,
    ) = fields
    return Session(
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
        touched,
        sid,
        auth_time,
        acr,
        access_issued,
        tuple(amr),
        generation,
        outdated,
    )
