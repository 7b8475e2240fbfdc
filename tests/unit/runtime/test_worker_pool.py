"""The supervisor's rules, with workers in memory and a clock that jumps: who is started,
replaced and seen off, and when.
"""

import pytest
import trio
import trio.testing
from harness.memory_workers import House, settings

from extproc.addresses import Address
from extproc.runtime.control import Failed, Ready, Serving, Spans
from extproc.runtime.worker_pool import FOUND, STEADY, pause
from extproc.runtime.worker_proxy import START, WorkerFailed

OLD, NEW = settings(), settings(session={"idle": 60})


@pytest.fixture
def house():
    return House()


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (1, 0.5), (2, 1), (3, 2), (6, 16), (7, 30), (8, 30), (1000, 30)],
)
def test_the_pause_before_a_restart_grows_to_half_a_minute(failures, seconds):
    assert pause(failures) == seconds


async def test_every_worker_is_prepared_before_the_first_one_listens_each_at_its_address(
    house, autojump_clock
):
    async with house.workers(OLD) as workers:
        await workers.start()
    told = [what for _, what in house.heard]
    assert told == ["Start", "Start", "Listen", "Listen"]
    assert [worker.start.listen for worker in house.made] == [
        Address(host="127.0.0.1", port=9500),
        Address(host="127.0.0.1", port=9501),
    ]


async def test_a_start_that_fails_says_what_the_worker_said(house, autojump_clock):
    house.on_start = lambda worker: Failed("store.path: no") if worker.number else Ready()
    async with house.workers(OLD) as workers:
        with pytest.raises(WorkerFailed, match=r"store\.path: no"):
            await workers.start()
        workers.kill()
        assert house.alive == []


async def test_a_worker_that_never_gets_ready_is_ended(house, autojump_clock):
    house.on_start = lambda worker: None
    async with house.workers(OLD) as workers:
        with pytest.raises(WorkerFailed, match="was not ready"):
            await workers.start()
        assert (
            trio.current_time() == pytest.approx(house.started[0][0] + START)
            and 0 not in house.alive
        )


async def test_a_worker_that_ends_is_replaced_at_once_and_then_after_longer_and_longer_pauses(
    house, autojump_clock
):
    async with house.workers(OLD) as workers:
        await workers.start()
        house.on_start = lambda worker: Failed("broken")
        began = trio.current_time()
        house.made[0].end(1)
        await trio.sleep(60)
        pauses = [at - began for at, number, _ in house.started[2:]]
        assert pauses == pytest.approx([0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5])
        assert {number for _, number, _ in house.started[2:]} == {1} and house.alive == [1]


async def test_a_worker_that_was_steady_is_replaced_at_once_again(house, autojump_clock):
    async with house.workers(OLD) as workers:
        await workers.start()
        for _ in range(3):
            await trio.sleep(STEADY)
            house.made[-1].end(1)
            before = trio.current_time()
            await trio.testing.wait_all_tasks_blocked()
            assert house.started[-1][0] == before and len(house.alive) == 2


async def test_all_workers_take_other_keys_in_place_and_so_does_whoever_is_started_afterwards(
    house, autojump_clock
):
    async with house.workers(OLD) as workers:
        await workers.start()
        await workers.update_keys(NEW)
        assert [worker.taken for worker in house.made] == [NEW, NEW] and house.alive == [0, 1]
        house.made[0].end(1)
        await trio.sleep(1)
        assert house.made[2].start.settings == NEW


async def test_a_worker_that_does_not_take_other_keys_is_replaced_by_one_that_has_them(
    house, autojump_clock
):
    async with house.workers(OLD) as workers:
        await workers.start()
        house.stubborn = True
        await workers.update_keys(NEW)
        assert house.alive == []
        house.stubborn = False
        await trio.sleep(1)
        assert [worker.start.settings for worker in house.made[2:]] == [NEW, NEW]


async def test_a_roll_takes_nothing_away_before_everything_new_is_prepared_and_goes_one_by_one(
    house, autojump_clock
):
    async with house.workers(OLD) as workers:
        await workers.start()
        house.heard.clear()
        await workers.roll(NEW)
        await trio.testing.wait_all_tasks_blocked()
        order = [(number, what) for number, what in house.heard if what != "GetStatus"]
        assert order[:2] == [(2, "Start"), (3, "Start")]
        assert sorted(order[2:4]) == [(0, "Drain"), (2, "Listen")] and sorted(order[4:]) == [
            (1, "Drain"),
            (3, "Listen"),
        ]
        assert house.alive == [2, 3] and all(
            worker.start.settings == NEW for worker in house.made[2:]
        )


async def test_a_successor_waits_for_its_providers_as_long_as_that_makes_sense(
    house, autojump_clock
):
    async with house.workers(OLD) as workers:
        await workers.start()
        house.missing = [[("provider main", "its metadata was not fetched yet")]] * 3
        began = trio.current_time()
        await workers.roll(NEW)
        assert house.missing == [] and trio.current_time() - began < 1
        house.missing = [[("provider main", "its metadata was not fetched yet")]] * 10_000
        await workers.roll(NEW)  # a provider that is away does not hold a roll up for ever
        assert house.alive == [4, 5]


