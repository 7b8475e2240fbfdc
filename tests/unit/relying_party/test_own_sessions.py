"""The page of a user's own sessions against a store: what it shows, what it ends, and what it says
when nobody can know.
"""

from dataclasses import replace

import pytest
from harness.tokens import ISSUER, NOW, RING, application, request

from extproc.core.decisions import EndListedSessions, ListSessions
from extproc.core.device import Device
from extproc.core.errors import SignedOutMeanwhile, StoreUnavailable
from extproc.core.oidc.claims import Claims
from extproc.core.session import Session, SessionId, handle_of
from extproc.core.session_index import subject_tags
from extproc.core.sessions_page import EVERYWHERE, OTHERS
from extproc.relying_party.own_sessions import OwnSessions
from extproc.sessions.cookie import CookieSessions
from extproc.sessions.memory import MemoryRevocations
from extproc.sessions.sqlite.store import SQLiteStore
from extproc.sessions.stored import StoredSessions

APPS = {name: application(name=name) for name in ("app", "wiki")}
MINE = Session(
    SessionId.of(b"m" * 32), ISSUER, "alice", Claims({"sub": "alice"}), "idt", "at", "rt", NOW + 300, NOW, NOW + 43_200, NOW,
    sid="mine",
)  # fmt: skip
SESSIONS = {
    "mine": ("app", MINE),
    "mine at the wiki": ("wiki", replace(MINE, id=SessionId.of(b"1" * 32))),
    "phone": ("app", replace(MINE, id=SessionId.of(b"2" * 32), sid="phone")),
    "phone at the wiki": ("wiki", replace(MINE, id=SessionId.of(b"3" * 32), sid="phone")),
    "tablet": ("app", replace(MINE, id=SessionId.of(b"4" * 32), sid=None)),
    "bob": ("app", replace(MINE, id=SessionId.of(b"5" * 32), sid="bob's", subject="bob")),
}


class House:
    def __init__(self, path):
        self.sessions = StoredSessions(SQLiteStore(path / "sessions.sqlite3"))
        self.service = OwnSessions(self.sessions, lambda: NOW, 0)

    async def __aenter__(self):
        for name, session in SESSIONS.values():
            await self.sessions.create(
                APPS[name], request(), session, Device("Firefox on Linux", "192.0.2.7"), None
            )
        return self

    async def __aexit__(self, *_):
        await self.sessions.aclose()

    async def end(self, which):
        return await self.service.perform(
            APPS["app"], request(), EndListedSessions(MINE, which, ())
        )

    async def left(self):
        found = [
            (name, await self.sessions.store.get(session.id.key, NOW))
            for name, (_, session) in SESSIONS.items()
        ]
        return {name for name, record in found if record is not None}


async def test_a_user_sees_their_own_sessions_and_nobody_else_s(tmp_path):
    async with House(tmp_path) as house:
        answer = await house.service.perform(APPS["app"], request(), ListSessions(MINE))
        assert (answer.status, answer.reason, answer.cookies) == (200, "own_sessions", ())
        assert [dict(card.facts)["Applications"] for card in answer.page.cards] in (
            ["app, wiki", "app, wiki", "app"], ["app, wiki", "app", "app, wiki"],
        )  # fmt: skip
        assert [card.badge for card in answer.page.cards] == ["This one", "", ""]


@pytest.mark.parametrize(
    ("which", "ends"),
    [
        (handle_of(SESSIONS["tablet"][1].id.key), {"tablet"}),
        (OTHERS, {"phone", "phone at the wiki", "tablet"}),
        (EVERYWHERE, {"mine", "mine at the wiki", "phone", "phone at the wiki", "tablet"}),
        # somebody else's, their own, and none at all
        (handle_of(SESSIONS["bob"][1].id.key), set()),
        (handle_of(MINE.id.key), set()),
        ("", set()),
    ],
)
async def test_a_user_ends_what_was_chosen_and_nothing_of_anybody_else_s(tmp_path, which, ends):
    async with House(tmp_path) as house:
        answer = await house.end(which)
        assert await house.left() == set(SESSIONS) - ends
        there = "signed-out" if which == EVERYWHERE else "sessions"
        assert (answer.status, answer.location) == (303, f"https://app.example/oauth2/{there}")


