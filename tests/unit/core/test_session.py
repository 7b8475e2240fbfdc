"""A session's id, its limits, and which of several session cookies counts."""

from dataclasses import replace

import pytest
from harness.refusals import raised
from harness.tokens import ISSUER, NOW, RING, application, client, request, session

from extproc.core.oidc.claims import Claims
from extproc.core.session import TOUCH_AFTER, Session, SessionId, only, session_ids
from extproc.core.session_index import sid_tags, sidless_marks, subject_tags, user_sid_marks
from extproc.core.step_up import Demand

APP = application()


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_session_id_is_made_of_32_bytes(size):
    assert raised(lambda: SessionId.of(b"s" * size)) == (
        ValueError,
        "a session id is 32 random bytes",
    )


def test_an_id_is_read_back_from_its_cookie_which_begins_with_the_handle():
    made = SessionId.of(b"s" * 32)
    assert SessionId.parse(made.cookie) == made
    other = SessionId.of(b"o" * 32)
    mark, _, value = made.cookie.partition(".")
    assert SessionId.parse(f"{other.cookie.partition('.')[0]}.{value}") is None
    assert SessionId.parse(f"{mark}.{other.value}") is None


@pytest.mark.attack("COOK-22")
@pytest.mark.parametrize(
    "cookie",
    ["x", "x" * 44, "a b", "../" + "x" * 40, "*" * 43, "x" * 1_000_000, "\r\n" + "x" * 41, ""],
)
def test_what_cannot_be_an_id_is_never_looked_up(cookie):
    assert SessionId.parse(cookie) is None


def test_of_several_session_cookies_the_first_three_are_read():
    made = [SessionId.of(bytes([number]) * 32) for number in range(5)]
    values = ["junk", *(one.cookie for one in made)]
    asked = request(cookie="; ".join(f"{APP.cookies.session}={value}" for value in values))
    assert session_ids(APP, asked) == tuple(made[:2])
    assert session_ids(APP, request()) == ()


def test_one_valid_session_counts_and_two_count_as_none():
    one, other = session(), session(id=SessionId.of(b"o" * 32))
    assert only([None, one, None]) == one
    assert only([one, other]) is None
    assert only([]) is None


@pytest.mark.parametrize(
    ("changes", "fresh"),
    [
        ({}, True),
        ({"expires": NOW + 1}, True),
        ({"expires": NOW}, False),
        ({"touched": NOW - 3599}, True),
        ({"touched": NOW - 3600}, False),
        ({"issuer": "https://other.example"}, False),
    ],
)
def test_a_session_is_fresh_within_its_lives_at_its_own_provider(changes, fresh):
    assert session(**changes).fresh(APP, NOW) is fresh


def test_a_session_is_sufficient_while_its_login_meets_the_demand():
    app = application(demand=Demand(("gold",), max_age=600), client=client(clock_skew=10))
    signed_in = session(acr="gold", auth_time=NOW)
    assert signed_in.sufficient(app, NOW + 610)
    assert not signed_in.sufficient(app, NOW + 611)
    assert not replace(signed_in, acr="silver").sufficient(app, NOW)


def test_the_later_state_is_that_of_the_later_generation_then_that_of_the_later_token():
    states = [session(generation=g, access_issued=at) for g, at in ((0, 9), (1, 3), (1, 5))]
    assert sorted(states, key=lambda state: state.recency) == states


def test_the_last_use_is_written_once_a_minute_or_when_the_key_is_old():
    used = session(touched=NOW)
    assert not used.stale_touch(NOW + TOUCH_AFTER - 1)
    assert used.stale_touch(NOW + TOUCH_AFTER)
    assert replace(used, outdated=True).stale_touch(NOW)


def test_an_assertion_ends_with_the_first_limit_of_its_session():
    app = application(demand=Demand(max_age=600))
    assert session().not_after(APP, NOW) == NOW + 3600
    assert session(touched=NOW + 5).not_after(APP, NOW) == NOW + 3605
    assert session(expires=NOW + 7).not_after(APP, NOW) == NOW + 7
    assert session(auth_time=NOW - 500).not_after(app, NOW) == NOW + 100


SESSION = Session(
    SessionId.of(b"s" * 32), ISSUER, "alice", Claims({"sub": "alice", "email": "old@example.com"}), "no.token", "at", "rt",
    NOW + 300, NOW, NOW + 43_200, NOW,
)  # fmt: skip


def test_a_session_is_revoked_by_itself_its_user_and_its_session_at_the_provider():
    plain, with_sid = SESSION.keys(RING), replace(SESSION, sid="sid").keys(RING)
    by_user = subject_tags(RING, ISSUER, "alice")
    assert plain[0] == with_sid[0] == SESSION.id.key
    assert set(by_user) <= {*plain} & {*with_sid}
    assert {*plain} - {*with_sid} == {*sidless_marks(RING, ISSUER, "alice")}
    assert {*with_sid} - {*plain} == {
        *sid_tags(RING, ISSUER, "sid"),
        *user_sid_marks(RING, ISSUER, "alice", "sid"),
    }
    other = replace(SESSION, sid="other").keys(RING)
    assert {*other} & {*with_sid} == {SESSION.id.key, *by_user}


def test_a_shorter_lifetime_counts_for_sessions_that_exist():
    shorter, longer = application(session_lifetime=60), application(session_lifetime=86_400)
    one = replace(SESSION, created=NOW, touched=NOW, expires=NOW + 600)
    for now, fresh in ((NOW + 59, True), (NOW + 60, False)):
        assert one.fresh(shorter, now) == fresh
    assert one.fresh(longer, NOW + 599) and not one.fresh(longer, NOW + 600)
    assert one.not_after(shorter, NOW) == NOW + 60 and one.lasts(shorter, NOW + 10) == 50


def test_a_session_of_an_older_release_began_at_the_start_of_its_second():
    assert replace(SESSION, created=7, created_ms=0).begun == 7000
    assert replace(SESSION, created=7, created_ms=7321).begun == 7321