async def test_the_next_worker_goes_only_when_envoy_has_found_the_successor_of_the_one_before(
    house, autojump_clock
):
    found = []
    house.checkers = lambda worker: 1 if worker.number < 2 or worker.number in found else 0
    async with house.workers(OLD) as workers:
        await workers.start()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(workers.roll, NEW)
            await trio.sleep(FOUND / 2)
            assert house.alive == [1, 2, 3]
            found.append(2)
            await trio.sleep(1)
            assert house.alive == [2, 3]
            found.append(3)


@pytest.mark.parametrize("fails", [2, 3])
async def test_a_roll_whose_workers_cannot_be_prepared_leaves_the_old_ones_and_their_settings(
    house, autojump_clock, fails
):
    async with house.workers(OLD) as workers:
        await workers.start()
        house.on_start = lambda worker: (
            Failed("no such file") if worker.number == fails else Ready()
        )
        with pytest.raises(WorkerFailed, match="no such file"):
            await workers.roll(NEW)
        await trio.testing.wait_all_tasks_blocked()
        assert house.alive == [0, 1] and (0, "Drain") not in house.heard
        house.made[1].end(1)
        await trio.testing.wait_all_tasks_blocked()
        assert house.started[-1][2] == OLD


async def test_an_address_that_the_successor_cannot_have_stops_the_roll_and_is_tried_again(
    house, autojump_clock
):
    taken = Failed("listen: 127.0.0.1:9500 cannot be bound")
    house.on_listen = lambda worker: taken if worker.number == 2 else Serving()
    async with house.workers(OLD) as workers:
        await workers.start()
        with pytest.raises(WorkerFailed, match="worker 1: "):
            await workers.roll(NEW)
        await trio.testing.wait_all_tasks_blocked()
        # the second old one goes on; the first is started again, with the new settings
        assert house.alive == [1, 4]
        assert house.made[4].start.settings == NEW


async def test_a_worker_that_does_not_end_in_time_is_killed(house, autojump_clock):
    house.stubborn = True
    async with house.workers(OLD) as workers:
        await workers.start()
        await workers.drain()
        assert [number for number, what in house.heard if what == "Drain"] and house.alive == []
        await trio.sleep(100)
        assert len(house.made) == 2  # and nobody is started again


async def test_spans_of_workers_are_passed_on(house, autojump_clock):
    house.on_listen = lambda worker: Serving()
    async with house.workers(OLD) as workers:
        await workers.start()
        await house.made[0]._say.send(Spans(b"otlp"))
        await trio.testing.wait_all_tasks_blocked()
        assert house.spans == [b"otlp"]


async def test_a_worker_that_talks_nonsense_is_ended_and_replaced(house, autojump_clock):
    async with house.workers(OLD) as workers:
        await workers.start()
        await house.made[0]._say.send(None)
        await trio.sleep(60)
        assert house.alive == [1, 2]


async def test_a_roll_that_finds_a_worker_dead_still_waits_until_envoy_has_found_its_successor(
    house, autojump_clock
):
    """Or the next would leave while Envoy knows of nobody."""
    found = []
    house.checkers = lambda worker: 1 if worker.number < 2 or worker.number in found else 0
    async with house.workers(OLD) as workers:
        await workers.start()
        house.on_start = lambda worker: Failed("broken")
        house.made[0].end(1)
        await trio.sleep(10)
        house.on_start = lambda worker: Ready()
        new = len(house.made)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(workers.roll, NEW)
            await trio.sleep(FOUND / 2)
            assert house.alive == [1, new, new + 1]
            found += [new, new + 1]
            await trio.sleep(1)
            assert house.alive == [new, new + 1]


# -- what nobody foresaw

BUGS = (
    RuntimeError("x"),
    KeyError("x"),
    AttributeError("x"),
    ExceptionGroup("x", [UnicodeError("x")]),
)


@pytest.mark.attack("REL-42")
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: type(bug).__name__)
async def test_whatever_a_worker_says_is_its_own_end_and_no_other_s(house, autojump_clock, bug):
    async with house.workers(OLD) as workers:
        await workers.start()

        async def says():
            raise bug

        house.made[0].receive = says
        await house.made[0]._say.send(Ready())  # so that it is heard once more
        house.made[0].end(-40)
        await trio.sleep(1)
        assert house.alive == [1, 2] and house.started[-1][1] == 1
        house.made[1].end(-64)  # a signal that has no name
        await trio.sleep(1)
        assert house.alive == [2, 3]


@pytest.mark.attack("REL-42")
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: type(bug).__name__)
async def test_spans_that_cannot_be_kept_end_nothing_but_their_worker(house, autojump_clock, bug):
    def refuses(_):
        raise bug

    house.spans = type("Spans", (), {"append": staticmethod(refuses)})()
    async with house.workers(OLD) as workers:
        await workers.start()
        await house.made[0]._say.send(Spans(b"x"))
        await trio.sleep(60)
        assert len(house.alive) == 2 and 1 in house.alive


@pytest.mark.attack("REL-42")
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: type(bug).__name__)
async def test_a_worker_that_cannot_be_started_for_any_reason_is_tried_again(
    house, autojump_clock, bug
):
    async with house.workers(OLD) as workers:
        await workers.start()
        right, tried = house.launch, []

        async def launch():
            tried.append(1)
            if len(tried) < 4:
                raise bug
            return await right()

        workers._launch = launch
        house.made[0].end(1)
        await trio.sleep(30)
        assert len(tried) == 4 and house.alive == [1, 2]
