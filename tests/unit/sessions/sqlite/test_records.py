"""Session records as rows."""

from dataclasses import replace

import pytest
from harness.tokens import NOW

from extproc.core.session_record import Record
from extproc.sessions.sqlite import markers, records

ALICE, LAPTOP = b"alice".ljust(32), b"laptop".ljust(32)
ONE = Record(b"1".ljust(32), b"sealed", NOW + 100, NOW, b"entry", (ALICE, LAPTOP))
TWO = replace(ONE, key=b"2".ljust(32), touched=NOW + 10, tags=(ALICE,))


def tags(db) -> list[tuple[bytes, bytes]]:
    return sorted(db.execute("SELECT key, tag FROM tag"))


def test_a_record_comes_back_as_it_was_until_it_expires(db):
    records.put(db, ONE, None)
    assert records.read(db, ONE.key, NOW + 99) == ONE
    assert records.read(db, ONE.key, NOW + 100) is None


def test_a_record_that_goes_takes_its_tags_with_it(db):
    records.put(db, ONE, None)
    records.put(db, TWO, ONE.key)
    assert records.read(db, ONE.key, NOW) is None
    assert tags(db) == [(TWO.key, ALICE)]
    records.delete(db, TWO.key)
    assert tags(db) == []


def test_a_tag_finds_the_most_recently_used_first_and_no_expired_one(db):
    records.put(db, ONE, None)
    records.put(db, TWO, None)
    one, two = replace(ONE, sealed=b""), replace(TWO, sealed=b"")
    assert records.tagged(db, ALICE, NOW, 5) == (two, one)
    assert records.tagged(db, ALICE, NOW, 1) == (two,)
    assert records.tagged(db, LAPTOP, NOW, 5) == (one,)
    assert records.tagged(db, ALICE, NOW + 100, 5) == ()
    assert records.delete_tagged(db, ALICE, NOW + 100) == 0
    assert records.delete_tagged(db, ALICE, NOW, (TWO.key,)) == 1
    assert records.read(db, TWO.key, NOW) == TWO
    assert records.delete_tagged(db, ALICE, NOW) == 1 and tags(db) == []


def test_the_last_page_and_no_other_has_nothing_after_it(db):
    for record in (ONE, TWO):
        records.put(db, record, None)
    first = records.page(db, None, 1, NOW)
    second = records.page(db, first.after, 1, NOW)
    third = records.page(db, second.after, 1, NOW)
    assert (first.records, second.records, third.records) == ((ONE,), (TWO,), ())
    assert first.after is not None and third.after is None
    assert records.count(db, NOW) == 2 and records.count(db, NOW + 100) == 0


def test_a_last_use_never_moves_back(db):
    records.put(db, ONE, None)
    records.touch(db, ONE.key, NOW + 60)
    records.touch(db, ONE.key, NOW + 30)
    assert records.read(db, ONE.key, NOW) == replace(ONE, touched=NOW + 60)


def test_only_the_owner_of_the_lock_replaces_a_record_and_only_one_that_is_there(db):
    changed = replace(ONE, sealed=b"changed", tags=(ALICE,))
    records.put(db, ONE, None)
    assert not records.replace(db, changed, b"me", NOW, 5)
    assert markers.lock(db, ONE.key, b"me", 10, 5)
    assert not records.replace(db, changed, b"you", NOW, 5)
    assert not records.replace(db, changed, b"me", NOW, 15), "the lock has expired"
    assert not records.replace(db, changed, b"me", NOW + 100, 5), "the record has expired"
    assert records.read(db, ONE.key, NOW) == ONE and len(tags(db)) == 2
    assert records.replace(db, changed, b"me", NOW, 5)
    assert records.read(db, ONE.key, NOW) == changed and tags(db) == [(ONE.key, ALICE)]


@pytest.mark.parametrize("write", [records.put, records.replace])
def test_a_tag_of_another_size_is_never_written_since_it_could_not_be_read_again(db, write):
    odd = replace(ONE, tags=(b"short",))
    with pytest.raises(ValueError, match="32 bytes"):
        write(db, odd, None) if write is records.put else write(db, odd, b"me", NOW, 5)
    assert records.count(db, NOW) == 0
