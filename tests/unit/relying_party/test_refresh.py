"""One refresh at a time for a session: among the requests of a process, among processes, and
against all that may come between.
"""

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
from harness.tokens import (
    ISSUER,
    METADATA,
    NOW,
    Signer,
    application,
    id_token_claims,
    key_set,
    public,
    request,
)

from extproc.core.application import Application
from extproc.core.decisions import Continue, LoadSession, Refresh, Respond
from extproc.core.device import Device
from extproc.core.errors import AccessTokenExpired, SessionEnded, StoreUnavailable
from extproc.core.oidc.claims import Claims
from extproc.core.oidc.id_token import UserInfo
from extproc.core.oidc.token import RefreshResponse
from extproc.core.provider_errors import (
    ClientRefused,
    CodeRefused,
    InvalidUserInfo,
    ProviderFailed,
    ProviderTimeout,
    ProviderUnreachable,
)
from extproc.core.session import Session, SessionId
from extproc.core.session_index import open_entry
from extproc.relying_party.relying_party import RelyingParty
from extproc.sessions.cookie import CookieSessions
from extproc.sessions.memory import MemoryRevocations
from extproc.sessions.rotation import GRACE, SharedRotationGrace
from extproc.sessions.sqlite.store import SQLiteStore
from extproc.sessions.store import SessionStore
from extproc.sessions.stored import StoredSessions

APP = application(refresh_margin=30)
FORWARDS = application(refresh_margin=30, forward_access_token=True, assertion_lifetime=0)
DEVICE = Device("Firefox on Linux", "192.0.2.7")
LATER = NOW + 290
SESSION = Session(
    SessionId.of(b"s" * 32), ISSUER, "alice", Claims({"sub": "alice"}), Signer().sign(id_token_claims()), "at", "rt1",
    NOW + 300, NOW, NOW + 43_200, NOW, sid="at the provider", access_issued=NOW,
)  # fmt: skip


class FakeProvider:
    """A provider that rotates: each refresh token is good once; `fault` is raised in place of an
    answer, `said` laid over it.
    """

    name = "main"

    def __init__(self) -> None:
        self.current = "rt1"
        self.grants: list[str] = []
        self.revoked: list[str] = []
        self.fault: Exception | None = None
        self.said: dict[str, object] = {}
        self.key_set, self.newer = key_set(), key_set()
        self.go = trio.Event()
        self.go.set()
        self.waiting = 0
        self.looked_up: list[str] = []
        self.userinfo_says: object = {}

    def metadata_nowait(self):
        return METADATA

    async def metadata(self):
        return METADATA

    async def keys(self):
        return self.key_set

    async def newer_keys(self):
        if isinstance(self.newer, Exception):
            raise self.newer
        return self.newer

    async def refresh(self, form):
        token = dict(form.parameters)["refresh_token"]
        self.grants.append(token)
        self.waiting += 1
        await self.go.wait()
        self.waiting -= 1
        if self.fault is not None:
            raise self.fault
        if token != self.current:
            raise CodeRefused("invalid_grant")
        self.current = f"rt{int(self.current[2:]) + 1}"
        id_token = Signer().sign(id_token_claims(nonce=None, iat=LATER, exp=LATER + 300))
        said = {
            "access_token": f"a{self.current}",
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": id_token,
        }
        return RefreshResponse.parse(
            json.dumps({**said, "refresh_token": self.current, **self.said}).encode()
        )

    async def userinfo(self, access_token):
        self.looked_up.append(access_token)
        if isinstance(self.userinfo_says, Exception):
            raise self.userinfo_says
        return UserInfo("application/json", json.dumps(self.userinfo_says).encode())

    async def revoke(self, form):
        self.revoked.append(dict(form.parameters)["token"])


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


class Gateway:
    """Processes that share a store, each a relying party; a browser's cookies; a clock."""

    def __init__(self, opener, provider, app=APP) -> None:
        self.app, self.provider, self.now = app, provider, LATER
        self._opener = opener
        self.all: list[StoredSessions] = []
        self.headers = {
            "sec_fetch_mode": "cors",
            "sec_fetch_dest": "empty",
            "accept": "application/json",
        }

    def process(self, sessions=None) -> RelyingParty:
        sessions = sessions or StoredSessions(self._opener())
        self.all.append(sessions)
        return RelyingParty({"app": self.app}, {"app": self.provider}, sessions, lambda: self.now)

    async def signs_in(self, session: Session = SESSION) -> str:
        """The browser's Cookie header."""
        cookies = await self.all[0].create(self.app, request(), session, DEVICE, None)
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in cookies)

    async def session(self, cookie: str) -> Session | None:
        return await self.all[0].find(self.app, request(cookie=cookie), self.now)

    async def ask(self, party: RelyingParty, cookie: str, **headers: str):
        asked = request(cookie=cookie, **{**self.headers, **headers})
        return await answered(party, asked, party.decide(asked))

    async def aclose(self) -> None:
        for sessions in self.all:
            await sessions.aclose()


