"""RelyingParty: what is answered on the event loop, what is left to trio, and who carries it out.
Refreshes are in test_refresh.py, each other step in the file of its module.
"""

from dataclasses import replace

import pytest
from harness.memory_peers import MemoryProvider, MemoryStore
from harness.tokens import NOW, application, request, session

from extproc.core.access import Access
from extproc.core.access_rules import Rule
from extproc.core.decisions import (
    Continue,
    EndSession,
    ListSessions,
    LoadSession,
    ReadBody,
    Refresh,
    Respond,
    StartLogin,
    VerifyAccessToken,
)
from extproc.core.device import Device
from extproc.core.errors import LoginRequired, Misdirected, StoreUnavailable
from extproc.core.step_up import Demand
from extproc.relying_party.relying_party import RelyingParty
from extproc.sessions.cookie import CookieSessions
from extproc.sessions.stored import StoredSessions

APP = application(backchannel_logout=True)
AGING = Access("app", (), (Rule("live", max_claims_age=60),), "digest")
SESSION = session(refresh_token=None)
COOKIE = f"{APP.cookies.session}={SESSION.id.cookie}"
FETCH = {"sec_fetch_mode": "cors", "sec_fetch_dest": "empty", "accept": "application/json"}


class House:
    """One application, whose provider and store are in memory, with SESSION; and a clock."""

    def __init__(self) -> None:
        self.store, self.provider, self.now = MemoryStore(), MemoryProvider(), float(NOW)
        self.sessions = StoredSessions(self.store)
        self.party = RelyingParty(
            {"app": APP}, {"app": self.provider}, self.sessions, lambda: self.now
        )

    async def open(self) -> "House":
        await self.sessions.create(APP, request(), SESSION, Device(), None)
        return self


@pytest.fixture
async def house() -> House:
    return await House().open()


def subject(answer: object) -> str | None:
    return dict(answer.set_headers).get("x-auth-sub") if isinstance(answer, Continue) else None


async def test_an_application_that_the_settings_do_not_have_is_misdirected(house) -> None:
    with pytest.raises(Misdirected, match="'wiki'"):
        house.party.decide(replace(request(), application="wiki"))


async def test_an_application_of_other_settings_is_misdirected_and_logged_once(
    house, caplog
) -> None:
    own, other = (
        replace(APP, fingerprint="0123456789abcdef"),
        replace(request(), fingerprint="f" * 16),
    )
    party = RelyingParty({"app": own}, {"app": house.provider}, house.sessions, lambda: house.now)
    for _ in range(3):
        with pytest.raises(Misdirected, match="another fingerprint"):
            party.decide(other)
        with pytest.raises(Misdirected, match="no application"):
            party.decide(replace(other, application="gone"))
    lines = [each for each in caplog.records if each.getMessage() == "envoy_differs"]
    assert [each.levelname for each in lines] == ["ERROR", "ERROR"]
    party.decide(replace(other, fingerprint=own.fingerprint))
    party.decide(replace(other, fingerprint=""))


async def test_a_signed_in_request_goes_on_with_its_identity_and_another_is_refused(house) -> None:
    assert subject(house.party.decide(request(cookie=COOKIE, **FETCH))) == "alice"
    with pytest.raises(LoginRequired):
        house.party.decide(request(**FETCH))


async def test_a_login_starts_without_waiting_where_the_metadata_is_known(house) -> None:
    step = house.party.decide(request())
    assert isinstance(step, StartLogin)
    answer = house.party.quick(request(), step)
    assert isinstance(answer, Respond) and answer.reason == "login_started"
    house.provider.known = False
    assert house.party.quick(request(), step) is None
    assert house.party.quick(request(), EndSession(None, ())) is None


async def test_and_otherwise_after_it_was_fetched(house) -> None:
    house.provider.known = False
    answer = await house.party.perform(request(), StartLogin("/"))
    assert answer.reason == "login_started"


async def test_a_session_that_the_store_cannot_return_at_once_is_looked_up(house) -> None:
    house.store.remote = True
    asked = request(cookie=COOKIE, **FETCH)
    assert isinstance(house.party.decide(asked), LoadSession)
    assert subject(await house.party.look_up(asked)) == "alice"


