"""A session as a store keeps it: a record in two layers under the SHA-256 of the session's id.

The inner layer, `sealed`, has the tokens and claims, and opens only with the id that the browser
holds: a stolen store opens nothing, and neither does the server's own key. The outer layer, `index`
and `tags`, is the server's, see index.py.
"""

import json
from dataclasses import dataclass, field

from extproc.core.application import Application
from extproc.core.device import Device
from extproc.core.encoding import b64decode, b64encode, to_json
from extproc.core.errors import SessionTooLarge
from extproc.core.oidc.claims import Claims, number
from extproc.core.sealing import ENTROPY, Label
from extproc.core.session import Session, SessionId
from extproc.core.session_index import TAG_BYTES, IndexEntry, seal_entry, written_tags

# of the inner layer; 4 has no attempt, 3 no generation, 2 no amr, 1 no access_issued either
FORMAT = 5
MAX_SEALED = 262_144  # bytes of it
# bytes of a session's identity headers, which most servers would not take, and which each request
# makes again
MAX_IDENTITY = 16_384


@dataclass(frozen=True, slots=True)
class Record:
    """A session as a store keeps it: opaque bytes under a key, with the times by which it ends and
    the tags by which it is found.

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
    return Label(
        "session", application.name, session_id.key.hex(), secret=session_id.value.encode()
    )


def to_record(application: Application, session: Session, device: Device, entropy: bytes) -> Record:
    """entropy: 88 random bytes, 44 for each layer. Raises SessionTooLarge."""
    check_identity(application, session)
    ring, s = application.ring, session
    entry = IndexEntry(application.name, s.issuer, s.subject, s.sid, s.created, device)
    sealed = ring.seal(dump(session), _label(application, s.id), entropy[:ENTROPY]).encode()
    if len(sealed) > MAX_SEALED:
        raise SessionTooLarge(
            f"the session would take {len(sealed)} bytes of the store; {MAX_SEALED} are allowed"
        )
    index = seal_entry(ring, s.id.key, entry, entropy[ENTROPY:])
    return Record(
        s.id.key, sealed, s.expires, s.touched, index, (*written_tags(ring, entry), *s.by_attempt)
    )


def check_identity(application: Application, session: Session) -> None:
    """Raises SessionTooLarge for more identity headers than an application could take."""
    size = sum(
        len(header) + len(value) for header, value in application.identity_headers(session.claims)
    )
    if size > MAX_IDENTITY:
        raise SessionTooLarge(
            f"the identity headers would have {size} bytes; {MAX_IDENTITY} are allowed: "
            "name fewer claims in identity.headers, "
            "or have the provider give fewer groups"
        )


# What of a session stands inside the seal, in this order.
_FIELDS = (
    "issuer",
    "subject",
    "claims",
    "id_token",
    "access_token",
    "refresh_token",
    "access_expires",
    "created",
    "expires",
    "sid",
    "auth_time",
    "acr",
    "access_issued",
    "amr",
    "generation",
    "attempt",
)


def dump(session: Session) -> bytes:
    """The session but for its id and its last use, which each kind of store keeps in its own
    way.
    """
    s = session
    tokens = (s.id_token, s.access_token, s.refresh_token, s.access_expires)
    login = (s.sid, s.auth_time, s.acr)
    fields = (
        s.issuer,
        s.subject,
        s.claims.values,
        *tokens,
        s.created,
        s.expires,
        *login,
        s.access_issued,
        s.amr,
    )
    return to_json([FORMAT, *fields, s.generation, b64encode(s.attempt)]).encode()


def from_record(application: Application, session_id: SessionId, record: Record) -> Session | None:
    """None: another key's, another application's or a damaged record, which is as if there were
    none.
    """
    sealed = record.sealed.decode("ascii", "replace")
    opened = application.ring.open(sealed, _label(application, session_id), limit=2_000_000)
    if opened is None:
        return None
    return load(opened, session_id, record.touched, outdated=not application.ring.newest(sealed))


def load(
    data: bytes, session_id: SessionId, touched: int, *, outdated: bool = False
) -> Session | None:
    """Only for bytes that were sealed by us. None: a format that this version does not know, or one
    with other values in it.
    """
    try:
        session = _load(data, session_id, touched, outdated=outdated)
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return session if session is not None and _is_one(session) else None


def _is_one(s: Session) -> bool:
    """Whether each value is of its kind: whoever reads one of them later has no boundary of its
    own.
    """
    texts = (s.issuer, s.subject, s.id_token, s.access_token)
    maybe = (s.refresh_token, s.sid, s.acr)
    numbers = (s.access_expires, s.created, s.expires, s.access_issued, s.generation)
    return (
        all(isinstance(text, str) for text in (*texts, *s.amr))
        and all(isinstance(text, str | None) for text in maybe)
        and all(type(each) is int for each in numbers)
        and (s.auth_time is None or number(s.auth_time) is not None)
        and isinstance(s.claims.values, dict)
        and len(s.attempt) in (0, TAG_BYTES)
    )


def _load(data: bytes, session_id: SessionId, touched: int, *, outdated: bool) -> Session | None:
    version, *values = json.loads(data)
    if version not in range(1, FORMAT + 1):
        return None
    if version == 1:
        values.append(values[_FIELDS.index("created")])  # its tokens are those of the login
    if version < 3:
        values.append(())  # amr
    if version < 4:
        values.append(0)  # generation
    if version < FORMAT:
        values.append("")  # attempt
    fields = dict(zip(_FIELDS, values, strict=True))
    claims, amr, attempt = (
        Claims(fields.pop("claims")),
        tuple(fields.pop("amr")),
        b64decode(fields.pop("attempt")),
    )
    return Session(
        id=session_id,
        claims=claims,
        amr=amr,
        attempt=attempt,
        touched=touched,
        outdated=outdated,
        **fields,
    )
