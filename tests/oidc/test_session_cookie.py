"""A whole session in cookies: what is cut in pieces comes back whole, or not at all."""

import json
import zlib
from dataclasses import replace

import pytest
from rig.rows import rows
from rig.tokens import ENTROPY_BYTES, NOW, RING, application, request, session

from extproc.oidc.device import Device
from extproc.oidc.errors import SessionTooLarge
from extproc.oidc.http import Cookie
from extproc.oidc.seal import KeyRing
from extproc.oidc.session import MAX_SEALED, Session, to_record
from extproc.oidc.session_cookie import CHUNK, _label, read_session, session_cookies

APP = application()
NAME = "__Host-extproc-session-app"


def cookies(session: Session, *, app=APP, had: str = "", now: int = NOW, entropy=ENTROPY_BYTES) -> tuple[Cookie, ...]:
    return session_cookies(app, request(cookie=had), session, now, entropy)


def header(*sets: Cookie) -> str:
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in sets)


def read(cookie: str, app=APP) -> Session | None:
    return read_session(app, request(cookie=cookie))


# how many characters of noise, and how many cookies they take; what goes between is in tests/properties
@pytest.mark.parametrize(("noise", "count"), [(0, 1), (3000, 1), (4000, 2), (8000, 3), (13_000, 4)])
def test_what_is_kept_comes_back_whole_in_as_few_cookies_as_it_takes(noise, count):
    kept = session(noise, touched=NOW + 7, subject="\u00e4\ud800", sid="s")
    made = cookies(kept)
    assert read(header(*made)) == kept == read(header(*reversed(made)))
    assert all(cookie.max_age == 43_200 and cookie.secure for cookie in made)
    assert [cookie.name for cookie in made] == [NAME, f"{NAME}.1", f"{NAME}.2", f"{NAME}.3"][:count]
    assert all(len(cookie.value) == CHUNK - (number > 0) * 2 for number, cookie in enumerate(made[:-1]))


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("at", [0, 1, 2, 3, 40, 2000, -2, -1])
def test_cook_03_and_06_any_change_opens_nothing(which, at):
    value = ONE[which].value
    at %= len(value)
    for other in {"A", "b", "2", ".", " ", "\xff"} - {value[at]}:
        changed = replace(ONE[which], value=value[:at] + other + value[at + 1 :])
        assert read(header(*ONE[:which], changed, *ONE[which + 1 :])) is None


ONE, TWO = cookies(session(9000)), cookies(session(9000, subject="mallory"), entropy=bytes(44))
LONG = cookies(session(13_000), entropy=b"l" * 44)


@pytest.mark.parametrize(
    "jar",
    [
        (ONE[0],),
        (ONE[1], ONE[2]),
        (ONE[0], TWO[1], ONE[2]),
        (TWO[0], ONE[1], ONE[2]),
        (ONE[0], replace(ONE[1], value=ONE[2].value), replace(ONE[2], value=ONE[1].value)),
        (*ONE, TWO[1]),
        (*ONE, TWO[0]),
        (ONE[0], replace(ONE[1], value=""), ONE[2]),
        (replace(ONE[0], value="2" + ONE[0].value[1:]), *ONE[1:]),
        (replace(ONE[0], value="4" + ONE[0].value[1:]), *ONE[1:], LONG[3]),
    ],
    ids=["the rest missing", "the first missing", "a piece of another", "another's first", "swapped", "a piece twice",
         "the first twice", "an empty piece", "one piece too few", "one piece too many"],
)  # fmt: skip
@rows("cook_12")
def test_cook_08_pieces_that_do_not_belong_together_open_nothing(jar):
    assert len(ONE) == 3 and len(LONG) == 4
    assert read(header(*ONE)) is not None
    assert read(header(*jar)) is None


def test_cook_08_what_is_left_over_from_a_longer_session_is_expired_and_not_looked_at():
    had = header(*LONG)
    made = cookies(session(), had=had)
    assert [(cookie.name, cookie.max_age) for cookie in made] == [
        (NAME, 43_200),
        (f"{NAME}.1", 0),
        (f"{NAME}.2", 0),
        (f"{NAME}.3", 0),
    ]
    assert read(header(made[0], *LONG[1:])) == session()


@pytest.mark.parametrize("count", ["-1", "0", "5", "99999", "1000000000", "x", "", "1_", "\u0661", "01"])
def test_cook_09_a_count_that_is_none_opens_nothing(count):
    made = cookies(session())
    assert read(f"{NAME}={count}{made[0].value[1:]}") is None


@rows("cook_22")
@pytest.mark.parametrize(
    "value", [b"s" * 43, b"1.", b"1." + b"A" * 1_000_000, b"4." + b"A" * 20_000, b"1.%0d%0a", b"1.*"]
)
def test_cook_16_what_is_no_sealed_session_opens_nothing(value):
    assert read(f"{NAME}={value.decode()}") is None


def test_cook_16_other_values_of_ours_are_no_session():
    record = to_record(APP, session(), Device(), ENTROPY_BYTES * 2)
    plain = json.dumps([1, "alice"])
    assert read(f"{NAME}=1.{record.sealed.decode()}") is None and read(f"{NAME}=1.{record.index.decode()}") is None
    assert read(f"{NAME}={plain}") is None and read(f"{NAME}={session().id.value}") is None


def test_another_application_or_another_ring_opens_nothing():
    made = header(*cookies(session()))
    assert read(made, application(ring=KeyRing.of([b"another secret of another gateway"]))) is None
    assert read(made.replace("session-app", "session-two"), application(name="two")) is None


def test_cook_19_a_new_key_before_the_old_one_signs_nobody_out():
    rotated = KeyRing((*KeyRing.of([b"the new secret of this gateway ..."]).keys, *RING.keys))
    assert read(header(*cookies(session())), application(ring=rotated)) == session()


def test_cook_24_nothing_is_inflated_beyond_the_bound_nor_before_it_is_authenticated():
    bomb = zlib.compress(b"A" * (MAX_SEALED + 1))
    sealed = RING.seal(bytes(8) + bomb, _label(APP), ENTROPY_BYTES)
    assert len(sealed) < CHUNK and read(f"{NAME}=1.{sealed}") is None
    for broken in (
        b"",
        b"no zlib",
        zlib.compress(b"short")[:-3],
        zlib.compress(b"short") + b"more",
        zlib.compress(b"\xff" * 50),
    ):
        assert read(f"{NAME}=1.{RING.seal(bytes(8) + broken, _label(APP), ENTROPY_BYTES)}") is None


def test_cook_11_a_session_that_fits_into_no_cookies_is_a_visible_error_with_its_remedy():
    with pytest.raises(SessionTooLarge) as caught:
        cookies(session(16_000))
    assert (
        caught.value.reason == "session_too_large"
        and "store.kind" in caught.value.said.text
        and "bytes" in caught.value.detail
    )


@pytest.mark.parametrize("make", [cookies, lambda s: to_record(APP, s, Device(), ENTROPY_BYTES * 2)])
def test_a_session_beyond_every_bound_is_refused_in_each_kind_of_store(make):
    with pytest.raises(SessionTooLarge):
        make(session(subject="a" * (MAX_SEALED + 1)))


def test_writing_down_the_last_use_never_takes_more_room():
    kept = session(3000)
    for touched in (0, 255, NOW + 1, 2**40):
        assert [len(c.value) for c in cookies(replace(kept, touched=touched))] == [len(c.value) for c in cookies(kept)]


def test_the_cookies_last_as_long_as_the_session():
    assert {cookie.max_age for cookie in cookies(session(5000), now=NOW + 43_000)} == {200}
