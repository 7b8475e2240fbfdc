"""Status and metrics of all workers."""

import pytest
import trio
from harness.memory_workers import House, settings

from extproc.runtime.worker_proxy import ANSWER

OLD = settings()


@pytest.fixture
def house():
    return House()


async def test_what_is_missing_and_what_is_in_hand_is_said_of_all(house, autojump_clock):
    async with house.workers(OLD) as workers:
        await workers.start()
        assert await workers.reports.missing() == () and dict(await workers.reports.gauges()) == {
            "workers": 2,
            "streams": 1,
        }
        house.missing = [[("provider main", "away")], []]
        assert [reason for _, reason in await workers.reports.missing()] == ["away"]
        house.silent = True
        assert await workers.reports.missing() == (
            ("worker 1", "it does not answer"),
            ("worker 2", "it does not answer"),
        )
        assert dict(await workers.reports.gauges()) == {"workers": 0}


async def test_metrics_are_those_of_the_workers_that_answer(house, autojump_clock):
    async with house.workers(OLD) as workers:
        await workers.start()
        assert (
            await workers.reports.metrics() == ((1, "of 0"), (2, "of 1"))
            and workers.reports.well == 2
        )
        house.silent = True
        assert await workers.reports.metrics() == () and workers.reports.well == 0
        house.silent = False
        assert len(await workers.reports.metrics()) == 2 and workers.reports.well == 2


async def test_all_workers_are_asked_at_the_same_time(house, autojump_clock):
    async with house.workers(OLD) as workers:
        await workers.start()
        house.silent = True
        began = trio.current_time()
        assert len(await workers.reports.missing()) == 2
        assert trio.current_time() - began == pytest.approx(ANSWER)


async def test_the_worker_that_most_clients_check_counts(house, autojump_clock):
    house.checkers = lambda worker: 3 * worker.number
    async with house.workers(OLD) as workers:
        assert await workers.reports.checkers() == 0
        await workers.start()
        assert await workers.reports.checkers() == 3
