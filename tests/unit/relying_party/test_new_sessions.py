"""The session of a login is kept, beside other logins of its browser and sessions of its user."""

from dataclasses import replace

import pytest
import trio
from harness.memory_peers import MemoryStore
from harness.tokens import (
    ISSUER,
    NOW,
    application,
    cookie_header,
    pending,
    request,
    session,
)

from extproc.core.decisions import RedeemCode
from extproc.core.device import Device
from extproc.core.errors import StoreUnavailable
from extproc.core.oidc.authorization import AuthorizationResponse
from extproc.core.session import Session, SessionId
from extproc.relying_party.competing_logins import PATIENCE, CompetingLogins
from extproc.relying_party.new_sessions import Kept, NewSessions
from extproc.sessions.stored import StoredSessions

APP = application()
OWN, OTHER = (pending(APP, secret=letter * 32) for letter in (b"p", b"o"))
STEP = RedeemCode(AuthorizationResponse(OWN.state, "code", None, ISSUER), OWN, None)
SESSION = session(created=NOW, attempt=OWN.store_key)
ASKED = request(cookie=cookie_header(APP, OWN, OTHER))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def new_sessions(store: MemoryStore, now: int = NOW) -> NewSessions:
    return NewSessions(StoredSessions(store), lambda: now, trusted_hops=0)


async def test_a_session_is_kept_and_its_cookies_open_it(store) -> None:
    kept = await new_sessions(store).keep(APP, ASKED, SESSION, STEP)
    asked = request(cookie="; ".join(f"{one.name}={one.value}" for one in kept.cookies))
    found = await StoredSessions(store).find(APP, asked, NOW)
    assert found is not None and found.subject == SESSION.subject


async def test_a_login_after_which_another_one_ended_keeps_none(store) -> None:
    await CompetingLogins(StoredSessions(store), lambda: NOW).overtake([OWN])
    assert await new_sessions(store, NOW + 1).keep(APP, ASKED, SESSION, STEP) is None
    assert not store.records


async def test_the_others_of_the_browser_keep_none_afterwards(store) -> None:
    await new_sessions(store).keep(APP, ASKED, SESSION, STEP)
    late = CompetingLogins(StoredSessions(store), lambda: NOW)
    assert await late.is_overtaken(OTHER, replace(SESSION, attempt=OTHER.store_key), NOW)


async def test_a_login_beyond_the_limit_ends_the_oldest_session_of_the_user(store) -> None:
    one = replace(APP, sessions_per_user=1)
    parts = new_sessions(store, NOW + 1)
    newer = replace(SESSION, id=SessionId.of(b"n" * 32), created=NOW + 1)
    for kept in (SESSION, newer):
        await parts.keep(one, request(), kept, STEP)
    await parts.end_others(one, request(), newer, STEP)
    assert set(store.records) == {newer.id.key}


async def test_others_that_cannot_be_overtaken_are_logged_and_the_login_stands(caplog) -> None:
    class Away(StoredSessions):
        async def revoke(self, *_: object) -> None:
            raise StoreUnavailable("away")

    parts = NewSessions(Away(MemoryStore()), lambda: NOW, trusted_hops=0)
    await parts.end_others(APP, ASKED, SESSION, STEP)
    assert "others_not_overtaken" in [record.getMessage() for record in caplog.records]


class Tabs:
    """Logins of one browser, each with its session as the provider's response makes it."""

    def __init__(self, store: MemoryStore, count: int, now: int = NOW) -> None:
        self.now = now
        secrets = [bytes([65 + n]) * 32 for n in range(count)]
        self.logins = [pending(APP, secret=secret, created=now - 5) for secret in secrets]
        self.parts = NewSessions(StoredSessions(store), lambda: self.now, trusted_hops=0)

    def session(self, number: int, **changes: object) -> Session:
        login = self.logins[number]
        known = session(created=self.now, attempt=login.store_key)
        return replace(known, id=SessionId.of(login.session_entropy), **changes)

    async def ends(self, number: int, known: int | None = None, **changes: object) -> Kept | None:
        """One login ends. known: how many logins had begun when its callback was sent."""
        login = self.logins[number]
        asked = request(cookie=cookie_header(APP, *self.logins[:known]))
        step = replace(STEP, pending=login)
        return await self.parts.keep(APP, asked, self.session(number, **changes), step)


