"""How sessions end, with a provider that these tests hold in their hands."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
import trio
from harness.memory_peers import MemoryProvider
from harness.tokens import (
    ISSUER,
    NOW,
    application,
    client,
    request,
)

from extproc.core.decisions import EndSession
from extproc.core.device import Device
from extproc.core.errors import ProviderUnavailable
from extproc.core.logout import opened_page
from extproc.core.oidc.claims import Claims
from extproc.core.oidc.token import TokenResponse
from extproc.core.session import Session, SessionId
from extproc.relying_party.logout import Logout, end_session
from extproc.relying_party.revocation import REVOCATION_TIMEOUT, revoke_tokens
from extproc.sessions.sqlite.store import SQLiteStore
from extproc.sessions.stored import StoredSessions

DEVICE = Device("Firefox on Linux", "192.0.2.7")
SESSION = Session(
    SessionId.of(b"0" * 32), ISSUER, "alice", Claims({"sub": "alice"}), "idt", "at", "rt", NOW + 300, NOW, NOW + 43_200, NOW,
    sid="s1",
)  # fmt: skip


class Provider(MemoryProvider):
    """`away`: no metadata; `hangs`: a revocation never ends. It knows what was asked of it."""

    def __init__(self, name="main", *, away=False, hangs=False):
        super().__init__()
        self.name = name
        self.known = not away
        self.revoked = []
        if away:
            self.met = self._away
        if hangs:
            self.open = trio.Event()

    @staticmethod
    def _away(operation, when):
        if operation == "metadata":
            raise ProviderUnavailable("away")

    async def revoke(self, form):
        self.revoked.append(dict(form.parameters))
        await super().revoke(form)


APPS = {
    name: application(name=name, url=f"https://app.example/{name}/", client=client(client_id=who))
    for name, who in (("one", "gateway"), ("two", "gateway"), ("three", "another"))
}


class House:
    """Three applications, the last with another provider; alice is signed in to each."""

    def __init__(self, path, provider, **changes):
        self.main, self.another = provider, Provider("another")
        self.apps = {name: replace(app, **changes) for name, app in APPS.items()}
        providers = {"one": self.main, "two": self.main, "three": self.another}
        self.sessions = StoredSessions(SQLiteStore(path / "sessions.sqlite3"))
        self.ending = Logout(self.apps, providers, self.sessions, lambda: NOW)
        self.held = {
            name: replace(SESSION, id=SessionId.of(str(number).encode() * 32), sid=f"s{number}")
            for number, name in enumerate(self.apps)
        }

    async def __aenter__(self):
        for name, session in self.held.items():
            await self.sessions.create(self.apps[name], request(), session, DEVICE, None)
        return self

    async def __aexit__(self, *_):
        await self.sessions.aclose()

    def browser(self):
        return request(
            cookie="; ".join(
                f"{app.cookies.session}={self.held[name].id.cookie}"
                for name, app in self.apps.items()
            )
        )

    async def alive(self):
        asked = self.browser()
        return [
            name
            for name, app in self.apps.items()
            if await self.sessions.find(app, asked, NOW) is not None
        ]

    async def log_out(self):
        step = EndSession(self.held["one"], (self.apps["one"].cookies.expired("mine"),))
        return await self.ending.perform(self.apps["one"], self.browser(), step)


async def test_a_logout_is_for_every_application_of_the_provider_and_no_other(tmp_path):
    async with House(tmp_path, Provider()) as house:
        answer = await house.log_out()
        assert await house.alive() == ["three"]
        assert [cookie.name for cookie in answer.cookies] == [
            "mine",
            house.apps["two"].cookies.session,
        ]
        assert answer.location.startswith(f"{ISSUER}/logout?id_token_hint=idt&client_id=gateway&")
        assert [form["token"] for form in house.main.revoked] == [
            "rt",
            "rt",
        ] and not house.another.revoked


async def test_or_for_this_one_alone_where_the_settings_say_so(tmp_path):
    async with House(tmp_path, Provider(), logout_everywhere=False) as house:
        answer = await house.log_out()
        assert await house.alive() == ["two", "three"] and [
            cookie.name for cookie in answer.cookies
        ] == ["mine"]
        assert len(house.main.revoked) == 1


async def test_a_local_logout_gives_no_token_back(tmp_path):
    """Keycloak ends its own session, and those of other clients, with the tokens of one."""
    changes = {"logout_everywhere": False, "logout_revokes": False, "end_session": "off"}
    async with House(tmp_path, Provider(), **changes) as house:
        answer = await house.log_out()
        assert await house.alive() == ["two", "three"] and house.main.revoked == []
        assert answer.location == "https://app.example/one/oauth2/signed-out"


async def test_a_browser_whose_session_here_is_over_still_signs_out_of_the_others(tmp_path):
    async with House(tmp_path, Provider()) as house:
        answer = await house.ending.perform(
            house.apps["one"], house.browser(), EndSession(None, ())
        )
        assert await house.alive() == ["one", "three"]  # its own is what the step says
        assert answer.location.startswith(f"{ISSUER}/logout?id_token_hint=idt")
        answer = await house.ending.perform(house.apps["one"], request(), EndSession(None, ()))
        assert answer.location == "https://app.example/one/oauth2/signed-out"


async def test_a_logout_leads_back_to_a_page_through_the_provider_or_without_it(tmp_path):
    async with House(tmp_path, Provider()) as house:
        one = house.apps["one"]
        for session, through in ((house.held["one"], f"{ISSUER}/logout"), (None, one.url)):
            step = EndSession(session, (), "/one/admin/")
            answer = await house.ending.perform(one, request(), step)
            assert answer.location.startswith(through)
            query = urlsplit(answer.location).query
            (state,) = parse_qs(query)["state"]
            back = request(f"/one/oauth2/signed-out?state={state}")
            assert opened_page(one, back) == "/one/admin/"


@pytest.mark.attack("LOGO-21")
@pytest.mark.parametrize("away", [True, False])
async def test_a_provider_that_is_away_or_hangs_stops_no_logout(tmp_path, autojump_clock, away):
    async with House(tmp_path, Provider(away=away, hangs=not away)) as house:
        autojump_clock.autojump_threshold = float("inf")  # while a thread works for the store
        started = trio.current_time()

        async def later():
            while not house.main.revoked:
                await trio.lowlevel.checkpoint()
            # ended before anything is asked of the provider
            assert await house.alive() == ["three"]
            autojump_clock.autojump_threshold = 0

        async with trio.open_nursery() as nursery:
            nursery.start_soon(later)
            answer = await house.log_out()
        assert trio.current_time() - started <= (0 if away else REVOCATION_TIMEOUT)
        assert answer.location.startswith(
            "https://app.example/one/oauth2/signed-out" if away else f"{ISSUER}/logout?"
        )


async def test_without_a_refresh_token_the_access_token_is_given_back(tmp_path):
    async with House(tmp_path, Provider()) as house:
        await revoke_tokens(
            house.main, house.apps["one"].client, TokenResponse("at", "id", None, 60)
        )
        assert house.main.revoked == [{"token": "at", "token_type_hint": "access_token"}]


class Remembering:
    """Sessions that know until when the end of some is remembered."""

    def __init__(self):
        self.until = []

    async def end(self, session, now):
        pass

    async def end_selected(self, selection, moment, until):
        self.until.append(until)


@pytest.mark.attack("LOGO-05")
async def test_an_end_is_remembered_as_long_as_a_session_of_any_application_lasts():
    """Sessions of the same sid at another application may last longer than those of this one."""
    sessions = Remembering()
    for own, longest in ((60, 0), (60, 500), (900, 500)):
        app = replace(APPS["one"], session_lifetime=own, session_times=(("other", longest, 60),))
        await end_session(sessions, app, SESSION, NOW + 0.5)
    assert sessions.until == [NOW + 60, NOW + 500, NOW + 900]
