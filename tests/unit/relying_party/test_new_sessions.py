"""The session of a login is kept, beside other logins of its browser and sessions of its user."""

from dataclasses import replace

import pytest
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
from extproc.core.errors import StoreUnavailable
from extproc.core.oidc.authorization import AuthorizationResponse
from extproc.core.session import SessionId
from extproc.relying_party.competing_logins import CompetingLogins
from extproc.relying_party.new_sessions import NewSessions
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
    cookies = await new_sessions(store).keep(APP, ASKED, SESSION, STEP)
    asked = request(cookie="; ".join(f"{one.name}={one.value}" for one in cookies))
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