@pytest.fixture
async def gateway(opener, provider) -> AsyncIterator[Gateway]:
    made = Gateway(opener, provider)
    yield made
    await made.aclose()


async def answered(party: RelyingParty, asked, decision):
    """The answer to a request of which this was decided."""
    if isinstance(decision, LoadSession):
        decision = await party.look_up(asked)
    if isinstance(decision, Continue | Respond):
        return decision
    return await party.perform(asked, decision)


async def until(check) -> None:
    with trio.fail_after(60):
        while not check():
            await trio.sleep(0.005)


def subject(answer) -> str | None:
    return dict(answer.set_headers).get("x-auth-sub") if isinstance(answer, Continue) else None


@pytest.mark.attack("REFR-01", "REFR-02")
@pytest.mark.parametrize("processes", [1, 2, 3])
async def test_fifty_requests_with_expired_tokens_make_one_grant_and_are_all_served(
    gateway, provider, processes
):
    parties = [gateway.process() for _ in range(processes)]
    cookie = await gateway.signs_in()
    provider.go = trio.Event()
    answers: list[object] = []

    async def one(number: int) -> None:
        answers.append(await gateway.ask(parties[number % processes], cookie))

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(one, number)
        await until(lambda: provider.waiting == 1)
        for _ in range(20):
            await trio.sleep(0.005)  # by time: nobody is answered meanwhile
        assert not answers
        provider.go.set()
    assert provider.grants == ["rt1"]
    assert [subject(answer) for answer in answers] == ["alice"] * 50
    kept = await gateway.session(cookie)
    assert (kept.access_token, kept.refresh_token, kept.access_expires, kept.touched) == (
        "art2",
        "rt2",
        LATER + 300,
        LATER,
    )


@pytest.mark.attack("CONF-24", "FAPI-10")
async def test_each_rotation_is_stored_and_the_newest_tokens_are_used(gateway, provider):
    gateway.app = FORWARDS
    party = gateway.process()
    cookie = await gateway.signs_in()
    sent = []
    for _ in range(3):
        answer = await gateway.ask(party, cookie)
        sent.append(dict(answer.set_headers)["authorization"])
        gateway.now += 290
        provider.said = {"id_token": None}
    assert provider.grants == ["rt1", "rt2", "rt3"] and sent == [
        "Bearer art2",
        "Bearer art3",
        "Bearer art4",
    ]


async def test_the_device_and_the_tags_of_a_session_stay(gateway, provider):
    party = gateway.process()
    cookie = await gateway.signs_in()
    await gateway.ask(party, cookie)
    record = await gateway.all[0].store.get(SESSION.id.key, LATER)
    entry = open_entry(APP.ring, record.key, record.index)
    assert (entry.device, entry.sid, len(record.tags)) == (DEVICE, "at the provider", 2)


@pytest.mark.attack("REFR-12")
async def test_a_client_that_leaves_in_mid_refresh_loses_no_token(gateway, provider):
    party = gateway.process()
    cookie = await gateway.signs_in()
    provider.go = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gateway.ask, party, cookie)
        await until(lambda: provider.waiting == 1)
        nursery.cancel_scope.cancel()
        provider.go.set()
    assert (await gateway.session(cookie)).refresh_token == "rt2" and provider.revoked == []


async def test_waiters_are_served_when_the_client_that_came_first_leaves(gateway, provider):
    party = gateway.process()
    cookie = await gateway.signs_in()
    provider.go = trio.Event()
    first, answers = trio.CancelScope(), []

    async def leaves() -> None:
        with first:
            await gateway.ask(party, cookie)

    async def waits() -> None:
        answers.append(await gateway.ask(party, cookie))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(leaves)
        await until(lambda: provider.waiting == 1)
        nursery.start_soon(waits)
        await trio.testing.wait_all_tasks_blocked()
        first.cancel()
        provider.go.set()
    assert len(answers) == 1 and subject(answers[0]) == "alice" and provider.grants == ["rt1"]


