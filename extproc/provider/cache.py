"""Cache: one document of a provider (metadata, key set), fetched once for all who wait for it.

While the provider is away, the last copy serves for a day.
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
STALE = 86_400.0  # seconds for which an old copy serves while the provider is away
RETRY_FIRST = 0.5  # seconds of back-off after the first failure, doubled with each
RETRY_MOST = 2.0


@dataclass(frozen=True, slots=True)
class _Held(Generic[T]):
    value: T
    at: float


class Cache(Generic[T]):
    """Holds one value, and fetches it at most once at a time.

    Args:
        fetch: Fetches the value.
        fresh: Seconds after which the value is due for a refresh.
        provider: The provider's name, for the log.
    """

    def __init__(
        self, fetch: Callable[[], Awaitable[T]], fresh: float, provider: str | None = None
    ) -> None:
        self._fetch = fetch
        self._fresh = fresh
        self._provider = provider
        self._held: _Held[T] | None = None
        self._lock = trio.Lock()
        self._failed: Refusal | None = None
        self._failures = 0
        self._not_before = 0.0
        self._fetched_again = float("-inf")

    def get_nowait(self) -> T | None:
        """Return the value if there is one that is not too old, due for a refresh or not."""
        if self._held is None or time.monotonic() >= self._held.at + STALE:
            return None
        return self._held.value

    @property
    def due(self) -> bool:
        """Whether the value is missing or should be refreshed."""
        return self._held is None or time.monotonic() >= self._held.at + self._fresh

    @property
    def waiting(self) -> bool:
        """Whether a fetch failed so lately that the next must wait."""
        return time.monotonic() < self._not_before

    @property
    def age(self) -> float | None:
        """Seconds since the value was fetched; None without a value."""
        return time.monotonic() - self._held.at if self._held is not None else None

    async def get(self) -> T:
        """Return the value, fetched if there is none.

        Raises:
            Refusal: The fetch failed, for this caller or, while that is backing off, for another.
        """
        value = self.get_nowait()
        if value is not None:
            return value
        called = time.monotonic()
        async with self._lock:
            value = self.get_nowait()
            if value is not None:
                return value
            # Callers that waited here while another's fetch failed get its error too, because a
            # provider that is down should get one call and not one for each.
            if self._failed is not None and (self.waiting or called < self._not_before):
                raise self._failed
            return await self._fetch_now()

    async def refresh(self) -> T:
        """Fetch the value, whatever the age of the present one.

        Raises:
            Refusal: The fetch failed; the present value stays.
        """
        async with self._lock:
            return await self._fetch_now()

    async def again(self, cool_down: float) -> T:
        """Return a newer value because the present one does not do, with at most one fetch in
        `cool_down` seconds; within them, the present value.

        Scheduled refreshes do not start the cool-down, so keys that rotate a moment after one are
        found immediately.

        Raises:
            Refusal: The fetch failed.
        """
        called = time.monotonic()
        async with self._lock:
            now = time.monotonic()
            if self._held is not None and (
                self._held.at >= called or now < self._fetched_again + cool_down or self.waiting
            ):
                return self._held.value
            before = self._fetched_again
            self._fetched_again = now
            try:
                return await self._fetch_now()
            except trio.Cancelled:
                # It is unknown what the fetch would have brought, so the next caller may fetch.
                self._fetched_again = before
                raise

    async def _fetch_now(self) -> T:
        try:
            value = await self._fetch()
        except Refusal as error:
            self._fail(error)
            raise
        except Exception as error:
            # A bug backs off like any failure; otherwise all callers would fetch, one by one.
            background.bug("provider_call_failed", error, provider=self._provider)
            failed = InvalidAnswer(f"the fetch met a bug: {type(error).__qualname__}")
            self._fail(failed)
            raise failed from error
        self._held = _Held(value, time.monotonic())
        self._failed = None
        self._failures = 0
        self._not_before = 0.0
        return value

    def _fail(self, error: Refusal) -> None:
        self._failed = error
        self._failures += 1
        most = min(RETRY_FIRST * 2 ** min(self._failures - 1, 10), RETRY_MOST)
        self._not_before = time.monotonic() + random.uniform(most / 2, most)  # noqa: S311 - jitter