@pytest.mark.attack("FLOW-11")
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_callbacks_that_cross_each_other_s_answers_leave_one_session(store, order) -> None:
    tabs = Tabs(store, 2)
    first = await tabs.ends(order[0])
    tabs.now += 1
    second = await tabs.ends(order[1])
    assert (first.new, second.new) == (True, False)
    assert first.session.id == second.session.id and len(store.records) == 1
    cookies = {cookie.name: cookie.value for cookie in first.cookies}
    assert {cookie.name: cookie.value for cookie in second.cookies} == cookies


@pytest.mark.attack("FLOW-11")
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_of_two_users_in_one_browser_the_later_callback_leaves_its_session(
    store, order
) -> None:
    """The late answer of the earlier one must sign in no user."""
    tabs = Tabs(store, 2)
    await tabs.ends(order[0])
    tabs.now += 1
    kept = await tabs.ends(order[1], subject="bob")
    assert kept.new and set(store.records) == {kept.session.id.key}
    asked_before = await tabs.ends(order[0], created=NOW, subject="alice")
    assert asked_before is None and set(store.records) == {kept.session.id.key}


@pytest.mark.attack("FLOW-11")
async def test_many_logins_that_end_at_the_same_moment_leave_one_session(store) -> None:
    tabs = Tabs(store, 20)
    kept: list[Kept | None] = []

    async def ends(number: int) -> None:
        kept.append(await tabs.ends(number))

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(ends, number)
    (key,) = store.records
    assert {one.session.id.key for one in kept if one is not None} == {key}
    assert sum(one is not None and one.new for one in kept) == 1 and not store.locks


@pytest.mark.attack("FLOW-11")
async def test_a_login_that_knew_of_no_other_may_be_written_between_two_looks_of_another(
    store,
) -> None:
    tabs = Tabs(store, 2)
    first: list[Kept | None] = []
    store.met = lambda operation, when: None
    original = store.put

    async def put(record, replaces=None) -> None:
        await original(record, replaces)
        if not first:
            # The other one's callback was sent before this login began.
            first.append(None)
            first[0] = await tabs.ends(0, known=1)

    store.put = put
    second = await tabs.ends(1)
    (key,) = store.records
    answers = [one for one in (*first, second) if one is not None]
    assert answers and {one.session.id.key for one in answers} == {key}


async def test_a_session_that_began_after_the_login_stays_with_its_browser(store) -> None:
    tabs = Tabs(store, 2)
    held = (await tabs.ends(0)).session
    tabs.now += 1
    login = tabs.logins[1]
    step = replace(STEP, pending=login, signed_in=held)
    asked = request(cookie=cookie_header(APP, login))
    again = await tabs.parts.keep(APP, asked, tabs.session(1), step)
    assert (again.session, again.new) == (held, False)
    assert set(store.records) == {held.id.key}
    ended = replace(step, signed_in=replace(held, id=SessionId.of(b"e" * 32)))
    kept = await tabs.parts.keep(APP, asked, tabs.session(1), ended)
    assert kept is not None and kept.new, "that session has ended, so the browser needs another"


@pytest.mark.attack("FLOW-24")
async def test_a_login_that_began_after_the_browser_s_session_takes_its_place(store) -> None:
    tabs = Tabs(store, 1)
    earlier = session(created=NOW - 6)
    await StoredSessions(store).create(APP, request(), earlier, Device(), None)
    step = replace(STEP, pending=tabs.logins[0], signed_in=earlier)
    kept = await tabs.parts.keep(APP, request(), tabs.session(0), step)
    assert kept.new and set(store.records) == {kept.session.id.key}


async def test_a_store_that_fails_after_the_session_is_kept_is_logged(store, caplog) -> None:
    tabs = Tabs(store, 2)

    def fails(operation: str, when: str) -> None:
        if operation == "get" and store.records:
            raise StoreUnavailable("away")

    store.met = fails
    kept = await tabs.ends(1)
    assert kept.new and set(store.records) == {kept.session.id.key}
    assert "others_not_overtaken" in [record.getMessage() for record in caplog.records]


async def test_a_login_goes_on_without_its_turn_when_it_does_not_come(
    store, autojump_clock
) -> None:
    tabs = Tabs(store, 2)
    store.lock = never
    kept = await tabs.ends(1)
    assert kept.new and trio.current_time() >= PATIENCE


async def never(*_: object) -> bool:
    return False