@pytest.mark.attack("REFR-06")
async def test_a_refused_refresh_token_ends_the_session_once_and_for_all(gateway, provider):
    party = gateway.process()
    cookie = await gateway.signs_in()
    provider.fault = CodeRefused("invalid_grant")
    with pytest.raises(SessionEnded) as refusal:
        await gateway.ask(party, cookie)
    assert await gateway.session(cookie) is None
    answer = party.refuse(request(cookie=cookie, **gateway.headers), refusal.value)
    assert (answer.status, answer.reason, [(c.name, c.max_age) for c in answer.cookies]) == (
        401, "session_ended", [("__Host-extproc-session-app", 0)],
    )  # fmt: skip
    with pytest.raises(Exception, match="login_required"):
        await gateway.ask(party, cookie)
    assert provider.grants == ["rt1"] and provider.revoked == []


async def test_a_navigation_whose_session_ended_so_goes_to_the_login(gateway, provider):
    party = gateway.process()
    cookie = await gateway.signs_in()
    provider.fault = CodeRefused("invalid_grant")
    page = request(cookie=cookie)
    answer = await answered(party, page, LoadSession())
    assert (answer.status, answer.reason) == (303, "login_started")
    assert ("__Host-extproc-session-app", 0) in [
        (cookie.name, cookie.max_age) for cookie in answer.cookies
    ]
    assert (
        await gateway.ask(party, cookie, sec_fetch_mode="navigate", sec_fetch_dest="document")
    ).status == 303


@pytest.mark.attack("REFR-07")
@pytest.mark.parametrize(
    "fault", [ProviderFailed, ProviderTimeout, ProviderUnreachable, ClientRefused]
)
async def test_while_the_provider_is_away_people_stay_signed_in_and_it_is_asked_ever_less(
    gateway, provider, fault
):
    party = gateway.process()
    cookie = await gateway.signs_in()
    provider.fault = fault()
    asked = []
    for after in range(0, 200, 5):
        gateway.now = LATER + after
        assert subject(await gateway.ask(party, cookie)) == "alice"
        if len(provider.grants) > len(asked):
            asked.append(after)
    assert asked == [0, 10, 30, 70, 130, 190]
    provider.fault = None
    gateway.now += 60
    assert subject(await gateway.ask(party, cookie)) == "alice"
    assert (await gateway.session(cookie)).refresh_token == "rt2"


async def test_an_application_that_needs_the_token_gets_503_meanwhile_and_the_session_stays(
    gateway, provider
):
    gateway.app = FORWARDS
    party = gateway.process()
    cookie = await gateway.signs_in()
    provider.fault = ProviderFailed()
    # still good
    assert dict((await gateway.ask(party, cookie)).set_headers)["authorization"] == "Bearer at"
    gateway.now = NOW + 300
    for _ in range(2):
        with pytest.raises(AccessTokenExpired) as refusal:
            await gateway.ask(party, cookie)
        assert party.refuse(request(cookie=cookie), refusal.value).cookies == ()
    provider.fault = None
    gateway.now += 30
    assert dict((await gateway.ask(party, cookie)).set_headers)["authorization"] == "Bearer art2"


@pytest.mark.attack("CONF-25")
@pytest.mark.parametrize(
    "claims", [{"sub": "mallory"}, {"iss": "https://evil.example"}, {"aud": "another"}]
)
async def test_another_subject_is_never_taken_over(gateway, provider, claims):
    party = gateway.process()
    cookie = await gateway.signs_in()
    provider.said = {
        "id_token": Signer().sign(id_token_claims(**{"nonce": None, "iat": LATER, **claims}))
    }
    with pytest.raises(SessionEnded):
        await gateway.ask(party, cookie)
    assert await gateway.session(cookie) is None and provider.revoked == ["rt2"]


async def test_a_key_that_is_not_known_yet_is_fetched_and_where_it_cannot_be_the_rotated_token_is_kept(
    gateway, provider
):
    party = gateway.process()
    cookie = await gateway.signs_in()
    provider.key_set = key_set({"kty": "oct"})
    provider.newer = ProviderFailed("no key set")
    assert subject(await gateway.ask(party, cookie)) == "alice"
    kept = await gateway.session(cookie)
    assert (kept.access_token, kept.refresh_token) == ("at", "rt2")
    provider.newer = key_set()
    gateway.now += 10
    await gateway.ask(party, cookie)
    assert (await gateway.session(cookie)).access_token == "art3"


