"""What is in Redis: the names of the keys, and session records as the fields of a hash.

Keys, below the prefix. The part in braces decides the slot of a cluster, so a session and its lock
share a slot, and its tags are in others.

    session:{KEY}     a hash: write, sealed, expires, touched, index, tags
    lock:{KEY}        the owner that may replace the session, or whose login may end
    tag:{TAG}         entries KEY + WRITE, scored by when they expire
    ended:{KEY}WRITE  marks a write that came too late
    claim:{KEY}       a login attempt, or a token id, that was used
    buried:{KEY}      a revocation: "at expires"
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from extproc.core.errors import StoreUnavailable
from extproc.core.session_record import Record
from extproc.sessions.redis.connection import Reply

# Bytes of the random word that stands for one write of a session.
WRITE_BYTES = 8
# In the entries of a session that was replaced, in place of its write, which is over.
REPLACED = bytes(WRITE_BYTES)
# What is read of a session's hash, in the order that record_of() takes.
FIELDS = (b"sealed", b"expires", b"touched", b"index", b"tags")
# What is read of it for a list, in the order that outer_record_of() takes.
OUTER_FIELDS = FIELDS[1:]

_NUMBER = re.compile(rb"[0-9]{1,15}")
_TAG = re.compile(rb"(?:[0-9a-f]{2})+")
_SESSION = re.compile(rb"\{((?:[0-9a-f]{2})+)\}$")
_REVOCATION = re.compile(rb"([0-9]{1,15}) ([0-9]{1,15})")


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of the keys below a prefix."""

    prefix: bytes

    def session(self, key: bytes) -> bytes:
        return self._key(b"session", key)

    def lock(self, key: bytes) -> bytes:
        return self._key(b"lock", key)

    def tag(self, tag: bytes) -> bytes:
        return self._key(b"tag", tag)

    def ended(self, key: bytes, write: bytes) -> bytes:
        return self._key(b"ended", key) + write.hex().encode()

    def used(self, key: bytes) -> bytes:
        return self._key(b"claim", key)

    def revoked(self, key: bytes) -> bytes:
        return self._key(b"buried", key)

    @property
    def sessions(self) -> bytes:
        """The pattern of all sessions, for SCAN."""
        return self.prefix + b"session:*"

    def _key(self, kind: bytes, name: bytes) -> bytes:
        return self.prefix + kind + b":{" + name.hex().encode() + b"}"


def session_key(name: bytes) -> bytes | None:
    """Give the session's key of a name that Keys.session() made; None for any other name."""
    key = _SESSION.search(name)
    return bytes.fromhex(key[1].decode()) if key is not None else None


def values_of(record: Record) -> tuple[bytes | int, ...]:
    """Give the fields of a record as the scripts take them: see WRITE and REPLACE."""
    return record.sealed, record.touched, record.expires, record.index, packed_tags(record.tags)


def record_of(key: bytes, values: Reply) -> Record | None:
    """Give the record of a hash's FIELDS.

    None if there is no session, or if no version of this program wrote the hash: that is no user's
    session.
    """
    if not isinstance(values, list) or len(values) != len(FIELDS):
        return None
    sealed, expires, touched, index, tags = values
    if not (isinstance(sealed, bytes) and isinstance(index, bytes) and isinstance(tags, bytes)):
        return None
    if not all(
        isinstance(number, bytes) and _NUMBER.fullmatch(number) for number in (expires, touched)
    ):
        return None
    carried = unpacked_tags(tags)
    if len(carried) != len(tags.split()):
        return None
    return Record(key, sealed, int(cast(bytes, expires)), int(cast(bytes, touched)), index, carried)


def outer_record_of(key: bytes, values: Reply) -> Record | None:
    """Give the record of a hash's OUTER_FIELDS, without its inner layer; None as record_of()."""
    return record_of(key, [b"", *values]) if isinstance(values, list) else None


def packed_tags(tags: Iterable[bytes]) -> bytes:
    """Join tags in hex, with spaces between them."""
    return b" ".join(tag.hex().encode() for tag in tags)


def unpacked_tags(tags: bytes) -> tuple[bytes, ...]:
    """Split what packed_tags() joined, without the words that are not tags."""
    return tuple(bytes.fromhex(tag.decode()) for tag in tags.split() if _TAG.fullmatch(tag))


def tag_entries(reply: Reply) -> list[tuple[bytes, bytes]]:
    """Split the entries of a tag into (key, write).

    Raises StoreUnavailable for a reply that is not a list of entries.
    """
    if not isinstance(reply, list) or not all(isinstance(entry, bytes) for entry in reply):
        raise StoreUnavailable("redis: answers what no Redis says")
    entries = cast(list[bytes], reply)
    return [(entry[:-WRITE_BYTES], entry[-WRITE_BYTES:]) for entry in entries]


def revocation_at(reply: Reply, now: int) -> int:
    """Give the `at` of a revocation; 0 if there is none, or if it has expired.

    Raises StoreUnavailable for garbage: which sessions are revoked is unknown, so none may pass.
    """
    if reply is None:
        return 0
    numbers = _REVOCATION.fullmatch(reply) if isinstance(reply, bytes) else None
    if numbers is None:
        raise StoreUnavailable("redis: a tombstone is no two numbers")
    return int(numbers[1]) if int(numbers[2]) > now else 0
