"""The outer layer of a session record: what the server's key alone opens, so that sessions are
listed and ended without their cookies.

Tags find a session by (issuer, subject) and by (issuer, sid): HMACs under a key of the ring, so
that a stolen store tells nobody's name. What is written has the tag of the first key; a search asks
for the tags of all keys, since older records have older ones.
"""

import hmac
import json
from dataclasses import dataclass

from extproc.core.device import Device
from extproc.core.encoding import to_json
from extproc.core.sealing import KeyRing, Label

FORMAT = 1
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
    """What the sessions of a user carry, one for each key of the ring; the first is the one to
    write.
    """
    return _tags(ring, "sub", issuer, subject)


def sid_tags(ring: KeyRing, issuer: str, sid: str) -> tuple[bytes, ...]:
    """The same for a session at the provider (the ID token's sid)."""
    return _tags(ring, "sid", issuer, sid)


def _tags(ring: KeyRing, *parts: str) -> tuple[bytes, ...]:
    said = b"".join(
        len(part).to_bytes(4, "big") + part for part in (text.encode() for text in parts)
    )
    return tuple(hmac.digest(key.tagging, said, "sha256") for key in ring.keys)


def written_tags(ring: KeyRing, entry: IndexEntry) -> tuple[bytes, ...]:
    """What a record of this session carries."""
    by_subject = subject_tags(ring, entry.issuer, entry.subject)[:1]
    return by_subject + (
        sid_tags(ring, entry.issuer, entry.sid)[:1] if entry.sid is not None else ()
    )


def _label(key: bytes) -> Label:
    return Label("index", "", key.hex())


def seal_entry(ring: KeyRing, key: bytes, entry: IndexEntry, entropy: bytes) -> bytes:
    """key: the record's, to which the entry is bound. entropy: 44 random bytes."""
    e, d = entry, entry.device
    fields = [FORMAT, e.application, e.issuer, e.subject, e.sid, e.created, d.agent, d.address]
    return ring.seal(to_json(fields).encode(), _label(key), entropy).encode()


def open_entry(ring: KeyRing, key: bytes, sealed: bytes) -> IndexEntry | None:
    """None: a record of before there was an index, another key's, or damaged."""
    opened = ring.open(sealed.decode("ascii", "replace"), _label(key))
    if opened is None:
        return None
    version, *fields = json.loads(opened)
    if version != FORMAT:
        return None
    application, issuer, subject, sid, created, agent, address = fields
    return IndexEntry(application, issuer, subject, sid, created, Device(agent, address))