REPLACED = {"nonce": None, "iat": LATER, "exp": LATER + 300}
UNVERIFIED = {
    "another key under its kid": Signer("RS256", "2").sign(id_token_claims(**REPLACED), kid="RS256-1"),
    "an unknown key": Signer("RS256", "2").sign(id_token_claims(**REPLACED)),
    "another algorithm": Signer("ES256").sign(id_token_claims(**REPLACED)),
    "no signature": Signer().sign(id_token_claims(**REPLACED, sub="mallory"), alg="none"),
    "no token": "x",
}  # fmt: skip


@pytest.mark.attack("IDT-01", "IDT-09")
@pytest.mark.parametrize("token", UNVERIFIED.values(), ids=UNVERIFIED)
async def test_an_id_token_whose_signature_cannot_be_verified_says_nothing_and_ends_nothing(
    gateway, provider, token
):
    party = gateway.process()
    cookie = await gateway.signs_in()
    provider.said = {"id_token": token}
    assert subject(await gateway.ask(party, cookie)) == "alice"
    kept = await gateway.session(cookie)
    assert (kept.access_token, kept.refresh_token, kept.id_token) == ("at", "rt2", SESSION.id_token)
    assert provider.revoked == []
    provider.said = {}
    gateway.now += 10
    await gateway.ask(party, cookie)
    assert (await gateway.session(cookie)).access_token == "art3"


async def test_a_key_that_was_replaced_under_its_kid_is_fetched_again(gateway, provider):
    party = gateway.process()
    cookie = await gateway.signs_in()
    provider.said = {"id_token": UNVERIFIED["another key under its kid"]}
    provider.newer = key_set(public("RS256", "2", kid="RS256-1"))
    await gateway.ask(party, cookie)
    assert (await gateway.session(cookie)).access_token == "art2"


@pytest.mark.parametrize(
    "members", [{"token_type": "mac"}, {"access_token": None}, {"expires_in": "soon"}]
)
async def test_of_an_answer_that_is_refused_the_rotated_refresh_token_is_kept(
    gateway, provider, members
):
    party = gateway.process()
    cookie = await gateway.signs_in()
    provider.said = members
    assert subject(await gateway.ask(party, cookie)) == "alice"
    kept = await gateway.session(cookie)
    assert (kept.access_token, kept.refresh_token) == ("at", "rt2") and provider.revoked == []
    provider.said = {}
    gateway.now += 10
    await gateway.ask(party, cookie)
    assert (await gateway.session(cookie)).access_token == "art3"


async def test_of_an_answer_without_a_refresh_token_that_is_refused_nothing_is_kept(
    gateway, provider
):
    party = gateway.process()
    cookie = await gateway.signs_in()
    provider.said = {"token_type": "mac", "refresh_token": None}
    assert subject(await gateway.ask(party, cookie)) == "alice"
    assert (await gateway.session(cookie)).refresh_token == "rt1" and provider.revoked == []


@asynccontextmanager
async def ended_in_mid_refresh(gateway, provider, party, cookie):
    """A request whose refresh the provider holds during the block, and that is refused afterwards,
    because its session has ended.
    """
    provider.go = trio.Event()

    async def asks() -> None:
        with pytest.raises(SessionEnded):
            await gateway.ask(party, cookie)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(asks)
        await until(lambda: provider.waiting == 1)
        yield
        provider.go.set()


async def test_a_logout_in_mid_refresh_is_not_undone_and_the_new_tokens_are_given_back(
    gateway, provider
):
    party, other = gateway.process(), gateway.process()
    cookie = await gateway.signs_in()
    async with ended_in_mid_refresh(gateway, provider, party, cookie):
        out = request("/oauth2/logout", method="POST", cookie=cookie, sec_fetch_site="same-origin")
        assert (await answered(other, out, other.decide(out))).reason == "signed_out"
    # what the session had, by the logout, and what came for it too late
    assert await gateway.session(cookie) is None and provider.revoked == ["rt1", "rt2"]


class LosesALock(StoredSessions):
    """The first lock is lost as soon as it was given, as in a failover to a server without it."""

    lost = 0

    async def lock(self, session, owner, seconds, now):
        given = await super().lock(session, owner, seconds, now)
        if given and not self.lost:
            self.lost += 1
            await self.unlock(session, owner)
        return given


