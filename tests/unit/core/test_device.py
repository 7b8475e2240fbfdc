"""What a user recognises a session by, and the outer layer of a record that it stands in."""

import json

import pytest
from harness.tokens import ENTROPY_BYTES, ISSUER, NOW, RING, request

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


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15", "Safari on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Something (Windows)", "A browser on Windows"),
        ("curl/8.9.1", "curl"),
        ("<script>alert(1)</script>", ""),
        ("x" * 5000, "x" * 40),
        ("", ""),
    ],
)  # fmt: skip
def test_a_user_agent_is_said_in_words_of_ours(agent, said):
    assert Device.of(request(user_agent=agent), 0).agent == said


@pytest.mark.parametrize(
    ("forwarded_for", "hops", "address"),
    [
        ("192.0.2.7", 0, "192.0.2.7"),
        ("6.6.6.6, 192.0.2.7", 0, "192.0.2.7"),  # what the client wrote is not believed
        ("6.6.6.6,192.0.2.7, 10.0.0.1", 1, "192.0.2.7"),
        ("192.0.2.7", 3, "192.0.2.7"),
        ("2001:DB8::0:1", 0, "2001:db8::1"),
        ("unknown", 0, ""),
        ("1.2.3.4<script>", 0, ""),
        ("", 0, ""),
    ],
)
def test_an_address_is_the_one_that_envoy_found(forwarded_for, hops, address):
    assert Device.of(request(x_forwarded_for=forwarded_for), hops).address == address


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
    later = RING.seal(
        json.dumps([2, "more", "fields"]).encode(), Label("index", "", KEY.hex()), ENTROPY_BYTES
    )
    assert open_entry(RING, KEY, later.encode()) is None


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
