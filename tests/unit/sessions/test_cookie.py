"""Sessions in cookies: what the browser gets, and what ends them although it holds everything."""

import pytest
from harness.memory_peers import MemoryStore
from harness.tokens import NOW, application, request, session

from extproc.core.device import Device
from extproc.core.errors import SessionTooLarge, SignedOutMeanwhile
from extproc.core.sealing import KeyRing
from extproc.core.session import Session
from extproc.sessions.cookie import CookieSessions
from extproc.sessions.memory import MemoryRevocations
from extproc.sessions.store import WouldBlock

APP = application()
SESSION = session()
FULL = 100_000  # characters that no set of cookies holds


def jar(*sets) -> str:
    """The Cookie header of a browser that took these sets of cookies, one after the other."""
    held = {cookie.name: cookie.value for cookies in sets for cookie in cookies}
    return "; ".join(f"{name}={value}" for name, value in held.items() if value)


async def begin(sessions: CookieSessions, one: Session = SESSION, app=APP, replaces=None) -> str:
    return jar(await sessions.create(app, request(), one, Device(), replaces))


@pytest.fixture
def sessions():
    return CookieSessions(MemoryRevocations())


async def test_the_cookies_alone_are_the_session(sessions):
    cookie = await begin(sessions)
    assert "alice" not in cookie
    elsewhere = CookieSessions(MemoryRevocations())
    assert await elsewhere.find(APP, request(cookie=cookie), NOW) == SESSION
    assert elsewhere.find_nowait(APP, request(cookie=cookie), NOW) == SESSION
    assert await elsewhere.find(APP, request(), NOW) is None


async def test_a_session_that_ended_is_shown_until_it_expires_and_found_no_more(sessions):
    cookie = await begin(sessions)
    await sessions.end(SESSION, NOW + 10)
    asked = request(cookie=cookie)
    assert await sessions.find(APP, asked, NOW + 10) is None
    assert sessions.find_nowait(APP, asked, NOW + 10) is None
    assert sessions.shown(APP, asked, SESSION.expires - 1)
    assert not sessions.shown(APP, asked, SESSION.expires)
    assert not sessions.shown(APP, request(), NOW)


async def test_revocations_in_a_remote_store_are_not_looked_up_on_the_event_loop():
    store = MemoryStore()
    sessions = CookieSessions(store)
    cookie = await begin(sessions)
    store.remote = True
    with pytest.raises(WouldBlock):
        sessions.find_nowait(APP, request(cookie=cookie), NOW)
    assert sessions.find_nowait(APP, request(), NOW) is None


async def test_a_login_that_was_ended_meanwhile_ends_nothing_else(sessions):
    earlier = session(id=SESSION.id.of(b"e" * 32), subject="bob")
    await begin(sessions, earlier)
    await sessions.end(SESSION, NOW)
    with pytest.raises(SignedOutMeanwhile):
        await begin(sessions, replaces=earlier)
    assert await sessions.load_again(APP, earlier, NOW) == earlier


async def test_a_session_that_no_cookies_hold_is_refused_at_login_and_at_refresh(sessions):
    large = session(FULL)
    with pytest.raises(SessionTooLarge):
        await begin(sessions, large)
    with pytest.raises(SessionTooLarge):
        await sessions.replace(APP, request(), large, b"me", NOW)
    assert not await sessions.superseded(SESSION, NOW), "the one before is as it was"


async def test_an_older_generation_is_superseded_and_leads_to_the_newer_one(sessions):
    renewed = session(access_token="renewed", generation=1)
    assert not await sessions.superseded(SESSION, NOW)
    assert await sessions.replace(APP, request(), renewed, b"me", NOW)
    assert await sessions.superseded(SESSION, NOW)
    assert not await sessions.superseded(renewed, NOW)
    assert await sessions.load_again(APP, SESSION, NOW) == renewed


async def test_what_ended_during_a_refresh_is_not_kept(sessions):
    await sessions.end(SESSION, NOW)
    renewed = session(access_token="renewed", generation=1)
    assert not await sessions.replace(APP, request(), renewed, b"me", NOW)
    assert await sessions.load_again(APP, SESSION, NOW) is None


async def test_a_session_of_an_older_key_gets_all_its_cookies_again_and_others_one(sessions):
    before, between = (
        application(ring=KeyRing.of(keys)) for keys in ([b"a" * 40], [b"b" * 40, b"a" * 40])
    )
    first = await sessions.create(before, request(), SESSION, Device(), None)
    cookie = jar(first)
    found = await sessions.find(between, request(cookie=cookie), NOW)
    assert found is not None and found.outdated
    cookies = sessions.touch_cookies(between, request(cookie=cookie), found, NOW + 60)
    again = await sessions.find(between, request(cookie=jar(first, cookies)), NOW + 60)
    assert again is not None and not again.outdated and again.touched == NOW + 60
    # The last use alone is one cookie.
    assert len(sessions.touch_cookies(APP, request(), SESSION, NOW + 60)) == 1


async def test_nothing_is_listed_counted_or_ended_one_by_one(sessions):
    tags = [b"t" * 32]
    assert await sessions.tagged(tags, NOW) is None and await sessions.count(NOW) is None
    assert await sessions.end_stored(tags, NOW) is None
    assert await sessions.end_tagged(tags, NOW, NOW + 60) is None
    assert await sessions.revoked_at(tags, NOW) == NOW * 1000


def test_what_ends_is_known_to_other_processes_only_through_a_store(sessions):
    assert not sessions.shared and CookieSessions(MemoryStore()).shared


async def test_the_end_of_the_last_session_is_written_for_few_logins_and_for_each_that_is_longer():
    store = MemoryStore()
    sessions = CookieSessions(store)
    written = []
    store.met = lambda operation, when: written.append(when) if operation == "bury" else None
    for lasts, writes in ((100, 1), (160, 1), (161, 2), (50, 2), (221, 2), (222, 3)):
        await begin(sessions, session(expires=NOW + lasts))
        assert written.count("before") == writes, lasts