@pytest.mark.attack("REL-17")
async def test_a_lock_that_is_lost_in_mid_refresh_signs_nobody_out(
    opener, gateway, provider, caplog
):
    sessions = LosesALock(opener())
    party = gateway.process(sessions)
    cookie = await gateway.signs_in()
    assert subject(await gateway.ask(party, cookie)) == "alice" and sessions.lost == 1
    assert (await gateway.session(cookie)).access_token == "art2"
    assert provider.grants == ["rt1"] and provider.revoked == []
    assert "refresh_lock_lost" in [record.getMessage() for record in caplog.records]
    assert await sessions.store.lock(SESSION.id.key, b"next", 5, LATER), "it is given back"


async def test_a_logout_while_a_lock_is_lost_is_still_a_logout(opener, gateway, provider):
    sessions = LosesALock(opener())
    party = gateway.process(sessions)
    cookie = await gateway.signs_in()
    async with ended_in_mid_refresh(gateway, provider, party, cookie):
        await sessions.store.delete(SESSION.id.key)
    assert await gateway.session(cookie) is None and provider.revoked == ["rt2"]


async def test_what_another_process_renewed_after_a_lost_lock_stays(opener, gateway, provider):
    """It took the lock that was lost. Neither its answer nor its session is given up."""
    sessions = LosesALock(opener())
    party, other = gateway.process(sessions), StoredSessions(opener())
    cookie = await gateway.signs_in()
    provider.go = trio.Event()
    answers = []

    async def asks() -> None:
        answers.append(await gateway.ask(party, cookie))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(asks)
        await until(lambda: provider.waiting == 1)
        newer = replace(
            SESSION,
            refresh_token="theirs",
            access_token="their own",
            generation=1,
            access_issued=LATER + 1,
            access_expires=LATER + 600,
        )
        assert await other.lock(SESSION, b"other", 60, LATER)
        assert await other.replace(APP, request(), newer, b"other", LATER)
        await other.unlock(SESSION, b"other")
        provider.go.set()
    assert subject(answers[0]) == "alice" and provider.revoked == []
    assert (await gateway.session(cookie)).access_token == "their own"
    await other.aclose()


async def test_a_refresh_token_that_another_process_used_first_signs_nobody_out(
    opener, gateway, provider, caplog
):
    """Two processes that both believe to have the lock: the slower one is refused, which is neither
    its success nor its failure.
    """
    caplog.set_level(logging.INFO)
    sessions = LosesALock(opener())
    party, other = gateway.process(sessions), StoredSessions(opener())
    cookie = await gateway.signs_in()
    provider.go = trio.Event()
    answers = []

    async def asks() -> None:
        answers.append(await gateway.ask(party, cookie))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(asks)
        await until(lambda: provider.waiting == 1)
        newer = replace(SESSION, refresh_token="rt9", generation=1, access_expires=LATER + 600)
        assert await other.lock(SESSION, b"other", 60, LATER)
        assert await other.replace(APP, request(), newer, b"other", LATER)
        await other.unlock(SESSION, b"other")
        provider.current = "rt9"
        provider.go.set()
    assert subject(answers[0]) == "alice" and provider.revoked == []
    assert (await gateway.session(cookie)).refresh_token == "rt9"
    logged = {record.getMessage() for record in caplog.records}
    assert not logged & {"refreshed", "not_refreshed", "session_ended"}
    await other.aclose()


async def test_another_process_that_has_the_lock_and_dies_is_waited_for_and_then_replaced(
    gateway, provider
):
    party = gateway.process()
    cookie = await gateway.signs_in()
    assert await gateway.all[0].store.lock(SESSION.id.key, b"dead", 2, LATER)
    with trio.move_on_after(0.3):  # by time: the deadline of the request that waits
        await gateway.ask(party, cookie)
    assert provider.grants == []
    gateway.now += 20
    assert subject(await gateway.ask(party, cookie)) == "alice" and provider.grants == ["rt1"]


