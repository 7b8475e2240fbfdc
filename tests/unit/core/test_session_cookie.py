"""A whole session in cookies: what is cut in pieces comes back whole, or not at all; what comes
late replaces nothing.
"""

import json
import zlib
from dataclasses import replace

import pytest
from harness.tokens import ENTROPY_BYTES, NOW, RING, application, request, session

from extproc.core.cookies import Cookie
from extproc.core.device import Device
from extproc.core.errors import SessionTooLarge
from extproc.core.logout import expired
from extproc.core.sealing import KeyRing
from extproc.core.session import Session, SessionId, session_label
from extproc.core.session_cookie import (
    CHUNK,
    MAX_GENERATIONS,
    data_cookies,
    read_session,
    session_cookies,
    used_cookie,
)
from extproc.core.session_record import MAX_SEALED, to_record

APP = application()
SESSION = "__Host-extproc-session-app"
DATA = f"__Host-extproc-data-app.{session().id.handle}."


def cookies(
    session: Session, *, app=APP, had: str = "", now: int = NOW, entropy=ENTROPY_BYTES
) -> tuple[Cookie, ...]:
    return session_cookies(app, request(cookie=had), session, now, entropy)


def header(*sets: Cookie) -> str:
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in sets)


def read(cookie: str, app=APP) -> Session | None:
    return read_session(app, request(cookie=cookie))


def value_of(data: str) -> str:
    """The cookies of a session whose one data cookie has this value."""
    return f"{SESSION}={session().id.cookie}; {DATA}0.0={data}"


# how many characters of noise, and how many cookies they take; what goes between is in
# tests/properties
@pytest.mark.parametrize(("noise", "count"), [(0, 1), (3000, 1), (4000, 2), (8000, 3), (13_000, 4)])
def test_what_is_kept_comes_back_whole_in_as_few_cookies_as_it_takes(noise, count):
    kept = session(noise, touched=NOW + 7, subject="\u00e4\ud800", sid="s", generation=3)
    made = cookies(kept)
    assert read(header(*made)) == kept == read(header(*reversed(made)))
    assert all(cookie.max_age == 43_200 and cookie.secure for cookie in made)
    assert [cookie.name for cookie in made] == [
        SESSION,
        *(f"{DATA}3.{piece}" for piece in range(count)),
    ]
    assert made[0].value == kept.id.cookie
    assert all(
        len(cookie.value) == CHUNK - (number > 0) * 2 for number, cookie in enumerate(made[1:-1])
    )


@pytest.mark.attack("COOK-03")
@pytest.mark.parametrize("which", [0, 1, 2, 3])
@pytest.mark.parametrize("at", [0, 1, 2, 3, 19, 20, 21, 40, 2000, -2, -1])
def test_and_06_any_change_opens_nothing(which, at):
    value = ONE[which].value
    at %= len(value)
    for other in {"A", "b", "2", ".", " ", "\xff"} - {value[at]}:
        changed = replace(ONE[which], value=value[:at] + other + value[at + 1 :])
        assert read(header(*ONE[:which], changed, *ONE[which + 1 :])) is None


ONE, TWO = cookies(session(9000)), cookies(session(9000, subject="mallory"), entropy=bytes(44))
LONG = cookies(session(13_000), entropy=b"l" * 44)


@pytest.mark.attack("COOK-08", "COOK-12")
@pytest.mark.parametrize(
    "jar",
    [
        (ONE[0],),
        ONE[1:],
        (ONE[0], ONE[2], ONE[3]),
        (ONE[0], ONE[1], TWO[2], ONE[3]),
        (ONE[0], TWO[1], ONE[2], ONE[3]),
        (ONE[0], ONE[1], replace(ONE[2], value=ONE[3].value), replace(ONE[3], value=ONE[2].value)),
        (*ONE, TWO[2]),
        (*ONE, TWO[1]),
        (ONE[0], ONE[1], replace(ONE[2], value=""), ONE[3]),
        (ONE[0], replace(ONE[1], value="2" + ONE[1].value[1:]), *ONE[2:]),
        (ONE[0], replace(ONE[1], value="4" + ONE[1].value[1:]), *ONE[2:], LONG[4]),
        (ONE[0], *(replace(piece, name=piece.name.replace(".0.", ".1.")) for piece in ONE[1:3]), ONE[3]),
    ],
    ids=["the data missing", "the session missing", "the first missing", "a piece of another", "another's first", "swapped",
         "a piece twice", "the first twice", "an empty piece", "one piece too few", "one piece too many", "two generations"],
)  # fmt: skip
def test_pieces_that_do_not_belong_together_open_nothing(jar):
    assert len(ONE) == 4 and len(LONG) == 5
    assert read(header(*ONE)) is not None
    assert read(header(*jar)) is None


