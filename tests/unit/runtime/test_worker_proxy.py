"""The supervisor's view of one worker."""

from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from harness.memory_workers import House, settings

from extproc.addresses import Address
from extproc.runtime.control import Failed, Start
from extproc.runtime.worker_proxy import ANSWER, START, WorkerFailed, WorkerProxy

SETTINGS = settings()
FIRST = Start(1, Address(port=9500), SETTINGS)


@pytest.fixture
def house():
    return House()


@asynccontextmanager
async def running(house):
    """A proxy of a worker in memory, and the spans that it sends."""
    proxy, spans = WorkerProxy(1, await house.launch(), patience=10), []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(proxy.run, FIRST, spans.append)
        await trio.testing.wait_all_tasks_blocked()
        yield proxy
        nursery.cancel_scope.cancel()


async def test_a_worker_serves_once_it_has_its_address_and_until_it_ends(house, autojump_clock):
    async with running(house) as proxy:
        await proxy.wait_ready()
        assert not proxy.serving
        await proxy.listen()
        assert proxy.serving and proxy.well
        house.made[0].end(3)
        await proxy.ended.wait()
        assert not proxy.serving and proxy.failure == "it ended with exit status 3"


async def test_what_a_worker_says_of_its_failure_counts_more_than_its_exit_status(
    house, autojump_clock
):
    house.on_start = lambda worker: Failed("store.path: no")
    async with running(house) as proxy:
        with pytest.raises(WorkerFailed, match=r"store\.path: no"):
            await proxy.wait_ready()
        assert proxy.failure == "store.path: no"


async def test_a_worker_that_does_not_answer_is_not_well_until_it_does(house, autojump_clock):
    async with running(house) as proxy:
        await proxy.listen()
        house.silent = True
        began = trio.current_time()
        assert await proxy.status() is None and await proxy.metrics() is None
        assert trio.current_time() - began == pytest.approx(2 * ANSWER) and not proxy.well
        house.silent = False
        assert await proxy.status() is not None and proxy.well


async def test_a_worker_that_does_not_take_other_keys_is_ended(house, autojump_clock):
    house.stubborn = True
    async with running(house) as proxy:
        await proxy.wait_ready()
        await proxy.update_keys(SETTINGS)
        await proxy.ended.wait()
        assert proxy.failure == f"it did not take other keys in {START:g} s"


async def test_waiting_for_a_status_ends_with_the_worker(house, autojump_clock):
    async with running(house) as proxy:
        assert await proxy.wait_until(lambda status: status.gauges == (("streams", 0),))
        house.made[0].end()
        await proxy.ended.wait()
        assert not await proxy.wait_until(lambda status: True)