@pytest.mark.parametrize("step", [3600, -3600], ids=["ahead", "back"])
async def test_while_our_clock_is_wrong_by_an_hour_nobody_is_signed_out_and_no_token_is_lost(
    provider, tmp_path, step
):
    app = application(refresh_margin=30, session_idle=7200)
    gateway = Gateway(lambda: SQLiteStore(tmp_path / "sessions.sqlite3"), provider, app)
    party = gateway.process()
    cookie = await gateway.signs_in()
    gateway.now = NOW + 100 + step
    # of the tokens nobody knows how long they are good, and those that come have times that cannot
    # be
    for _ in range(2):
        assert subject(await gateway.ask(party, cookie)) == "alice"
    assert provider.grants == ["rt1"] and provider.revoked == []
    assert (await gateway.session(cookie)).refresh_token == "rt2"
    gateway.now = LATER  # it is set right
    assert subject(await gateway.ask(party, cookie)) == "alice"
    assert (
        provider.grants == ["rt1", "rt2"] and (await gateway.session(cookie)).access_token == "art3"
    )
    await gateway.aclose()


class Ailing(StoredSessions):
    """A store that cannot write for a while: `fault` is raised in place of each write."""

    fault: Exception | None = None

    async def replace(self, *args) -> bool:
        if self.fault is not None:
            raise self.fault
        return await super().replace(*args)

    async def unlock(self, *args) -> None:
        if isinstance(self.fault, StoreUnavailable):
            raise self.fault
        await super().unlock(*args)


async def test_a_rotated_token_that_could_not_be_written_is_written_at_the_next_request(
    provider, tmp_path
):
    gateway = Gateway(None, provider)
    ailing = Ailing(SQLiteStore(tmp_path / "sessions.sqlite3"))
    party = gateway.process(ailing)
    cookie = await gateway.signs_in()
    ailing.fault = StoreUnavailable("a full disk")
    with trio.fail_after(60):
        assert subject(await gateway.ask(party, cookie)) == "alice"
    ailing.fault = None
    gateway.now += 10
    await gateway.ask(party, cookie)
    assert provider.grants == ["rt1"] and (await gateway.session(cookie)).refresh_token == "rt2"
    await gateway.aclose()


BUGS = (
    RuntimeError("x"),
    KeyError("x"),
    UnicodeError("x"),
    MemoryError("x"),
    ExceptionGroup("x", [ValueError("x")]),
)


@pytest.mark.attack("REL-42")
@pytest.mark.threat("foreign-input")
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: type(bug).__name__)
async def test_a_bug_in_a_refresh_signs_nobody_out_and_leaves_no_flight_behind(
    gateway, provider, bug
):
    party = gateway.process()
    cookie = await gateway.signs_in()
    provider.fault = bug
    provider.go = trio.Event()
    answers = []

    async def asks() -> None:
        answers.append(subject(await gateway.ask(party, cookie)))

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(asks)
        await until(lambda: provider.waiting)
        provider.go.set()
    assert answers == ["alice"] * 10
    provider.fault = None
    gateway.now += 61
    assert subject(await gateway.ask(party, cookie)) == "alice"
    assert (await gateway.session(cookie)).refresh_token == "rt2", (
        "the lock was given back, and it was tried again"
    )


class Unreadable:
    """A key set of which every use meets a bug."""

    def __init__(self, bug: Exception) -> None:
        self._bug = bug

    def __getattr__(self, name: str) -> object:
        raise self._bug


@pytest.mark.attack("REL-42")
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: type(bug).__name__)
async def test_a_bug_in_reading_what_a_refresh_brought_keeps_the_new_refresh_token(
    gateway, provider, bug
):
    party = gateway.process()
    cookie = await gateway.signs_in()
    provider.key_set = Unreadable(bug)
    assert subject(await gateway.ask(party, cookie)) == "alice"
    provider.key_set = key_set()
    assert (await gateway.session(cookie)).refresh_token == "rt2", (
        "the old one may be worth nothing by now"
    )
    gateway.now += 61
    assert subject(await gateway.ask(party, cookie)) == "alice"
    assert provider.grants == ["rt1", "rt2"]


@pytest.mark.attack("REL-42")
async def test_a_bug_in_writing_what_a_refresh_brought_loses_no_token(opener, gateway, provider):
    ailing = Ailing(opener())
    party = gateway.process(ailing)
    cookie = await gateway.signs_in()
    ailing.fault = KeyError("x")
    assert subject(await gateway.ask(party, cookie)) == "alice"
    ailing.fault = None
    gateway.now += 61
    assert subject(await gateway.ask(party, cookie)) == "alice"
    assert provider.grants == ["rt1"] and (await gateway.session(cookie)).refresh_token == "rt2"


# -- in cookies ------------------------------------------------------------------------------------


