"""Names of keys, and what is read of a store that others may have written to."""

from dataclasses import replace

import pytest
from harness.tokens import NOW

from extproc.core.errors import StoreUnavailable
from extproc.core.session_record import Record
from extproc.sessions.redis import records
from extproc.sessions.redis.records import REPLACED, WRITE_BYTES, Keys
from extproc.sessions.redis.topology import slot_of

ALICE, LAPTOP = b"alice".ljust(32), b"laptop".ljust(32)
RECORD = Record(b"k" * 32, b"sealed", NOW + 100, NOW, b"entry", (ALICE, LAPTOP))
WRITE = b"w" * WRITE_BYTES
KEYS = Keys(b"extproc:")


def stored(record: Record) -> list[object]:
    """The fields of a record, as a server gives them."""
    tags = records.packed_tags(record.tags)
    touched, expires = (str(each).encode() for each in (record.touched, record.expires))
    return [record.sealed, expires, touched, record.index, tags]


def test_the_names_of_keys_are_those_of_every_version():
    assert KEYS.session(b"\x0a") == b"extproc:session:{0a}"
    assert KEYS.lock(b"\x0a") == b"extproc:lock:{0a}"
    assert KEYS.tag(b"\x0a") == b"extproc:tag:{0a}"
    assert KEYS.ended(b"\x0a", b"\x0b") == b"extproc:ended:{0a}0b"
    assert KEYS.used(b"\x0a") == b"extproc:claim:{0a}"
    assert KEYS.revoked(b"\x0a") == b"extproc:buried:{0a}"


def test_what_a_script_changes_at_once_is_in_one_slot():
    key = RECORD.key
    names = (KEYS.session(key), KEYS.lock(key), KEYS.ended(key, WRITE))
    assert len({slot_of(name) for name in names}) == 1


def test_a_session_s_key_is_read_from_its_name_and_from_no_other():
    assert records.session_key(KEYS.session(RECORD.key)) == RECORD.key
    for odd in (b"extproc:session:x", b"extproc:session:{zz}", b"extproc:session:{}", b"{1}"):
        assert records.session_key(odd) is None


@pytest.mark.parametrize(
    "record",
    [RECORD, replace(RECORD, index=b"", tags=()), replace(RECORD, sealed=bytes(range(256)))],
)
def test_a_record_comes_back_from_its_fields(record):
    assert records.record_of(record.key, stored(record)) == record


def test_the_fields_are_written_in_the_order_that_the_scripts_take():
    tags = ALICE.hex().encode() + b" " + LAPTOP.hex().encode()
    assert records.values_of(RECORD) == (b"sealed", NOW, NOW + 100, b"entry", tags)


@pytest.mark.parametrize(
    "odd",
    [
        None,
        b"text",
        [],
        [None] * 5,
        [None, *stored(RECORD)[1:]],
        [b"sealed", b"1e9", *stored(RECORD)[2:]],
        [b"sealed", b"-1", *stored(RECORD)[2:]],
        [b"sealed", b"9" * 16, *stored(RECORD)[2:]],
        [*stored(RECORD)[:2], "٣".encode(), b"entry", b""],
        [*stored(RECORD)[:4], b"zz"],
        [*stored(RECORD)[:4], None],
    ],
)
def test_what_no_version_wrote_is_no_record(odd):
    assert records.record_of(RECORD.key, odd) is None


def test_words_that_are_no_tags_are_skipped():
    assert records.unpacked_tags(b"zz 0a 0 \xff 0b") == (b"\x0a", b"\x0b")


def test_an_entry_of_a_tag_is_a_key_and_a_write():
    entries = [RECORD.key + WRITE, RECORD.key + REPLACED]
    assert records.tag_entries(entries) == [(RECORD.key, WRITE), (RECORD.key, REPLACED)]
    for odd in (None, b"x", [1]):
        with pytest.raises(StoreUnavailable):
            records.tag_entries(odd)


def test_a_revocation_counts_until_it_expires_and_garbage_refuses():
    assert records.revocation_at(None, NOW) == 0
    assert records.revocation_at(b"%d %d" % (NOW - 5, NOW + 5), NOW) == NOW - 5
    assert records.revocation_at(b"%d %d" % (NOW - 5, NOW), NOW) == 0
    for odd in (b"", b"x", b"1", b"1 x", b"1 2 3", [b"1 2"], 7):
        with pytest.raises(StoreUnavailable):
            records.revocation_at(odd, NOW)
