"""Logins that one browser has under way at the same time: the marks by which one of them wins."""

import pytest
from harness.memory_peers import MemoryStore
from harness.tokens import NOW, application, cookie_header, pending, request, session

from extproc.core.errors import SignedOutMeanwhile
from extproc.relying_party.competing_logins import CompetingLogins
from extproc.sessions.stored import StoredSessions

APP = application()
OWN, OTHER, THIRD = (pending(APP, secret=letter * 32) for letter in (b"p", b"o", b"t"))
SESSION = session(created=NOW + 10)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def competing(store: MemoryStore, now: int) -> CompetingLogins:
    return CompetingLogins(StoredSessions(store), lambda: now)


def test_the_others_are_this_browser_s_without_the_login_itself(store) -> None:
    asked = request(cookie=cookie_header(APP, OWN, OTHER, THIRD))
    others = competing(store, NOW).others(APP, asked, OWN, NOW)
    assert {other.secret for other in others} == {OTHER.secret, THIRD.secret}
    alone = request(cookie=cookie_header(APP, OWN))
    assert competing(store, NOW).others(APP, alone, OWN, NOW) == []


@pytest.mark.parametrize(("after", "overtaken"), [(9, False), (10, True), (11, True)])
async def test_a_login_that_ended_since_the_callback_overtakes(store, after, overtaken) -> None:
    await competing(store, NOW + after).overtake([OWN])
    assert await competing(store, NOW + 20).is_overtaken(OWN, SESSION, NOW + 20) == overtaken
    assert not await competing(store, NOW + 20).is_overtaken(OTHER, SESSION, NOW + 20)


async def test_a_logout_after_the_login_that_overtook_ends_both(store) -> None:
    logins = competing(store, NOW + 10)
    await logins.overtake([OWN])
    await store.revoke_before(OWN.store_key, (NOW + 10) * 1000, OWN.forgotten)
    assert await logins.is_overtaken(OWN, SESSION, NOW + 20), "a logout before it concerns neither"
    await store.revoke_before(OWN.store_key, (NOW + 10) * 1000 + 1, OWN.forgotten)
    with pytest.raises(SignedOutMeanwhile):
        await logins.is_overtaken(OWN, SESSION, NOW + 20)