@pytest.mark.attack("REFR-05")
@pytest.mark.parametrize("processes", [0, 1, 2])
async def test_in_cookies_requests_that_still_have_the_old_ones_are_served_with_the_new(
    provider, opener, processes
):
    """0: one, whose tombstones are in its memory."""
    gateway = Gateway(opener, provider)
    stores = [opener() for _ in range(processes)]
    shared = [CookieSessions(store, SharedRotationGrace(store)) for store in stores]
    parties = [
        gateway.process(sessions) for sessions in shared or [CookieSessions(MemoryRevocations())]
    ]
    cookie = await gateway.signs_in()
    answers = []

    async def one(party: RelyingParty) -> None:
        answers.append(await gateway.ask(party, cookie))

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            for party in parties:
                nursery.start_soon(one, party)
    for party in parties:
        await one(party)
    assert provider.grants == ["rt1"] and {subject(answer) for answer in answers} == {"alice"}
    for answer in answers:  # each answer has them, whichever the browser sees last
        assert (await gateway.session(after(cookie, answer))).refresh_token == "rt2"
    await gateway.aclose()


def after(cookie: str, answer) -> str:
    """The browser's Cookie header once it has an answer; what the answer expires it still sends."""
    return "; ".join(
        (
            cookie,
            *(f"{c.name}={c.value}" for c in answer.set_cookies if "data" in c.name and c.value),
        )
    )


@pytest.mark.attack("REFR-05")
@pytest.mark.parametrize("shared", [True, False])
async def test_in_cookies_an_older_generation_neither_renews_nor_ends_anything(
    provider, opener, shared
):
    """Finding 31: a copy, a restored profile, an answer that never came. Its refresh token is used
    up: to careful providers a theft.
    """
    gateway = Gateway(opener, provider)
    if shared:
        store = opener()
        sessions = CookieSessions(store, SharedRotationGrace(store))
    else:
        sessions = CookieSessions(MemoryRevocations())
    party = gateway.process(sessions)
    old = await gateway.signs_in()
    new = after(old, await gateway.ask(party, old))
    gateway.now += GRACE + 1
    with pytest.raises(SessionEnded):
        await gateway.ask(party, old)
    assert provider.grants == ["rt1"] and provider.revoked == []
    newer = after(new, await gateway.ask(party, new))
    assert (
        provider.grants == ["rt1", "rt2"] and (await gateway.session(newer)).refresh_token == "rt3"
    )
    assert (await gateway.session(newer)).generation == 2
    # a late answer brings the old generation back beside the newest: it counts for nothing
    assert (await gateway.session(f"{newer}; {old.partition('; ')[2]}")).refresh_token == "rt3"
    await gateway.aclose()


class Between(SharedRotationGrace):
    """Something happens between the answer of each get() and what its caller does next."""

    def __init__(self, store: SessionStore, happens: Callable[[], Awaitable[None]]) -> None:
        super().__init__(store)
        self._happens = happens

    async def get(self, application: Application, session: Session, now: int) -> Session | None:
        found = await super().get(application, session, now)
        await self._happens()
        return found


@pytest.mark.attack("REFR-05")
async def test_in_cookies_a_refresh_elsewhere_that_ends_between_two_questions_signs_nobody_out(
    provider, opener
):
    gateway, ended = Gateway(opener, provider), trio.Event()
    stores = [opener(), opener()]

    async def the_other_ends() -> None:
        provider.go.set()
        await ended.wait()

    first = gateway.process(CookieSessions(stores[0], SharedRotationGrace(stores[0])))
    second = gateway.process(CookieSessions(stores[1], Between(stores[1], the_other_ends)))
    cookie = await gateway.signs_in()
    provider.go = trio.Event()
    answers = []

    async def asks(party: RelyingParty) -> None:
        answers.append(await gateway.ask(party, cookie))
        ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(asks, first)
        await until(lambda: provider.waiting == 1)
        nursery.start_soon(asks, second)
    assert provider.grants == ["rt1"] and [subject(answer) for answer in answers] == [
        "alice",
        "alice",
    ]
    await gateway.aclose()


