"""A few in a turn of the scheduler, first come first served, and nobody is forgotten."""

import trio
import trio.testing

from extproc.provider.limits import TickLimiter


class Turns(trio.abc.Instrument):
    """Counts the scheduler's turns."""

    def __init__(self):
        self.count = 0

    def before_io_wait(self, timeout):
        self.count += 1


async def crowd(tick_limiter, people):
    turns, passed = Turns(), []
    trio.lowlevel.add_instrument(turns)

    async def person(number):
        await tick_limiter()
        passed.append((turns.count, number))

    async with trio.open_nursery() as nursery:
        for number in range(people):
            nursery.start_soon(person, number)
            await trio.testing.wait_all_tasks_blocked() if number % 50 == 49 else None
    trio.lowlevel.remove_instrument(turns)
    return passed


async def test_only_so_many_pass_in_a_turn():
    passed = await crowd(TickLimiter(3), 100)
    per_turn = {turn: sum(at == turn for at, _ in passed) for turn, _ in passed}
    assert len(passed) == 100 and max(per_turn.values()) <= 3


async def test_whoever_is_alone_waits_for_nothing():
    tick_limiter, turns = TickLimiter(2), Turns()
    trio.lowlevel.add_instrument(turns)
    before = turns.count
    await tick_limiter()
    await tick_limiter()
    assert turns.count == before
    trio.lowlevel.remove_instrument(turns)


async def test_first_come_first_served_and_those_who_leave_hold_nobody_up():
    tick_limiter, passed = TickLimiter(1), []

    async def person(number, scope):
        with scope:
            await tick_limiter()
            passed.append(number)

    scopes = [trio.CancelScope() for _ in range(9)]
    async with trio.open_nursery() as nursery:
        await tick_limiter()
        for number, scope in enumerate(scopes):
            nursery.start_soon(person, number, scope)
            if number % 3 == 1:
                scope.cancel()
    # who comes first in a turn passes at once, also when leaving
    assert {0, 2, 3, 5, 6, 8} <= set(passed)
