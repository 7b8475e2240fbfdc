"""A value of a provider's that is fetched once for all who wait, kept while it is young, and for a
day while its source is away.
"""

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import trio

from extproc import background
from extproc.core.errors import InvalidAnswer, Refusal

T = TypeVar("T")
STALE = 86_400.0  # how long an old copy serves while the provider is away
RETRY_FIRST, RETRY_MOST = 0.5, 2.0  # back-off between attempts at a value that is missing


@dataclass(frozen=True, slots=True)
class _Held(Generic[T]):
    value: T
    at: float


class Cache(Generic[T]):
    """One value that is fetched once for all who wait, and kept."""

    def __init__(
        self, fetch: Callable[[], Awaitable[T]], fresh: float, provider: str | None = None
    ) -> None:
        """provider: its name, for the log."""
        self._fetch, self._provider = fetch, provider
        self._fresh = fresh
        self._held: _Held[T] | None = None
        self._lock = trio.Lock()
        self._failed: Refusal | None = None
        self._failures = 0
        self._not_before = 0.0
        self._asked_again = float("-inf")

    def get_nowait(self) -> T | None:
        """The value, if it may still be used; whether it is due for a refresh is `due`."""
        held = self._held
        return held.value if held is not None and time.monotonic() < held.at + STALE else None

    @property
    def due(self) -> bool:
        return self._held is None or time.monotonic() >= self._held.at + self._fresh

    @property
    def waiting(self) -> bool:
        """A fetch failed a moment ago and the next is not due yet."""
        return time.monotonic() < self._not_before

    @property
    def age(self) -> float | None:
        return time.monotonic() - self._held.at if self._held is not None else None

    async def get(self) -> T:
        """The value, fetched when there is none. Raises what the fetch raised, at once while a
        failed one is backing off.
        """
        if (value := self.get_nowait()) is not None:
            return value
        asked = time.monotonic()
        async with self._lock:
            if (value := self.get_nowait()) is not None:
                return value
            # those who waited here while another's fetch failed hear of it too: a down provider
            # gets one call, not one each
            if self._failed is not None and (self.waiting or asked < self._not_before):
                raise self._failed
            return await self._fetch_now()

    async def refresh(self) -> T:
        """A new value, whatever the age of the one that is there."""
        async with self._lock:
            return await self._fetch_now()

    async def again(self, cool_down: float) -> T:
        """A new value because the one that is there does not do: at most one fetch in `cool_down`
        seconds, shared by all who ask.

        Scheduled refreshes do not start the cool-down, so keys that rotate a moment after one are
        found at once.
        """
        asked = time.monotonic()
        async with self._lock:
            now = time.monotonic()
            if self._held is not None and (
                self._held.at >= asked or now < self._asked_again + cool_down or self.waiting
            ):
                return self._held.value
            before, self._asked_again = self._asked_again, now
            try:
                return await self._fetch_now()
            except trio.Cancelled:  # nobody knows what it would have brought: the next one asks
                self._asked_again = before
                raise

    async def _fetch_now(self) -> T:
        try:
            value = await self._fetch()
        except Refusal as error:
            self._fail(error)
            raise
        except Exception as error:
            # a bug backs off as any failure does, or all who ask would fetch one after another
            background.bug("provider_call_failed", error, provider=self._provider)
            failed = InvalidAnswer(
                f"what was fetched met an error of ours: {type(error).__qualname__}"
            )
            self._fail(failed)
            raise failed from error
        self._held, self._failed, self._failures, self._not_before = (
            _Held(value, time.monotonic()),
            None,
            0,
            0.0,
        )
        return value

    def _fail(self, error: Refusal) -> None:
        self._failed = error
        self._failures += 1
        most = min(RETRY_FIRST * 2 ** min(self._failures - 1, 10), RETRY_MOST)
        self._not_before = time.monotonic() + random.uniform(most / 2, most)  # noqa: S311 - jitter
