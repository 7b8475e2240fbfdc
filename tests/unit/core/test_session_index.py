"""The outer layer of a session record, and the tags by which it is found."""

import json

import pytest
from harness.tokens import ENTROPY_BYTES, ISSUER, NOW, RING

from extproc.core.device import Device
from extproc.core.sealing import KeyRing, Label
from extproc.core.session_index import (
    IndexEntry,
    open_entry,
    seal_entry,
    sid_tags,
    subject_tags,
    written_tags,
)

KEY = b"k" * 32
ENTRY = IndexEntry("app", ISSUER, "alice", "sid", NOW, Device("Firefox on Linux", "192.0.2.7"))
TWO = KeyRing((*KeyRing.of([b"another secret, of a later day ..."]).keys, *RING.keys))


def test_an_entry_opens_for_its_record_with_any_key_of_the_ring():
    sealed = seal_entry(RING, KEY, ENTRY, ENTROPY_BYTES)
    assert open_entry(RING, KEY, sealed) == ENTRY == open_entry(TWO, KEY, sealed)
    assert b"alice" not in sealed


@pytest.mark.parametrize("sealed", [b"", b"x", b"\xff" * 200])
def test_what_is_no_entry_is_none(sealed):
    assert open_entry(RING, KEY, sealed) is None


def test_an_entry_of_another_record_or_ring_or_format_is_none():
    sealed = seal_entry(RING, KEY, ENTRY, ENTROPY_BYTES)
    assert (
        open_entry(RING, b"l" * 32, sealed) is None
        and open_entry(KeyRing(TWO.keys[:1]), KEY, sealed) is None
    )
    for other in ([2, "too", "few", "fields"], [0, *"1234567"]):
        text = json.dumps(other).encode()
        sealed = RING.seal(text, Label("index", "", KEY.hex()), ENTROPY_BYTES).encode()
        assert open_entry(RING, KEY, sealed) is None


def test_an_entry_of_a_newer_release_is_found_while_processes_are_replaced():
    """Otherwise a logout at an older process would leave the sessions of newer ones alone."""
    label = Label("index", "", KEY.hex())
    opened = RING.open(seal_entry(RING, KEY, ENTRY, ENTROPY_BYTES).decode(), label)
    _, *fields = json.loads(opened)
    newer = RING.seal(json.dumps([2, *fields, "more"]).encode(), label, ENTROPY_BYTES).encode()
    assert open_entry(RING, KEY, newer) == ENTRY


def test_what_is_written_is_found_by_the_tags_of_every_key():
    assert written_tags(TWO, ENTRY) == (
        subject_tags(TWO, ISSUER, "alice")[0],
        sid_tags(TWO, ISSUER, "sid")[0],
    )
    assert set(written_tags(RING, ENTRY)) <= {
        *subject_tags(TWO, ISSUER, "alice"),
        *sid_tags(TWO, ISSUER, "sid"),
    }


def test_no_two_users_or_sessions_have_the_same_tag():
    tags = [
        subject_tags(RING, ISSUER, "alice"), subject_tags(RING, ISSUER, "bob"), subject_tags(RING, ISSUER + "a", "lice"),
        sid_tags(RING, ISSUER, "alice"), subject_tags(KeyRing(TWO.keys[:1]), ISSUER, "alice"),
    ]  # fmt: skip
    assert len(set(tags)) == len(tags) and all(len(tag) == 32 for found in tags for tag in found)
