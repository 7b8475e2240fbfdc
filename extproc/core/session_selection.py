"""Sessions that end together although no tag names them and no others: a Selection."""

from dataclasses import dataclass

from extproc.core.sealing import KeyRing
from extproc.core.session_index import (
    IndexEntry,
    open_entry,
    sidless_marks,
    subject_tags,
    user_sid_marks,
)
from extproc.core.session_record import Record


@dataclass(frozen=True, slots=True)
class Selection:
    """The sessions of one user that have a `sid`, or that have none.

    Attributes:
        ring: the keys that open the index of records.
        tags: what all of these sessions carry, and others too.
        marks: the keys of revocations that count for these sessions alone.
        issuer: the provider.
        subject: its `sub` of the user.
        sid: the session at the provider; None: sessions without a sid.
    """

    ring: KeyRing
    tags: tuple[bytes, ...]
    marks: tuple[bytes, ...]
    issuer: str
    subject: str
    sid: str | None

    def matches(self, entry: IndexEntry | None) -> bool:
        """Whether an index entry is that of one of these sessions.

        One that cannot be read (None) is: its record carries one of `tags`, and a logout must not
        miss a session whose index was blanked.
        """
        if entry is None:
            return True
        return (entry.issuer, entry.subject, entry.sid) == (self.issuer, self.subject, self.sid)

    def has(self, record: Record) -> bool:
        """Whether a record is that of one of these sessions."""
        return self.matches(open_entry(self.ring, record.key, record.index))


def of_user_and_sid(ring: KeyRing, issuer: str, subject: str, sid: str) -> Selection:
    """The sessions of a user that belong to one session at the provider.

    A provider whose `sid` is that of its browser session gives several users the same one, so what
    a user ends must be the user's own: only the user's sessions are looked at, however many others
    have that sid.
    """
    tags, marks = subject_tags(ring, issuer, subject), user_sid_marks(ring, issuer, subject, sid)
    return Selection(ring, tags, marks, issuer, subject, sid)


def of_user_without_sid(ring: KeyRing, issuer: str, subject: str) -> Selection:
    """The sessions of a user that belong to no known session at the provider."""
    tags, marks = subject_tags(ring, issuer, subject), sidless_marks(ring, issuer, subject)
    return Selection(ring, tags, marks, issuer, subject, None)
