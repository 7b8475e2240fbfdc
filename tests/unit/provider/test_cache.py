"""Cache: one fetch for all who wait, a back-off after a failure, and the last copy meanwhile."""

import time
from collections.abc import Callable

import httpx
import pytest
import trio
import trio.testing

from extproc.core.errors import InvalidMetadata
from extproc.core.provider_errors import InvalidAnswer, ProviderFailed
from extproc.provider.cache import RETRY_MOST, RETRY_UNUSABLE, Cache, CoolDown, Newer

ERRORS = (
    RuntimeError, ValueError, KeyError, UnicodeError, httpx.InvalidURL, AttributeError, RecursionError, MemoryError,
    lambda text: ExceptionGroup(text, [RuntimeError(text)]),
)  # fmt: skip


class Source:
    """What is fetched: a number, one more each time; the `fault`, while there is one."""

    def __init__(self) -> None:
        self.fetched = 0
        self.fault: Exception | None = None
        self.open = trio.Event()
        self.open.set()

    async def fetch(self) -> int:
        self.fetched += 1
        await self.open.wait()
        await trio.lowlevel.checkpoint()
        if self.fault is not None:
            raise self.fault
        return self.fetched


async def side_by_side(calls: int, call: Callable[[], object]) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(calls):
            nursery.start_soon(call)


async def test_all_who_wait_share_one_fetch_and_later_nobody_waits() -> None:
    source = Source()
    cache = Cache(source.fetch, fresh=600)
    assert cache.get_nowait() is None and cache.due and cache.age is None
    await side_by_side(20, cache.get)
    assert (source.fetched, cache.get_nowait(), await cache.get()) == (1, 1, 1)
    assert not cache.due and not cache.waiting and 0 <= cache.age < 600


async def test_a_value_that_is_not_fresh_is_due_and_serves_meanwhile() -> None:
    source = Source()
    cache = Cache(source.fetch, fresh=0)
    assert await cache.get() == 1
    assert cache.due and await cache.get() == 1
    assert await cache.refresh() == 2 == cache.get_nowait()
    source.fault = ProviderFailed("away")
    with pytest.raises(ProviderFailed):
        await cache.refresh()
    assert cache.waiting and cache.get_nowait() == 2 == await cache.get()


async def test_a_failure_is_everybody_s_who_waits_and_backs_off() -> None:
    source = Source()
    cache, refused = Cache(source.fetch, fresh=600), []
    source.fault = ProviderFailed("away")

    async def asks() -> None:
        with pytest.raises(ProviderFailed) as error:
            await cache.get()
        refused.append(error)

    await side_by_side(20, asks)
    await asks()
    assert (len(refused), source.fetched) == (21, 1)


@pytest.mark.parametrize(
    ("fault", "longest"),
    [
        (ProviderFailed("away"), RETRY_MOST),
        (InvalidMetadata("broken"), RETRY_UNUSABLE),
        (InvalidAnswer("404"), RETRY_MOST),
    ],
)
async def test_metadata_that_cannot_be_used_is_asked_for_less_and_less(fault, longest) -> None:
    source = Source()
    cache = Cache(source.fetch, fresh=600)
    source.fault = fault
    for _ in range(12):
        with pytest.raises(type(fault)):
            await cache.refresh()
    assert cache.failed is fault
    assert longest / 2 - 1 < cache._not_before - time.monotonic() <= longest
    source.fault = None
    await cache.refresh()
    assert cache.failed is None and not cache.waiting


async def test_a_value_that_does_not_do_is_fetched_again_once_in_a_while() -> None:
    source = Source()
    cache = Cache(source.fetch, fresh=600)
    await cache.get()
    cool_down = CoolDown(60)
    await side_by_side(20, lambda: cache.again(cool_down))
    assert source.fetched == 2 and await cache.again(cool_down) == Newer(2, certain=False)
    assert await cache.again(CoolDown(0)) == Newer(3, certain=True)


async def test_each_group_of_callers_has_a_cool_down_of_its_own() -> None:
    source = Source()
    cache = Cache(source.fetch, fresh=600)
    await cache.get()
    strangers, logins = CoolDown(60), CoolDown(60)
    assert await cache.again(strangers) == Newer(2, certain=True)
    assert await cache.again(logins) == Newer(3, certain=True)
    assert await cache.again(strangers) == Newer(3, certain=False)


async def test_a_fetch_that_began_before_the_call_is_no_certain_answer() -> None:
    """What the provider has changed meanwhile may be missing from it."""
    source = Source()
    cache = Cache(source.fetch, fresh=600)
    await cache.get()
    strangers, logins = CoolDown(60), CoolDown(60)
    source.open = trio.Event()
    got: list[Newer[int]] = []

    async def ask(cool_down: CoolDown) -> None:
        got.append(await cache.again(cool_down))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, strangers)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(ask, strangers)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(ask, logins)
        await trio.testing.wait_all_tasks_blocked()
        source.open.set()
    assert got == [Newer(2, certain=True), Newer(2, certain=False), Newer(3, certain=True)]


async def test_a_scheduled_refresh_begins_no_cool_down() -> None:
    source = Source()
    cache = Cache(source.fetch, fresh=600)
    await cache.refresh()
    assert (await cache.again(CoolDown(60))).value == 2


async def test_who_leaves_in_mid_fetch_begins_no_cool_down() -> None:
    source = Source()
    cache = Cache(source.fetch, fresh=600)
    await cache.get()
    source.open = trio.Event()
    cool_down = CoolDown(60)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cache.again, cool_down)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    source.open.set()
    assert (await cache.again(cool_down)).value == 3


@pytest.mark.attack("REL-42")
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: getattr(error, "__name__", "group"))
async def test_a_fetch_that_meets_a_bug_backs_off_and_the_cache_serves_on(error) -> None:
    fetched: list[int] = []

    async def fetch() -> int:
        fetched.append(1)
        if len(fetched) == 1:
            await trio.testing.wait_all_tasks_blocked()  # all the others wait for this one
            raise error("x")
        return len(fetched)

    cache = Cache(fetch, fresh=600)
    told: list[str] = []

    async def ask() -> None:
        with pytest.raises(InvalidAnswer) as refused:
            await cache.get()
        told.append(refused.value.detail)

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask)
        assert len(told) == 20 and len(fetched) == 1, (
            "those who wait hear of it, and no one asks again at once"
        )
        assert cache.waiting and cache.get_nowait() is None
        while cache.waiting:
            await trio.sleep(0.05)
        assert await cache.get() == 2
        fetched.clear()
        with pytest.raises(InvalidAnswer):
            await cache.refresh()
        assert cache.get_nowait() == 2, "what was there serves on"
