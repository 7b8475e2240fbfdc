"""Calls that run concurrently, and blocks that are finished although their client has left."""

from functools import partial

import httpx
import pytest
import trio

from extproc.concurrency import GRACE, run_all, run_both, shielded_until_deadline
from extproc.core.provider_errors import ProviderTimeout

ERRORS = (
    RuntimeError, ValueError, KeyError, UnicodeError, httpx.InvalidURL, AttributeError, RecursionError, MemoryError,
    lambda text: ExceptionGroup(text, [RuntimeError(text)]), ProviderTimeout,
)  # fmt: skip


async def returns(value: object, after: float = 0) -> object:
    await trio.sleep(after)
    return value


@pytest.mark.attack("REL-42")
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: getattr(error, "__name__", "group"))
async def test_the_first_error_of_calls_side_by_side_comes_out_as_it_is(error) -> None:
    async def fails() -> None:
        raise error("x")

    with pytest.raises(type(error("x"))) as raised:
        await run_all(trio.sleep_forever, fails)
    if not isinstance(error("x"), ExceptionGroup):
        assert not isinstance(raised.value, ExceptionGroup)
    with pytest.raises(type(error("x"))):
        await run_both(trio.sleep_forever, fails)


async def test_results_come_in_the_order_of_the_calls_whichever_ends_first(autojump_clock) -> None:
    calls = [partial(returns, number, 3 - number) for number in range(3)]
    started = trio.current_time()
    assert await run_all(*calls) == [0, 1, 2]
    assert trio.current_time() - started == 3
    assert await run_all() == []
    assert await run_both(partial(returns, "a", 2), partial(returns, 1, 1)) == ("a", 1)


async def test_calls_of_a_client_that_has_left_are_cancelled() -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await run_all(trio.sleep_forever, trio.sleep_forever)
    assert scope.cancelled_caught


@pytest.mark.parametrize("deadline", [None, 5.0])
async def test_a_shielded_block_ends_although_its_client_leaves(autojump_clock, deadline) -> None:
    done = []
    with trio.move_on_after(5) as scope:
        given = None if deadline is None else trio.current_time() + deadline
        with shielded_until_deadline(given):
            scope.cancel()
            await trio.sleep(4)
            done.append("shielded")
        await trio.lowlevel.checkpoint()
        done.append("not reached")
    assert done == ["shielded"]


async def test_a_shielded_block_ends_with_an_error_at_the_deadline(autojump_clock) -> None:
    started = trio.current_time()
    with trio.move_on_after(5), pytest.raises(trio.TooSlowError), shielded_until_deadline():
        await trio.sleep_forever()
    assert trio.current_time() - started == 5


async def test_a_block_whose_client_had_left_before_has_a_grace(autojump_clock) -> None:
    started = trio.current_time()
    with trio.move_on_after(60) as scope:
        scope.cancel()
        with pytest.raises(trio.TooSlowError), shielded_until_deadline():
            await trio.sleep_forever()
    assert trio.current_time() - started == GRACE


async def test_an_earlier_deadline_counts_although_the_client_has_left_since(
    autojump_clock,
) -> None:
    started = trio.current_time()
    with trio.move_on_after(2) as scope:
        deadline = trio.current_effective_deadline()
        scope.cancel()
        with pytest.raises(trio.TooSlowError), shielded_until_deadline(deadline):
            await trio.sleep_forever()
    assert trio.current_time() - started == 2
