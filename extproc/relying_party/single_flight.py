"""SingleFlight: one call per key at a time, whose result serves all who wait for it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import trio

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True, eq=False)
class _InFlight(Generic[V]):
    done: trio.Event = field(default_factory=trio.Event)
    results: list[V] = field(default_factory=list, repr=False)  # one result, or none if it failed


class SingleFlight(Generic[K, V]):
    """Runs one call per key at a time. Nothing is kept of a call once it has ended."""

    def __init__(self) -> None:
        self._in_flight: dict[K, _InFlight[V]] = {}

    def __len__(self) -> int:
        return len(self._in_flight)

    async def run(self, key: K, call: Callable[[], Awaitable[V]]) -> V:
        """Make the call, or wait for the one that is under way for this key.

        The call runs in the task of its first caller: it should shield itself if that caller's
        cancellation must not concern the others.

        Raises:
            RuntimeError: The call of another caller failed. That caller gets the error itself.
        """
        in_flight = self._in_flight.get(key)
        if in_flight is not None:
            await in_flight.done.wait()
            if not in_flight.results:
                raise RuntimeError("the call that was waited for has failed")
            return in_flight.results[0]
        in_flight = self._in_flight[key] = _InFlight()
        try:
            result = await call()
            in_flight.results.append(result)
            return result
        finally:
            del self._in_flight[key]
            in_flight.done.set()
