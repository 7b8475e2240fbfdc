"""The session record: a session as a store keeps it, in two sealed layers.

A record is stored under the SHA-256 of the session's id.

- The inner layer, `sealed`, holds the tokens and claims. It opens only with the id that the
  browser holds: neither a stolen store nor the server's own keys open it alone.
- The outer layer, `index` and `tags`, opens with the server's keys, see session_index.py.

The inner layer is a JSON list: the number of its format, then the values of FIELDS in order.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any

from extproc.core.application import Application
from extproc.core.device import Device
from extproc.core.encoding import b64decode, b64encode, to_json
from extproc.core.errors import SessionTooLarge
from extproc.core.oidc.claims import Claims, number, size_of
from extproc.core.sealing import ENTROPY
from extproc.core.session import Session, SessionId, session_label
from extproc.core.session_index import (
    TAG_BYTES,
    IndexEntry,
    seal_entry,
    sid_tags,
    subject_tags,
    written_tags,
)

# what the inner layer is sealed as
PURPOSE = "session"
# bytes of a sealed inner layer that are written; in cookies, of a session before it is sealed
MAX_SEALED = 262_144
# characters of a sealed inner layer that are opened: more than any release has written
MAX_OPENED = 2_000_000
# bytes of a session's identity headers: most servers refuse more, and each request carries them
MAX_IDENTITY = 16_384

_FORMAT_1 = (
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
)
_FORMAT_2 = (*_FORMAT_1, "access_issued")
_FORMAT_3 = (*_FORMAT_2, "amr")
_FORMAT_4 = (*_FORMAT_3, "generation")
_FORMAT_5 = (*_FORMAT_4, "attempt")
_FORMAT_6 = (*_FORMAT_5, "created_ms")
# The fields of each format, in the order in which they are stored. A format that was released never
# changes: a new field is appended in a new format, and _load supplies what older formats lack.
FIELDS: Mapping[int, tuple[str, ...]] = {
    1: _FORMAT_1,
    2: _FORMAT_2,
    3: _FORMAT_3,
    4: _FORMAT_4,
    5: _FORMAT_5,
    6: _FORMAT_6,
}
# the format that is written
FORMAT = 6


@dataclass(frozen=True, slots=True)
class Record:
    """A session as a store keeps it: opaque bytes, when the session ends, and tags to search by.

    Attributes:
        key: SHA-256 of the session's id.
        sealed: the inner layer.
        expires: end of the session, in seconds since the epoch.
        touched: last use of the session, in seconds since the epoch.
        index: the outer layer; empty in records of releases that had none.
        tags: 32 bytes each; none in records of releases that had none.
    """

    key: bytes
    sealed: bytes = field(repr=False)
    expires: int
    touched: int
    index: bytes = field(default=b"", repr=False)
    tags: tuple[bytes, ...] = field(default=(), repr=False)


def to_record(application: Application, session: Session, device: Device, entropy: bytes) -> Record:
    """Seal a session into a record.

    Args:
        application: the application that the session is for.
        session: the session.
        device: what its user recognises the session by; stored in the outer layer.
        entropy: 88 random bytes, 44 for each layer.

    Raises:
        SessionTooLarge: the inner layer or the identity headers exceed their bound.
    """
    check_identity(application, session)
    ring, key = application.ring, session.id.key
    label = session_label(application, session.id, PURPOSE)
    sealed = ring.seal(dump(session), label, entropy[:ENTROPY]).encode()
    if len(sealed) > MAX_SEALED:
        raise SessionTooLarge(
            f"the session would take {len(sealed)} bytes of the store; {MAX_SEALED} are allowed"
        )
    entry = IndexEntry(
        application.name, session.issuer, session.subject, session.sid, session.created, device
    )
    index = seal_entry(ring, key, entry, entropy[ENTROPY:])
    tags = (*written_tags(ring, entry), *session.by_attempt)
    return Record(key, sealed, session.expires, session.touched, index, tags)


def check_identity(application: Application, session: Session) -> None:
    """Raise SessionTooLarge if the headers that the processor would add to a request are more than
    an application, or Envoy, could take.
    """
    headers = application.identity_headers(session.claims)
    sizes = {header: len(header) + size_of(value) for header, value in headers}
    size = sum(sizes.values())
    if size > MAX_IDENTITY:
        longest = max(sizes, key=lambda header: sizes[header])
        raise SessionTooLarge(
            f"the identity headers would have {size} bytes, {longest} alone {sizes[longest]}; "
            f"{MAX_IDENTITY} are allowed: name fewer claims in identity.headers, set "
            "identity.max_header_bytes, or have the provider give fewer groups"
        )
    token = len(session.access_token) if application.forward_access_token else 0
    if size + token > application.header_room:
        raise SessionTooLarge(
            f"the identity headers would have {size} bytes and the access token {token}; "
            f"{application.header_room} are allowed, half of gateway.max_request_headers_kb"
        )


def from_record(application: Application, session_id: SessionId, record: Record) -> Session | None:
    """Open a record with the session id that the browser sent.

    None if the record is damaged, of another key, or of another application: such a record counts
    as no session.
    """
    sealed = record.sealed.decode("ascii", "replace")
    label = session_label(application, session_id, PURPOSE)
    opened = application.ring.open(sealed, label, limit=MAX_OPENED)
    if opened is None:
        return None
    return load(opened, session_id, record.touched, outdated=not application.ring.newest(sealed))


def has_its_tags(application: Application, session: Session, record: Record) -> bool:
    """Whether a record has the tags by which a logout would find its session.

    Tags are not sealed. A session without them counts as none; otherwise whoever can write to the
    store could keep a session that no logout ends. Sessions of releases without tags have no
    `attempt` either.
    """
    if not session.attempt:
        return True
    ring = application.ring
    wanted = [session.by_attempt, subject_tags(ring, session.issuer, session.subject)]
    if session.sid is not None:
        wanted.append(sid_tags(ring, session.issuer, session.sid))
    return all(any(tag in record.tags for tag in tags) for tags in wanted)


def dump(session: Session) -> bytes:
    """Serialize a session without its id and its last use, which each kind of store keeps in its
    own way.
    """
    stored = {
        "issuer": session.issuer,
        "subject": session.subject,
        "claims": session.claims.values,
        "id_token": session.id_token,
        "access_token": session.access_token,
        "refresh_token": session.refresh_token,
        "access_expires": session.access_expires,
        "created": session.created,
        "expires": session.expires,
        "sid": session.sid,
        "auth_time": session.auth_time,
        "acr": session.acr,
        "access_issued": session.access_issued,
        "amr": session.amr,
        "generation": session.generation,
        "attempt": b64encode(session.attempt),
        "created_ms": session.created_ms,
    }
    return to_json([FORMAT, *(stored[name] for name in FIELDS[FORMAT])]).encode()


def load(
    data: bytes, session_id: SessionId, touched: int, *, outdated: bool = False
) -> Session | None:
    """Deserialize a session; only for bytes that a seal of the processor has authenticated.

    Args:
        data: what dump() of this or an older release wrote.
        session_id: the session's id.
        touched: last use, in seconds since the epoch.
        outdated: whether an older key of the ring sealed the bytes.

    Returns:
        The session; None for an unknown format, and for values of a wrong type.
    """
    try:
        session = _load(data, session_id, touched, outdated=outdated)
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return session if session is not None and _is_well_typed(session) else None


def _load(data: bytes, session_id: SessionId, touched: int, *, outdated: bool) -> Session | None:
    version, *values = json.loads(data)
    if version not in FIELDS:
        return None
    stored: dict[str, Any] = dict(zip(FIELDS[version], values, strict=True))
    # the tokens of format 1 are those of the login
    stored.setdefault("access_issued", stored["created"])
    stored.setdefault("generation", 0)
    stored.setdefault("created_ms", 0)
    stored["claims"] = Claims(stored["claims"])
    stored["amr"] = tuple(stored.get("amr", ()))
    stored["attempt"] = b64decode(stored.get("attempt", ""))
    return Session(id=session_id, touched=touched, outdated=outdated, **stored)


def _is_well_typed(session: Session) -> bool:
    """Whether each value has its type: later readers of the values do not check again."""
    texts = (session.issuer, session.subject, session.id_token, session.access_token)
    optional_texts = (session.refresh_token, session.sid, session.acr)
    numbers = (
        session.access_expires,
        session.created,
        session.expires,
        session.access_issued,
        session.generation,
        session.created_ms,
    )
    # Sets of types, because a session is read at nearly every request; a boolean is an int to
    # isinstance only.
    return (
        {*map(type, texts), *map(type, session.amr)} == {str}
        and {*map(type, optional_texts)} <= {str, NoneType}
        and {*map(type, numbers)} == {int}
        and (session.auth_time is None or number(session.auth_time) is not None)
        and isinstance(session.claims.values, dict)
        and len(session.attempt) in (0, TAG_BYTES)
    )