async def test_a_sign_in_ends_at_all_applications_at_once(tmp_path):
    async with House(tmp_path) as house:
        for name in ("phone", "phone at the wiki"):
            await house.end(handle_of(SESSIONS[name][1].id.key))
        assert await house.left() == set(SESSIONS) - {"phone", "phone at the wiki"}


async def test_a_login_that_is_under_way_is_one_of_the_others(tmp_path):
    async with House(tmp_path) as house:
        await house.end(OTHERS)
        late = replace(MINE, id=SessionId.of(b"9" * 32), sid="late")
        with pytest.raises(SignedOutMeanwhile):
            await house.sessions.create(APPS["app"], request(), late, Device(), None)
        assert "mine" in await house.left()


async def test_all_others_end_although_the_page_has_no_room_for_them(tmp_path):
    """Those that the list leaves out too, and none of this sign-in or of another user."""
    async with House(tmp_path) as house:
        for number in range(130):
            each = replace(
                MINE, id=SessionId.of(number.to_bytes(32, "big")), sid=None, touched=NOW + 5
            )
            await house.sessions.create(APPS["app"], request(), each, Device(), None)
        page = (await house.service.perform(APPS["app"], request(), ListSessions(MINE))).page
        assert len(page.cards) == 100 and page.cards[0].badge == "This one"
        assert "133 times. The 100 used last are shown below, and 33 more exist." in page.text
        await house.end(OTHERS)
        assert await house.left() == {"mine", "mine at the wiki", "bob"}
        assert await house.sessions.count(NOW) == 3


class Away(SQLiteStore):
    """It cannot be read."""

    async def tagged(self, tag, now, limit=1):
        raise StoreUnavailable("away")


@pytest.mark.attack("REL-15")
@pytest.mark.parametrize("step", [ListSessions(MINE), EndListedSessions(MINE, OTHERS, ())])
async def test_a_store_that_cannot_answer_is_no_empty_list(tmp_path, step):
    store = Away(tmp_path / "sessions.sqlite3")
    with pytest.raises(StoreUnavailable):
        await OwnSessions(StoredSessions(store), lambda: NOW, 0).perform(
            APPS["app"], request(), step
        )
    await store.aclose()


async def test_sessions_in_cookies_end_everywhere_where_tombstones_reach_everybody(tmp_path):
    shared = CookieSessions(SQLiteStore(tmp_path / "over.sqlite3"))
    service = OwnSessions(shared, lambda: NOW, 0)
    assert (
        "keeps no list"
        in (await service.perform(APPS["app"], request(), ListSessions(MINE))).page.text
    )
    assert (
        await service.perform(APPS["app"], request(), EndListedSessions(MINE, OTHERS, ()))
    ).reason == "own_sessions_ended"
    tags = subject_tags(RING, ISSUER, "alice")
    assert await shared.revocations.revoked_before(tags, NOW) == 0
    assert (
        await service.perform(APPS["app"], request(), EndListedSessions(MINE, EVERYWHERE, ()))
    ).reason == "signed_out"
    assert await shared.revoked_at(tags, NOW) == NOW * 1000
    await shared.aclose()


async def test_tombstones_of_one_process_promise_nothing():
    alone = CookieSessions(MemoryRevocations())
    service = OwnSessions(alone, lambda: NOW, 0)
    page = (await service.perform(APPS["app"], request(), ListSessions(MINE))).page
    assert page.link_text == "Back to the application" and not page.posts
    assert (
        await service.perform(APPS["app"], request(), EndListedSessions(MINE, EVERYWHERE, ()))
    ).reason == "own_sessions_ended"
    assert await alone.revocations.revoked_before(subject_tags(RING, ISSUER, "alice"), NOW) == 0
