"""Upkeep: keeps a provider's metadata and keys fresh in the background."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import trio

from extproc import background, telemetry
from extproc.core.errors import Refusal
from extproc.core.oidc.jose import KeySet
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.core.provider_errors import InvalidAnswer
from extproc.provider.cache import Cache
from extproc.provider.http import HttpClient
from extproc.provider.reports import Reports

T = TypeVar("T")

LOOK_EVERY = 5.0  # seconds between two looks at what is due
LOOK_AGAIN = 0.5  # seconds between them while metadata or keys are missing


class Upkeep:
    """Fetches what a provider's caches miss, with back-off, and refreshes what is due.

    Args:
        name: The provider's name in the settings.
        metadata: The cache of its metadata.
        keys: The cache of its key set.
        http: Its connections, of which idle ones are closed.
    """

    def __init__(
        self, name: str, metadata: Cache[ProviderMetadata], keys: Cache[KeySet], http: HttpClient
    ) -> None:
        self._name = name
        self._metadata = metadata
        self._keys = keys
        self._http = http
        self._reports = Reports()

    @property
    def missing(self) -> str | None:
        """Why the provider is not ready, for the operator; None if it is."""
        if self._metadata.get_nowait() is None:
            return "its metadata was not fetched yet"
        return "its key set was not fetched yet" if self._keys.get_nowait() is None else None

    async def run(self) -> None:
        """Run until it is cancelled."""
        while True:
            # The keys' URL is in the metadata, so without metadata the keys are not tried: that
            # would count as their failure.
            refreshed = await self._refresh_if_due(self._metadata)
            if refreshed and self._metadata.get_nowait() is not None:
                await self._refresh_if_due(self._keys)
            await self._http.close_idle()
            await trio.sleep(LOOK_AGAIN if self.missing else LOOK_EVERY)

    async def _refresh_if_due(self, cache: Cache[T]) -> bool:
        """Return False if the cache was due and could not be refreshed."""
        if not cache.due or cache.waiting:
            return True
        try:
            with only_refusals(self._name):
                await cache.refresh()
        except Refusal as error:
            telemetry.log(
                self._reports.level(error),
                "provider_not_ready",
                provider=self._name,
                reason=error.reason,
                detail=error.detail,
            )
            return False
        self._reports.ready()
        return True


@contextmanager
def only_refusals(provider: str) -> Iterator[None]:
    """Turn a bug, of extproc or of a library, into a refusal, so that it concerns only requests of
    this provider.
    """
    try:
        yield
    except Refusal:
        raise
    except Exception as error:
        background.bug("provider_call_failed", error, provider=provider)
        raise InvalidAnswer(
            f"provider {provider}: the call met {type(error).__qualname__}"
        ) from error
