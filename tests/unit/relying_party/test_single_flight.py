"""SingleFlight: one call for a key, whose result serves all who wait for it."""

import pytest
import trio
import trio.testing

from extproc.relying_party.single_flight import SingleFlight


class Call:
    """Waits until it is let go; then its result is how often it was called, or it raises."""

    def __init__(self, fault: BaseException | None = None) -> None:
        self.calls = 0
        self.go = trio.Event()
        self._fault = fault

    async def __call__(self) -> int | None:
        self.calls += 1
        await self.go.wait()
        if self._fault is not None:
            raise self._fault
        return self.calls


async def test_calls_of_one_key_are_one_and_those_of_another_are_their_own() -> None:
    flights = SingleFlight[str, int | None]()
    first, second = Call(), Call()
    results: list[tuple[str, int | None]] = []

    async def asks(key: str, call: Call) -> None:
        results.append((key, await flights.run(key, call)))

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(asks, "one", first)
        nursery.start_soon(asks, "two", second)
        await trio.testing.wait_all_tasks_blocked()
        assert len(flights) == 2 and not results
        first.go.set()
        second.go.set()
    assert sorted(results) == [("one", 1)] * 10 + [("two", 1)]
    assert (first.calls, second.calls, len(flights)) == (1, 1, 0)


async def test_a_result_is_not_kept() -> None:
    flights, call = SingleFlight[str, int | None](), Call()
    call.go.set()
    assert [await flights.run("one", call), await flights.run("one", call)] == [1, 2]


async def test_none_is_a_result_too() -> None:
    flights, go = SingleFlight[str, None](), trio.Event()
    results: list[None] = []

    async def asks() -> None:
        results.append(await flights.run("one", go.wait))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(asks)
        nursery.start_soon(asks)
        await trio.testing.wait_all_tasks_blocked()
        go.set()
    assert results == [None, None]


async def test_an_error_is_the_first_caller_s_and_those_who_wait_hear_that_it_failed() -> None:
    flights, call = SingleFlight[str, int | None](), Call(KeyError("x"))
    errors: list[str] = []

    async def asks() -> None:
        try:
            await flights.run("one", call)
        except (KeyError, RuntimeError) as error:
            errors.append(type(error).__name__)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(asks)
        await trio.testing.wait_all_tasks_blocked()
        call.go.set()
    assert sorted(errors) == ["KeyError", "RuntimeError", "RuntimeError"]
    assert len(flights) == 0


async def test_a_first_caller_that_is_cancelled_leaves_nobody_waiting() -> None:
    flights, call = SingleFlight[str, int | None](), Call()
    first = trio.CancelScope()

    async def leaves() -> None:
        with first:
            await flights.run("one", call)

    async def waits() -> None:
        with pytest.raises(RuntimeError):
            await flights.run("one", call)

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(leaves)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(waits)
            await trio.testing.wait_all_tasks_blocked()
            first.cancel()
    assert len(flights) == 0


async def test_one_who_waits_may_leave_and_the_others_are_served() -> None:
    flights, call = SingleFlight[str, int | None](), Call()
    results: list[int | None] = []
    leaving = trio.CancelScope()

    async def asks(scope: trio.CancelScope) -> None:
        with scope:
            results.append(await flights.run("one", call))

    async with trio.open_nursery() as nursery:
        for scope in (trio.CancelScope(), leaving, trio.CancelScope()):
            nursery.start_soon(asks, scope)
            await trio.testing.wait_all_tasks_blocked()
        leaving.cancel()
        await trio.testing.wait_all_tasks_blocked()
        call.go.set()
    assert results == [1, 1]
