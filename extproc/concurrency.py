"""Helpers for structured concurrency in trio: concurrent calls, and blocks that are finished
although their client has left.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import TypeVar

import trio

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")

# Seconds for a block whose client had left before it began; less than Envoy waits beyond the
# processor's own deadline.
GRACE = 4.0


async def run_all(*calls: Callable[[], Awaitable[T]]) -> list[T]:
    """Run calls concurrently and return their results in order.

    The first error cancels the other calls and is raised as it is: in an exception group no caller
    would recognise it.
    """
    results: dict[int, T] = {}
    errors: list[Exception] = []

    async def run(number: int, call: Callable[[], Awaitable[T]]) -> None:
        try:
            results[number] = await call()
        except Exception as error:
            errors.append(error)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for number, call in enumerate(calls):
            nursery.start_soon(run, number, call)
    if errors:
        raise errors[0]
    return [results[number] for number in range(len(calls))]


async def run_both(
    first: Callable[[], Awaitable[A]], second: Callable[[], Awaitable[B]]
) -> tuple[A, B]:
    """Run two calls of different types concurrently, as `run_all` does, and return both results."""
    first_result: list[A] = []
    second_result: list[B] = []

    async def run(call: Callable[[], Awaitable[T]], result: list[T]) -> None:
        result.append(await call())

    await run_all(partial(run, first, first_result), partial(run, second, second_result))
    return first_result[0], second_result[0]


def shielded_until_deadline(deadline: float | None = None) -> AbstractContextManager[object]:
    """Finish a block although the client leaves meanwhile.

    Args:
        deadline: When to give up, on trio's clock. Default: the deadline in force. If the client
            had already left, trio no longer reports a deadline; GRACE seconds are used instead.

    Raises:
        trio.TooSlowError: At the deadline.
    """
    if deadline is None:
        deadline = trio.current_effective_deadline()
        if deadline == -float("inf"):
            deadline = trio.current_time() + GRACE
    return trio.fail_at(deadline, shield=True)
