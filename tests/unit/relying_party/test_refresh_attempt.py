"""One attempt to renew a session's tokens: the lock, the call, the write. TokenRefresh, which makes
attempts, is in test_refresh.py.
"""

from dataclasses import replace

import pytest
import trio
from harness.memory_peers import MemoryProvider, MemoryStore
from harness.tokens import NOW, application, key_set, public, request, session

from extproc.core.device import Device
from extproc.core.errors import StoreUnavailable
from extproc.core.provider_errors import ProviderTimeout, UnknownKey
from extproc.relying_party.pending_writes import PendingWrites
from extproc.relying_party.refresh_attempt import FIRST_PAUSE, WRITE_TIMEOUT, Ended, RefreshAttempt
from extproc.sessions.stored import StoredSessions

APP = application(refresh_margin=30)
SESSION = session(
    refresh_token="rt0", access_expires=NOW, access_issued=NOW - 300, created=NOW - 300
)
LIFE = 60  # seconds of the lock


class House:
    """A store with SESSION in it, and the provider whose tokens it has."""

    def __init__(self) -> None:
        self.store, self.provider = MemoryStore(), MemoryProvider()
        self.provider.good = {"rt0"}
        self.sessions, self.writes = StoredSessions(self.store), PendingWrites(10)

    async def __aenter__(self) -> "House":
        await self.sessions.create(APP, request(), SESSION, Device(), None)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.sessions.aclose()

    def attempt(self) -> RefreshAttempt:
        return RefreshAttempt(
            APP, self.provider, request(), SESSION, self.sessions, self.writes, lambda: NOW
        )

    async def kept(self):
        return await self.sessions.load_again(APP, SESSION, NOW)


@pytest.fixture
async def house():
    async with House() as house:
        yield house


async def renews(attempt: RefreshAttempt) -> None:
    async with attempt.locked(LIFE) as current:
        assert current is not None
        await attempt.renew(current)


async def test_the_session_is_locked_while_it_is_renewed_and_written_before_it_is_unlocked(house):
    attempt = house.attempt()
    async with attempt.locked(LIFE) as current:
        assert current == SESSION and list(house.store.locks) == [SESSION.id.key]
        await attempt.renew(current)
        assert (await house.kept()).refresh_token == "rt1"
    assert not house.store.locks and attempt.session == await house.kept()


@pytest.mark.parametrize("ended", [True, False])
async def test_a_session_that_ended_or_was_renewed_meanwhile_is_not_due(house, ended) -> None:
    attempt = house.attempt()
    if ended:
        await house.sessions.end(SESSION, NOW)
    else:
        other = house.attempt()
        await renews(other)
    async with attempt.locked(LIFE) as current:
        assert current is None
    assert attempt.session == await house.kept() and not house.store.locks


async def test_a_lock_that_another_process_has_is_waited_for_until_it_has_renewed(
    house, autojump_clock
) -> None:
    other, waiting = house.attempt(), house.attempt()
    async with trio.open_nursery() as nursery, other.locked(LIFE) as current:

        async def waits() -> None:
            async with waiting.locked(LIFE) as nothing_left:
                assert nothing_left is None

        nursery.start_soon(waits)
        await trio.sleep(10 * FIRST_PAUSE)
        assert house.provider.good == {"rt0"}
        await other.renew(current)
    assert waiting.session is not None and waiting.session.refresh_token == "rt1"


async def test_a_lock_is_released_whatever_happens_under_it(house) -> None:
    attempt = house.attempt()
    with pytest.raises(KeyError):
        async with attempt.locked(LIFE):
            raise KeyError
    assert not house.store.locks


async def test_a_refused_refresh_token_ends_the_session(house) -> None:
    house.provider.good = set()
    attempt = house.attempt()
    with pytest.raises(Ended) as ended:
        await renews(attempt)
    assert ended.value.reason == "refresh_refused"


async def test_an_answer_that_cannot_be_checked_leaves_the_new_refresh_token_and_the_problem(house):
    house.provider.held_keys = house.provider.newer = key_set(public("RS256", "old"))
    attempt = house.attempt()
    with pytest.raises(UnknownKey):
        await renews(attempt)
    kept = await house.kept()
    assert (kept.refresh_token, kept.access_token) == ("rt1", SESSION.access_token)
    assert attempt.session == kept


async def test_a_logout_during_the_call_ends_the_session_and_the_new_tokens(house) -> None:
    def signs_out(operation: str, when: str) -> None:
        if (operation, when) == ("refresh", "after"):
            house.store.records.clear()

    house.provider.met = signs_out
    attempt = house.attempt()
    with pytest.raises(Ended) as ended:
        await renews(attempt)
    assert ended.value.reason == "ended_meanwhile" and not house.provider.good


async def test_a_call_that_fails_changes_nothing(house) -> None:
    def fails(operation: str, when: str) -> None:
        if operation == "refresh":
            raise ProviderTimeout("slow")

    house.provider.met = fails
    attempt = house.attempt()
    with pytest.raises(ProviderTimeout):
        await renews(attempt)
    assert attempt.session == SESSION == await house.kept()


async def test_a_write_that_fails_is_tried_for_a_while_and_made_by_the_next_attempt(
    house, autojump_clock
) -> None:
    def away(operation: str, when: str) -> None:
        if operation in ("replace", "unlock"):
            raise StoreUnavailable("a full disk")

    first, started = house.attempt(), trio.current_time()
    house.store.met = away
    with pytest.raises(StoreUnavailable, match="a full disk"):
        await renews(first)
    assert trio.current_time() - started >= WRITE_TIMEOUT
    assert first.session is not None and first.session.refresh_token == "rt1"
    assert (await house.kept()).refresh_token == "rt0"

    house.store.met = lambda operation, when: None
    second = house.attempt()
    assert second.owner == first.owner, "the lock could not be released: it is still the first's"
    async with second.locked(LIFE) as current:
        assert current is None, "what is written now needs no other refresh"
    assert (await house.kept()).refresh_token == "rt1"
    assert house.writes.get(SESSION.id.key) is None


async def test_what_is_pending_is_not_written_over_something_newer(house) -> None:
    newer = replace(
        SESSION, refresh_token="rt9", generation=5, access_issued=NOW, access_expires=NOW + 300
    )
    house.writes.put(replace(SESSION, refresh_token="rt1", generation=1), b"owner")
    await house.store.lock(SESSION.id.key, b"owner", LIFE, NOW)
    assert await house.sessions.replace(APP, request(), newer, b"owner", NOW)
    async with house.attempt().locked(LIFE) as current:
        assert current is None
    assert (await house.kept()).refresh_token == "rt9"
    assert house.writes.get(SESSION.id.key) is None