@pytest.mark.attack("COOK-08")
def test_what_is_left_over_from_a_longer_session_is_expired_and_not_looked_at():
    had = header(*LONG)
    made = cookies(session(generation=1), had=had)
    assert [(cookie.name, cookie.max_age) for cookie in made] == [
        (SESSION, 43_200),
        (f"{DATA}1.0", 43_200),
        *((f"{DATA}0.{piece}", 0) for piece in range(4)),
    ]
    assert read(header(*made[:2], *LONG[1:])) == session(generation=1)


# -- findings 30 and 31: what an answer sets late


def test_a_generation_that_comes_late_lies_beside_the_newest_and_counts_for_nothing():
    old, new = (
        data_cookies(
            APP, request(), session(generation=n, access_token=f"at{n}"), NOW, ENTROPY_BYTES
        )
        for n in (9, 10)
    )
    first = cookies(session())[0]
    for jar in ((first, *new, *old), (first, *old, *new)):
        assert read(header(*jar)).generation == 10
    assert not {cookie.name for cookie in old} & {cookie.name for cookie in new}
    torn = replace(new[0], value="2" + new[0].value[1:])
    assert read(header(first, torn, *old)).generation == 9, (
        "a generation that is not whole is as if it were not there"
    )


def test_another_session_s_data_that_comes_late_touches_nobody():
    bob = session(subject="bob", id=SessionId.of(b"b" * 32))
    signed_in, late = (
        cookies(bob),
        data_cookies(APP, request(), session(generation=1), NOW, ENTROPY_BYTES),
    )
    used = used_cookie(APP, session(touched=NOW), NOW + 5000, ENTROPY_BYTES)
    jar = header(*signed_in, *late, used)
    assert read(jar) == bob
    assert read(header(*late, used)) is None, (
        "without the session's own cookie its data is nobody's"
    )
    assert read(header(signed_in[0], *late, used)) is None
    # and goes with the next answer that sets any
    asked = request(cookie=jar)
    gone = [
        cookie.name
        for cookie in data_cookies(APP, asked, bob, NOW, ENTROPY_BYTES)
        if cookie.max_age == 0
    ]
    assert gone == [cookie.name for cookie in (*late, used)]
    assert {cookie.name for cookie in expired(APP, asked)} == {
        c.name for c in (*signed_in, *late, used)
    }


def test_the_last_use_stands_beside_the_session_and_is_never_earlier_than_it():
    one = session(touched=NOW)
    made = cookies(one)
    for at, touched in ((NOW + 90, NOW + 90), (NOW - 90, NOW)):
        used = used_cookie(APP, one, at, b"u" * 44)
        assert read(header(*made, used)) == replace(one, touched=touched)
        assert (used.name, used.secure) == (f"__Host-extproc-used-app.{one.id.handle}", True)
        for value in ("", "A" * 100, made[1].value, used.value[:-1]):
            assert read(header(*made, replace(used, value=value))) == one


def test_of_many_generations_the_newest_few_are_looked_at():
    first = cookies(session())[0]
    kept = data_cookies(APP, request(), session(), NOW, ENTROPY_BYTES)
    junk = [Cookie(f"{DATA}{n}.0", "1.AAAA", True) for n in range(1, 100)]
    assert read(header(first, *kept, *junk[: MAX_GENERATIONS - 1])) == session()
    assert read(header(first, *kept, *junk)) is None


@pytest.mark.parametrize(
    "name", ["0.4", "0.-1", "-1.0", "1e9.0", "0000000000.0", "0", "0.0.0", "\u0660.0", "x.0"]
)
def test_a_name_that_is_no_piece_of_ours_is_not_looked_at(name):
    made = cookies(session())
    assert read(header(made[0], replace(made[1], name=DATA + name))) is None