@pytest.mark.attack("REFR-05")
async def test_in_cookies_a_clock_that_is_set_back_signs_nobody_out(provider, opener):
    """The newer generation came at an earlier time."""
    gateway = Gateway(opener, provider)
    store = opener()
    party = gateway.process(CookieSessions(store, SharedRotationGrace(store)))
    old = await gateway.signs_in(
        replace(SESSION, access_issued=LATER + 60, access_expires=LATER + 61)
    )
    gateway.now = LATER + 200
    new = after(old, await gateway.ask(party, old))
    assert (
        subject(await gateway.ask(party, old)) == subject(await gateway.ask(party, new)) == "alice"
    )
    gateway.now = LATER - 600
    assert subject(await gateway.ask(party, old)) == "alice"
    assert len(set(provider.grants)) == len(provider.grants)
    await gateway.aclose()


async def test_in_cookies_a_request_that_changes_nothing_sets_no_session(provider, opener):
    """Finding 31: whatever it set would be the session of when it came, and its answer may take an
    hour.
    """
    gateway = Gateway(opener, provider)
    party = gateway.process(CookieSessions(opener()))
    fresh = replace(SESSION, access_expires=LATER + 3000, touched=LATER - 600)
    cookie = await gateway.signs_in(fresh)
    answer = await gateway.ask(party, cookie)
    names = [each.name for each in answer.set_cookies]
    assert names == [APP.cookies.assertion, APP.cookies.used(SESSION.id.handle)]
    await gateway.aclose()


async def test_in_cookies_a_refused_refresh_token_ends_the_session_for_every_copy(provider, opener):
    gateway = Gateway(opener, provider)
    party = gateway.process(CookieSessions(opener()))
    cookie = await gateway.signs_in()
    provider.fault = CodeRefused("invalid_grant")
    with pytest.raises(SessionEnded):
        await gateway.ask(party, cookie)
    assert await gateway.session(cookie) is None
    await gateway.aclose()


async def test_a_store_that_is_busy_comes_to_the_same(gateway, provider):
    party = gateway.process()
    cookie = await gateway.signs_in()
    asked = request(cookie=cookie, **gateway.headers)
    assert subject(await answered(party, asked, LoadSession())) == "alice"
    assert provider.grants == ["rt1"]


async def test_no_room_for_a_refresh_is_no_refusal_while_the_tokens_are_not_needed(
    gateway, provider
):
    party = gateway.process()
    cookie = await gateway.signs_in()
    asked = request(cookie=cookie, **gateway.headers)
    assert subject(party.unrefreshed(asked, Refresh(SESSION))) == "alice"
    gateway.app = FORWARDS
    needs = gateway.process()
    gateway.now = NOW + 301
    with pytest.raises(AccessTokenExpired):
        needs.unrefreshed(asked, Refresh(SESSION))
    assert provider.grants == []


# -- UserInfo again


@pytest.mark.parametrize(
    ("says", "name"),
    [
        ({"sub": "alice", "name": "New", "iss": "https://evil.example"}, "New"),
        ({"sub": "alice"}, ""),
        (ProviderUnreachable("away"), "Old"),
        (ProviderTimeout("slow"), "Old"),
        (InvalidUserInfo("UserInfo answers 403"), "Old"),
        ("no object", "Old"),
        ({"sub": "mallory", "name": "Evil"}, None),
        ({"name": "Evil"}, "Old"),
    ],
)
async def test_userinfo_is_asked_again_where_that_is_wanted_and_only_another_user_ends_the_session(
    opener, provider, says, name
):
    gateway = Gateway(opener, provider, replace(APP, userinfo_at_refresh=True))
    party, provider.userinfo_says = gateway.process(), says
    cookie = await gateway.signs_in(
        replace(SESSION, claims=Claims({"sub": "alice", "name": "Old"}))
    )
    if name is None:
        with pytest.raises(SessionEnded):
            await gateway.ask(party, cookie)
        assert await gateway.session(cookie) is None and provider.revoked == ["rt2"]
    else:
        headers = dict((await gateway.ask(party, cookie)).set_headers)
        assert headers.get("x-auth-name", "") == name
        kept = await gateway.session(cookie)
        assert (
            kept.claims.values.get("name", "") == name
            and kept.refresh_token == "rt2"
            and "iss" not in kept.claims.values
        )
    assert provider.looked_up == ["art2"]
    await gateway.aclose()


async def test_userinfo_is_not_asked_again_where_nobody_wants_it(opener, provider):
    gateway = Gateway(opener, provider)
    assert subject(await gateway.ask(gateway.process(), await gateway.signs_in())) == "alice"
    assert provider.grants == ["rt1"] and not provider.looked_up
    await gateway.aclose()