async def test_to_look_a_session_up_is_no_step_to_perform(house) -> None:
    with pytest.raises(ValueError, match="look_up"):
        await house.party.perform(request(), LoadSession())


async def test_a_public_path_needs_no_store_and_any_other_does(house) -> None:
    def away(operation: str, when: str) -> None:
        raise StoreUnavailable("away")

    house.store.met = away
    answer = await house.party.look_up(request("/public", cookie=COOKIE, public=True, **FETCH))
    assert isinstance(answer, Continue) and subject(answer) is None
    with pytest.raises(StoreUnavailable):
        await house.party.look_up(request(cookie=COOKIE, **FETCH))


async def test_a_back_channel_logout_waits_for_its_body_and_looks_at_no_cookie(house) -> None:
    posted = request(
        "/oauth2/backchannel-logout",
        method="POST",
        content_type="application/x-www-form-urlencoded",
        cookie=COOKIE,
    )
    assert isinstance(house.party.decide(posted), ReadBody)


@pytest.mark.parametrize(
    ("step", "reason"),
    [(EndSession(SESSION, ()), "signed_out"), (ListSessions(SESSION), "own_sessions")],
)
async def test_each_step_is_carried_out_by_its_module(house, step, reason) -> None:
    assert (await house.party.perform(request(cookie=COOKIE), step)).reason == reason


async def test_a_session_lives_until_it_ends(house) -> None:
    assert await house.party.over("app", "", SESSION) == ""
    assert await house.party.over("app", "gone", SESSION) == "rules.gone"
    await house.sessions.end(SESSION, NOW)
    assert await house.party.over("app", "", SESSION) == "ended"


@pytest.mark.parametrize(
    ("changes", "seconds", "cause"),
    [
        ({"session_idle": 60}, 60, "expired"),
        ({"demand": Demand(acr_values=("gold",))}, 0, "step_up"),
        ({"access": AGING}, 59, ""),
        ({"access": AGING}, 60, "rules.live.max_claims_age"),
    ],
)
async def test_a_live_stream_s_end_has_its_cause(house, changes, seconds, cause) -> None:
    own = replace(APP, **changes)
    party = RelyingParty({"app": own}, {"app": house.provider}, house.sessions, lambda: house.now)
    house.now = NOW + seconds
    rule = "live" if "access" in changes else ""
    assert await party.over("app", rule, SESSION) == cause


async def test_a_use_is_recorded_and_a_store_that_fails_is_logged(house, caplog) -> None:
    touched: list[str] = []

    def met(operation: str, when: str) -> None:
        touched.append(operation)
        if len(touched) > 2:
            raise StoreUnavailable("away")

    house.store.met = met
    await house.party.touch(request(), SESSION)
    assert touched == ["touch", "touch"] and not caplog.records
    await house.party.touch(request(), SESSION)
    assert [record.getMessage() for record in caplog.records] == ["touch_failed"]


async def test_in_cookies_a_use_is_recorded_by_the_answer_and_not_afterwards(house) -> None:
    sessions = CookieSessions(house.store)
    party = RelyingParty({"app": APP}, {"app": house.provider}, sessions, lambda: house.now)
    cookies = await sessions.create(APP, request(), SESSION, Device(), None)
    header = "; ".join(f"{cookie.name}={cookie.value}" for cookie in cookies)
    house.now = NOW + 120
    answer = party.decide(request(cookie=header, **FETCH))
    assert isinstance(answer, Continue) and answer.touch is None
    assert APP.cookies.used(SESSION.id.handle) in [cookie.name for cookie in answer.set_cookies]
    stored = house.party.decide(request(cookie=COOKIE, **FETCH))
    assert stored.touch == SESSION, "in a store it is recorded afterwards"


async def test_without_a_permit_for_a_refresh_good_tokens_are_used_as_they_are(house) -> None:
    answer = house.party.unrefreshed(request(cookie=COOKIE, **FETCH), Refresh(SESSION))
    assert subject(answer) == "alice"


async def test_the_work_of_a_token_counts_at_the_provider_that_it_names(house) -> None:
    assert house.party.provider_of(request(), VerifyAccessToken("x", "other")) == "other"
    assert house.party.provider_of(request(), StartLogin("/")) == house.provider.name
