"""Sessions that end together although no tag names them and no others."""

import pytest
from harness.tokens import ISSUER, RING

from extproc.core.device import Device
from extproc.core.session_index import IndexEntry, subject_tags
from extproc.core.session_selection import of_user_and_sid, of_user_without_sid


def entry(subject: str = "alice", sid: str | None = "s1", issuer: str = ISSUER) -> IndexEntry:
    return IndexEntry("app", issuer, subject, sid, 1, Device())


@pytest.mark.parametrize(
    ("one", "with_sid", "without"),
    [
        (entry(), True, False),
        (entry(sid=None), False, True),
        (entry(sid="s2"), False, False),
        (entry("bob"), False, False),
        (entry("bob", None), False, False),
        (entry(issuer="https://other.example"), False, False),
        (None, True, True),
    ],
)
def test_a_selection_has_the_sessions_of_one_user_alone(one, with_sid, without):
    assert of_user_and_sid(RING, ISSUER, "alice", "s1").matches(one) == with_sid
    assert of_user_without_sid(RING, ISSUER, "alice").matches(one) == without


def test_it_is_found_by_a_tag_of_its_records_and_revoked_by_a_mark_of_its_own():
    both, sidless = (
        of_user_and_sid(RING, ISSUER, "alice", "s1"),
        of_user_without_sid(RING, ISSUER, "alice"),
    )
    # Not by the tag of the sid, which others of the same provider may have in any number.
    assert both.tags == subject_tags(RING, ISSUER, "alice")
    assert sidless.tags == subject_tags(RING, ISSUER, "alice")
    assert len({*both.tags, *both.marks, *sidless.marks}) == 3 * len(RING.keys)
