"""Sealing: what opens, with which key, and as what."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from harness.refusals import raised
from harness.tokens import ENTROPY_BYTES, RING, SECRET

from extproc.core.encoding import b64decode
from extproc.core.sealing import KeyRing, Label, expand
from extproc.core.session import SessionId


@pytest.mark.parametrize(
    ("call", "detail"),
    [
        (lambda: KeyRing.of([]), "a key ring has at least one secret"),
        (lambda: RING.seal(b"", Label("a", "b"), b"short"), "sealing takes 44 random bytes"),
    ],
)
def test_a_ring_has_a_secret_and_a_seal_44_random_bytes(call, detail):
    assert raised(call) == (ValueError, detail)


@pytest.mark.attack("COOK-19")
def test_the_first_key_seals_and_all_open():
    old, new = KeyRing.of([SECRET]), KeyRing.of([b"n" * 32, SECRET])
    label = Label("login", "app", "name")
    sealed = old.seal(b"x", label, ENTROPY_BYTES)
    assert new.open(sealed, label) == b"x"
    assert old.open(new.seal(b"x", label, ENTROPY_BYTES), label) is None
    assert KeyRing.of([b"n" * 32]).open(sealed, label) is None


def test_what_any_release_sealed_with_a_secret_opens_with_it():
    """Keys and layout are fixed: otherwise an update would end every session."""
    ring, label = KeyRing.of([SECRET]), Label("login", "app", "name", b"s")
    sealed = (
        "AVJUV1wAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqK5w59vCK3o867tXzia9SOCPC"
    )
    assert ring.seal(b"x", label, ENTROPY_BYTES) == sealed and ring.open(sealed, label) == b"x"
    [key] = ring.keys
    assert (key.id.hex(), key.tagging[:4].hex()) == ("5254575c", "5aaaeea5")
    assert key.assertion_seed[:4].hex() == "46b1b8cf"
    assert {len(each) for each in (key.sealing, key.tagging, key.assertion_seed)} == {32}


def test_of_two_keys_that_have_one_name_by_chance_both_open():
    secrets, label = [b"secret 4698", b"secret 63021"], Label("login", "app", "name")
    ring = KeyRing.of(secrets)
    assert len({key.id for key in ring.keys}) == 1
    for secret in secrets:
        sealed = KeyRing.of([secret]).seal(b"x", label, ENTROPY_BYTES)
        assert ring.open(sealed, label) == b"x"


@pytest.mark.attack("COOK-06")
@pytest.mark.parametrize("length", [1, 4, 32, 33, 80, 8160])
def test_expansion_is_that_of_rfc_5869(length):
    assert expand(SECRET, b"a purpose", length) == HKDFExpand(
        hashes.SHA256(), length, b"a purpose"
    ).derive(SECRET)


@pytest.mark.attack("COOK-03")
@pytest.mark.threat("stolen-store")
def test_every_byte_and_every_part_of_the_label_is_authenticated():
    label = Label("login", "app", "name")
    sealed = RING.seal(b"token", label, ENTROPY_BYTES)
    raw = b64decode(sealed)
    from extproc.core.encoding import b64encode

    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        assert RING.open(b64encode(bytes(changed)), label) is None
    for other in (
        Label("session", "app", "name"),
        Label("login", "ap", "pname"),
        Label("login", "app", "nam"),
        Label("loginapp", "", "name"),
    ):
        assert RING.open(sealed, other) is None
    assert RING.open(sealed, label, limit=len(sealed) - 1) is None
    assert RING.open(sealed, label, limit=len(sealed)) == b"token"


def test_secrets_and_randomness_of_the_wrong_size_are_no_key():
    for wrong in (
        lambda: KeyRing.of([]),
        lambda: RING.seal(b"x", Label("p", "a", "n"), ENTROPY_BYTES[:-1]),
    ):
        with pytest.raises(ValueError, match=r"secret|random"):
            wrong()
    with pytest.raises(ValueError, match="32 random bytes"):
        SessionId.of(b"s" * 31)
    assert KeyRing.of([SECRET]) == RING
