"""Calls that run concurrently, and blocks that are finished although their client has left. Runs in
trio.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

import trio

T = TypeVar("T")


class Result(Generic[T]):
    value: T


class Together:
    """Calls side by side in one nursery; the first that fails cancels the others, and its error
    comes out as it is.
    """

    def __init__(self) -> None:
        self._error: Exception | None = None
        self._manager = trio.open_nursery()

    async def __aenter__(self) -> "Together":
        self._nursery = await self._manager.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._manager.__aexit__(*exc)  # type: ignore[arg-type]
        if self._error is not None:
            raise self._error

    def start(self, call: Callable[[], Awaitable[T]]) -> Result[T]:
        result: Result[T] = Result()

        async def child() -> None:
            try:
                result.value = await call()
            except Exception as error:  # whatever it is: in a group nobody would know it again
                self._error = self._error or error
                self._nursery.cancel_scope.cancel()

        self._nursery.start_soon(child)
        return result


GRACE = 4.0  # seconds; less than Envoy waits beyond our deadline


def finished() -> AbstractContextManager[trio.CancelScope]:
    """Raises TooSlowError at the deadline. Where the client had left before this began, what that
    was is not known any more: GRACE.
    """
    deadline = trio.current_effective_deadline()
    return trio.fail_at(
        deadline if deadline > -float("inf") else trio.current_time() + GRACE, shield=True
    )
