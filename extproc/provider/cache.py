"""Cache: one document of a provider (metadata, key set), fetched once for all who wait for it.

While the provider is away, the last copy serves for a day.
"""

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import trio

from extproc import background
from extproc.core.errors import InvalidMetadata, Refusal
from extproc.core.provider_errors import InvalidAnswer

T = TypeVar("T")
STALE = 86_400.0  # seconds for which an old copy serves while the provider is away
RETRY_FIRST = 0.5  # seconds of back-off after the first failure, doubled with each
RETRY_MOST = 2.0
# The same for metadata that cannot be used: only a change at the provider helps, not another try.
RETRY_UNUSABLE = 30.0


@dataclass(frozen=True, slots=True)
class _Held(Generic[T]):
    """A value; `begun` and `at`: when its fetch began and ended, by the monotonic clock."""

    value: T
    begun: float
    at: float


@dataclass(slots=True)
class CoolDown:
    """How often one group of callers may have a value fetched again.

    Each group has its own, so that callers whom anybody can imitate spend no fetch of the others.

    Args:
        seconds: Between the beginnings of two fetches.
    """

    seconds: float
    begun: float = field(default=float("-inf"), init=False)


@dataclass(frozen=True, slots=True)
class Newer(Generic[T]):
    """The newest value that could be had.

    certain: whether its fetch began after the caller asked; otherwise the provider may have a newer
    value already.
    """

    value: T
    certain: bool


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

    @property
    def failed(self) -> Refusal | None:
        """Why the last fetch failed; None if it did not."""
        return self._failed

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

    async def again(self, cool_down: CoolDown) -> Newer[T]:
        """Return a newer value because the present one does not do, with at most one fetch in
        a cool-down; within it, the present value.

        Scheduled refreshes start no cool-down, so keys that rotate a moment after one are found
        immediately.

        Raises:
            Refusal: The fetch failed.
        """
        called = time.monotonic()
        async with self._lock:
            now = time.monotonic()
            held = self._held
            cooling = now < cool_down.begun + cool_down.seconds
            certain = held is not None and held.begun >= called
            if held is not None and (certain or cooling or self.waiting):
                return Newer(held.value, certain)
            before = cool_down.begun
            cool_down.begun = now
            try:
                return Newer(await self._fetch_now(), certain=True)
            except trio.Cancelled:
                # It is unknown what the fetch would have brought, so the next caller may fetch.
                cool_down.begun = before
                raise

    async def _fetch_now(self) -> T:
        begun = time.monotonic()
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
        self._held = _Held(value, begun, time.monotonic())
        self._failed = None
        self._failures = 0
        self._not_before = 0.0
        return value

    def _fail(self, error: Refusal) -> None:
        self._failed = error
        self._failures += 1
        longest = RETRY_UNUSABLE if isinstance(error, InvalidMetadata) else RETRY_MOST
        most = min(RETRY_FIRST * 2 ** min(self._failures - 1, 10), longest)
        self._not_before = time.monotonic() + random.uniform(most / 2, most)  # noqa: S311 - jitter
