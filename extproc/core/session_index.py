"""The index of sessions: what the server's keys alone open, so that sessions can be listed and
ended without their cookies.

It is the outer layer of a session record. Tags find the records of a user by (issuer, subject), and
those of a session at the provider by (issuer, sid). A tag is an HMAC under a key of the ring, so
that a stolen store reveals no name. A record is written with the tag of the first key; a search
uses the tags of all keys, since older records have the tags of older keys.
"""

import hmac
import json
from collections.abc import Collection
from dataclasses import dataclass

from extproc.core.device import Device
from extproc.core.encoding import to_json
from extproc.core.sealing import KeyRing, Label

FORMAT = 1
# of format 1
FIELDS = 7
TAG_BYTES = 32


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """What an operator, or the user, sees of a session. created: seconds since the epoch."""

    application: str
    issuer: str
    subject: str
    sid: str | None
    created: int
    device: Device


def subject_tags(ring: KeyRing, issuer: str, subject: str) -> tuple[bytes, ...]:
    """The tags of a user's sessions, one for each key of the ring; new records get the first."""
    return _tags(ring, "sub", issuer, subject)


def sid_tags(ring: KeyRing, issuer: str, sid: str) -> tuple[bytes, ...]:
    """The tags of the sessions that belong to one session at the provider (`sid` of the ID token),
    one for each key of the ring; new records get the first.
    """
    return _tags(ring, "sid", issuer, sid)


def user_sid_marks(ring: KeyRing, issuer: str, subject: str, sid: str) -> tuple[bytes, ...]:
    """The keys of a revocation of one user's sessions with a sid. No record carries them."""
    return _tags(ring, "sub and sid", issuer, subject, sid)


def sidless_marks(ring: KeyRing, issuer: str, subject: str) -> tuple[bytes, ...]:
    """The keys of a revocation of a user's sessions that have no sid. No record carries them."""
    return _tags(ring, "sub without sid", issuer, subject)


def _tags(ring: KeyRing, *parts: str) -> tuple[bytes, ...]:
    # length-prefixed, so that no two lists of parts give the same bytes
    message = b"".join(
        len(part).to_bytes(4, "big") + part for part in (text.encode() for text in parts)
    )
    return tuple(hmac.digest(key.tagging, message, "sha256") for key in ring.keys)


def written_tags(ring: KeyRing, entry: IndexEntry) -> tuple[bytes, ...]:
    """The tags that a new record of the session carries."""
    by_subject = subject_tags(ring, entry.issuer, entry.subject)[:1]
    by_sid = sid_tags(ring, entry.issuer, entry.sid)[:1] if entry.sid is not None else ()
    return by_subject + by_sid


def carries_its_tags(ring: KeyRing, entry: IndexEntry, tags: Collection[bytes]) -> bool:
    """Whether a record has the tags that follow from its entry, under any key of the ring.

    Tags are not sealed, so whoever can write to a store could take them off, so that no logout
    finds the session, or hang it among the sessions of another user.
    """
    by_subject = any(tag in tags for tag in subject_tags(ring, entry.issuer, entry.subject))
    if entry.sid is None or not by_subject:
        return by_subject
    return any(tag in tags for tag in sid_tags(ring, entry.issuer, entry.sid))


def _label(key: bytes) -> Label:
    return Label("index", "", key.hex())


def seal_entry(ring: KeyRing, key: bytes, entry: IndexEntry, entropy: bytes) -> bytes:
    """Seal an entry for its record.

    Args:
        ring: the server's keys.
        key: the key of the record, to which the entry is bound.
        entry: the entry.
        entropy: 44 random bytes.
    """
    fields = [
        FORMAT,
        entry.application,
        entry.issuer,
        entry.subject,
        entry.sid,
        entry.created,
        entry.device.agent,
        entry.device.address,
    ]
    return ring.seal(to_json(fields).encode(), _label(key), entropy).encode()


def open_entry(ring: KeyRing, key: bytes, sealed: bytes) -> IndexEntry | None:
    """Open the entry of a record.

    A newer format appends fields, which are left out: while processes are replaced, sessions that a
    newer one wrote must be found by those that are still there. None for a record that has no
    index, for another gateway's key, and for damaged bytes.
    """
    opened = ring.open(sealed.decode("ascii", "replace"), _label(key))
    if opened is None:
        return None
    version, *fields = json.loads(opened)
    if version < FORMAT or len(fields) < FIELDS:
        return None
    application, issuer, subject, sid, created, agent, address = fields[:FIELDS]
    return IndexEntry(application, issuer, subject, sid, created, Device(agent, address))
