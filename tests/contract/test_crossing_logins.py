"""The logins of one browser that cross each other, in two processes with the same store."""

import time
from collections.abc import AsyncIterator, Callable, Iterable

import pytest
import trio
from harness.tokens import ISSUER, application, cookie_header, pending, request, session

from extproc.core.decisions import RedeemCode
from extproc.core.oidc.authorization import AuthorizationResponse
from extproc.core.session import SessionId
from extproc.relying_party.new_sessions import Kept, NewSessions
from extproc.sessions.store import SessionStore
from extproc.sessions.stored import StoredSessions

# Redis goes by a clock of its own: an hour ahead
NOW = int(time.time()) + 3600
APP = application()
TABS = 12


class Browser:
    """Logins of one browser, whose callbacks reach two processes in turn."""

    def __init__(self, *stores: SessionStore) -> None:
        self.now = float(NOW)
        self.stores = stores
        self.logins = [
            pending(APP, secret=bytes([65 + n]) * 32, created=NOW - 9) for n in range(TABS)
        ]
        self.processes = [NewSessions(StoredSessions(one), lambda: self.now, 0) for one in stores]

    async def ends(self, number: int, subject: str = "alice") -> Kept | None:
        """One login ends, before the browser has received the answer to any other."""
        self.now += 1
        login = self.logins[number]
        response = AuthorizationResponse(login.state, "code", None, ISSUER)
        made = session(
            id=SessionId.of(login.session_entropy),
            subject=subject,
            created=int(self.now),
            created_ms=int(self.now * 1000),
            touched=int(self.now),
            expires=NOW + 43_200,
            attempt=login.store_key,
        )
        asked = request(cookie=cookie_header(APP, *self.logins))
        process = self.processes[number % len(self.processes)]
        return await process.keep(APP, asked, made, RedeemCode(response, login, None))

    async def sees(self, answers: Iterable[Kept | None]) -> str | None:
        """The user of the browser once it has received these answers in this order."""
        cookies: dict[str, str] = {}
        for answer in answers:
            if answer is not None:
                cookies |= {cookie.name: cookie.value for cookie in answer.cookies}
        asked = request(cookie="; ".join(f"{name}={value}" for name, value in cookies.items()))
        found = await StoredSessions(self.stores[0]).find(APP, asked, int(self.now))
        return found.subject if found is not None else None

    async def stored(self) -> int:
        page, records = None, set()
        while True:
            step = await self.stores[0].page(page, 100, int(self.now))
            records |= {record.key for record in step.records}
            page = step.after
            if page is None:
                return len(records)


@pytest.fixture
async def browser(opener: Callable[[], SessionStore]) -> AsyncIterator[Browser]:
    stores = [opener(), opener()]
    yield Browser(*stores)
    for store in stores:
        await store.aclose()


@pytest.mark.attack("FLOW-11")
async def test_callbacks_that_cross_each_other_s_answers_leave_one_session(browser) -> None:
    order = [3, 0, 7, 1, 2, 11, 5, 4, 6, 10, 8, 9]
    answers = [await browser.ends(number) for number in order]
    assert await browser.stored() == 1
    for received in (answers, answers[::-1], answers[1:] + answers[:1]):
        assert await browser.sees(received) == "alice"


@pytest.mark.attack("FLOW-11")
async def test_logins_that_end_at_the_same_moment_leave_one_session(browser) -> None:
    answers: list[Kept | None] = []

    async def ends(number: int) -> None:
        answers.append(await browser.ends(number))

    async with trio.open_nursery() as nursery:
        for number in range(TABS):
            nursery.start_soon(ends, number)
    assert await browser.stored() == 1
    for received in (answers, answers[::-1]):
        assert await browser.sees(received) == "alice"


@pytest.mark.attack("FLOW-11")
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_of_two_users_the_later_callback_leaves_the_only_session(browser, order) -> None:
    early, late = await browser.ends(order[0]), await browser.ends(order[1], "bob")
    assert await browser.stored() == 1 and await browser.sees([early, late]) == "bob"
    assert await browser.sees([late, early]) is None, "alice's late answer signs no user in"


async def test_a_session_that_has_ended_meanwhile_is_not_taken_over(browser) -> None:
    first = await browser.ends(0)
    await StoredSessions(browser.stores[1]).end(first.session, int(browser.now))
    second = await browser.ends(1)
    assert second.new and await browser.stored() == 1
    assert await browser.sees([first, second]) == "alice"