def test_what_came_with_several_values_is_not_expired_and_the_one_that_is_good_counts():
    """Finding 1: on http a neighbouring host can plant a cookie of any name; the browser's own must
    not go for it.
    """
    one = cookies(session())
    evil = [replace(one[0], value=SessionId.of(b"m" * 32).cookie), replace(one[1], value="1.AAAA")]
    asked = request(cookie=header(evil[0], *one))
    assert read_session(APP, asked) == session()
    assert [cookie.name for cookie in expired(APP, asked)] == [one[1].name]
    assert expired(APP, request(cookie=header(*one, *evil))) == ()


# -- what is no session


@pytest.mark.attack("COOK-09")
@pytest.mark.parametrize(
    "count", ["-1", "0", "5", "99999", "1000000000", "x", "", "1_", "\u0661", "01"]
)
def test_a_count_that_is_none_opens_nothing(count):
    made = cookies(session())
    assert read(value_of(f"{count}{made[1].value[1:]}")) is None


@pytest.mark.attack("COOK-16", "COOK-22")
@pytest.mark.parametrize(
    "value",
    [b"s" * 43, b"1.", b"1." + b"A" * 1_000_000, b"4." + b"A" * 20_000, b"1.%0d%0a", b"1.*"],
)
def test_what_is_no_sealed_session_opens_nothing(value):
    assert read(value_of(value.decode())) is None and read(f"{SESSION}={value.decode()}") is None


@pytest.mark.attack("COOK-16")
def test_other_values_of_ours_are_no_session():
    record = to_record(APP, session(), Device(), ENTROPY_BYTES * 2)
    used = used_cookie(APP, session(), NOW, ENTROPY_BYTES)
    for other in (
        record.sealed.decode(),
        record.index.decode(),
        used.value,
        json.dumps([1, "alice"]),
        session().id.value,
    ):
        assert read(value_of(f"1.{other}")) is None
    assert read(f"{SESSION}={session().id.value}") is None


def test_another_application_or_another_ring_opens_nothing():
    made = header(*cookies(session()))
    assert read(made, application(ring=KeyRing.of([b"another secret of another gateway"]))) is None
    assert read(made.replace("-app", "-two"), application(name="two")) is None


@pytest.mark.attack("COOK-19")
def test_a_new_key_before_the_old_one_signs_nobody_out():
    rotated = KeyRing((*KeyRing.of([b"the new secret of this gateway ..."]).keys, *RING.keys))
    assert read(header(*cookies(session())), application(ring=rotated)) == session()


@pytest.mark.attack("COOK-24")
@pytest.mark.threat("bounds")
def test_nothing_is_inflated_beyond_the_bound_nor_before_it_is_authenticated():
    label = session_label(APP, session().id, "session data")
    sealed = RING.seal(bytes(8) + zlib.compress(b"A" * (MAX_SEALED + 1)), label, ENTROPY_BYTES)
    assert len(sealed) < CHUNK and read(value_of(f"1.{sealed}")) is None
    for broken in (
        b"",
        b"no zlib",
        zlib.compress(b"short")[:-3],
        zlib.compress(b"short") + b"more",
        zlib.compress(b"\xff" * 50),
    ):
        assert read(value_of(f"1.{RING.seal(bytes(8) + broken, label, ENTROPY_BYTES)}")) is None


@pytest.mark.attack("COOK-11")
def test_a_session_that_fits_into_no_cookies_is_a_visible_error_with_its_remedy():
    with pytest.raises(SessionTooLarge) as caught:
        cookies(session(16_000))
    assert (
        caught.value.reason == "session_too_large"
        and "sqlite or redis" in caught.value.row.remedy
        and "bytes" in caught.value.detail
    )


@pytest.mark.parametrize(
    "make", [cookies, lambda s: to_record(APP, s, Device(), ENTROPY_BYTES * 2)]
)
def test_a_session_beyond_every_bound_is_refused_in_each_kind_of_store(make):
    with pytest.raises(SessionTooLarge):
        make(session(subject="a" * (MAX_SEALED + 1)))


def test_sealing_a_session_again_never_takes_more_room():
    kept = session(3000)
    for touched in (0, 255, NOW + 1, 2**40):
        assert [len(c.value) for c in cookies(replace(kept, touched=touched))] == [
            len(c.value) for c in cookies(kept)
        ]


def test_the_cookies_last_as_long_as_the_session():
    assert {cookie.max_age for cookie in cookies(session(5000), now=NOW + 43_000)} == {200}
    assert used_cookie(APP, session(), NOW + 43_000, ENTROPY_BYTES).max_age == 200
