"""A login that ends, and the sessions that other logins of its browser have made meanwhile."""

from dataclasses import replace

import pytest
from harness.tokens import NOW, application, pending, session

from extproc.core.session import SessionId
from extproc.core.sibling_sessions import ON_ITS_WAY, Siblings, compared
from extproc.core.step_up import Demand

APP = application()
LOGIN = replace(pending(APP), created=NOW - 10, secret=bytes(32))
OWN = session(id=SessionId.of(b"o" * 32), created=NOW, created_ms=NOW * 1000)


def of_sibling(letter: bytes = b"s", ago_ms: int = 0, **changes):
    at = NOW * 1000 - ago_ms
    known = session(id=SessionId.of(letter * 32), created=at // 1000, created_ms=at)
    return replace(known, **changes)


def judged(*siblings, held=None, app=APP, login=LOGIN) -> Siblings:
    return compared(app, login, OWN, siblings, held, NOW)


def test_a_login_that_finds_no_session_makes_its_own():
    assert judged() == judged(OWN) == Siblings()


def test_the_session_of_a_sibling_stands_in_place_of_another_one():
    found = of_sibling()
    assert judged(found) == Siblings(standing=found)


def test_of_several_the_latest_stands():
    early, late = of_sibling(b"1", ago_ms=2), of_sibling(b"2", ago_ms=1)
    assert judged(late, early).standing == judged(early, late).standing == late


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://other.example"},
        {"subject": "bob"},
        {"sid": "another session at the provider"},
        {"expires": NOW},
        {"touched": NOW - APP.session_idle},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_session_of_another_sign_in_or_one_that_is_over_ends_with_the_later_callback(changes):
    earlier, later = of_sibling(ago_ms=1, **changes), of_sibling(ago_ms=-1, **changes)
    assert judged(earlier) == Siblings(ended=(earlier,))
    assert judged(later) == judged(earlier, later) == Siblings(overtaken=True)


def test_a_session_that_does_not_meet_the_demand_does_not_stand():
    demanding = application(demand=Demand(acr_values=("mfa",)))
    found = of_sibling(ago_ms=1)
    assert judged(found, app=demanding) == Siblings(ended=(found,))
    strong = replace(found, acr="mfa")
    assert judged(strong, app=demanding).standing == strong


@pytest.mark.parametrize(
    ("login", "strong"),
    [
        (replace(LOGIN, acr_values=("mfa",)), {"acr": "mfa"}),
        (replace(LOGIN, max_age=60), {"auth_time": NOW - 10}),
    ],
    ids=["acr_values", "max_age"],
)
def test_a_session_that_does_not_meet_what_a_rule_demands_of_this_login_does_not_stand(
    login, strong
):
    found = of_sibling(ago_ms=1, auth_time=NOW - 1000)
    assert judged(found, login=login) == Siblings(ended=(found,))
    assert judged(held=found, login=login) == Siblings()
    good = replace(found, **strong)
    assert judged(good, login=login).standing == judged(held=good, login=login).standing == good


def test_a_session_of_long_before_the_login_never_reached_the_browser_and_ends():
    before = 10_000 + ON_ITS_WAY
    recent, old = of_sibling(ago_ms=before - 2), of_sibling(ago_ms=before - 1)
    assert judged(recent).standing == recent and judged(old).ended == (old,)


def test_what_the_browser_has_stands_if_it_came_after_the_login_s_beginning():
    """A login that began later is one that the user asked for, and gets a session of its own."""
    same, earlier = of_sibling(ago_ms=9_998), of_sibling(ago_ms=9_999)
    assert judged(held=same).standing == same
    assert judged(held=earlier) == Siblings()
    assert judged(held=replace(same, subject="bob")) == Siblings()
