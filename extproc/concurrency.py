"""Calls side by side in one nursery, whose first error comes out as it is."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import trio

T = TypeVar("T")


class Result(Generic[T]):
    value: T


class Together:
    """Calls side by side in one nursery; the first that fails cancels the others, and its error comes out as it is."""

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
