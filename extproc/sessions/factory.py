"""Opens the sessions and the store that the settings ask for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import assert_never

import trio

from extproc.metrics import Metrics
from extproc.sessions.cookie import CookieSessions
from extproc.sessions.epoch import Epoch
from extproc.sessions.instrumented import InstrumentedStore
from extproc.sessions.interfaces import Sessions
from extproc.sessions.memory import MemoryRevocations
from extproc.sessions.rotation import SharedRotationGrace
from extproc.sessions.sqlite.store import SQLiteStore
from extproc.sessions.store import SessionStore
from extproc.sessions.stored import StoredSessions
from extproc.settings import CookieSettings, StoreSettings, TombstoneSettings

# Seconds that a short visit waits for a remote store.
PATIENCE = 2.0
_LOOK_EVERY = 0.05


def open_sessions(settings: StoreSettings, metrics: Metrics | None = None) -> Sessions:
    """Open the sessions that the settings ask for, for the life of a process.

    Args:
        settings: `store` of the settings.
        metrics: what measures the store's operations; without it they are not measured.

    Raises:
        StoreUnavailable: the store can never be used, for example because its file is not a
            database of this program.
    """
    if isinstance(settings, CookieSettings):
        if settings.tombstones is None:
            return CookieSessions(MemoryRevocations())
        store = open_store(settings.tombstones, "store.tombstones")
        shared = _measured(store, settings.tombstones, metrics)
        return CookieSessions(shared, SharedRotationGrace(shared))
    return StoredSessions(_measured(open_store(settings, "store"), settings, metrics))


def epoch_of(settings: StoreSettings, sessions: Sessions) -> Epoch | None:
    """The epoch of the store of these sessions; None if they have none but this process."""
    in_cookies = isinstance(settings, CookieSettings)
    store = settings.tombstones if isinstance(settings, CookieSettings) else settings
    if store is None:
        return None
    note = store.path.with_name(f"{store.path.name}-epoch") if store.kind == "sqlite" else None
    return Epoch(sessions, note, counts_empty=in_cookies)


@asynccontextmanager
async def opened(settings: StoreSettings) -> AsyncIterator[Sessions]:
    """Open the sessions for a short visit from outside of the processor, and close them afterwards.

    Waits for a remote store, but at most PATIENCE seconds: `missing` of the sessions is the reason
    if it is not there by then. Raises StoreUnavailable as open_sessions().
    """
    sessions = open_sessions(settings)
    try:
        await sessions.start()
        with trio.move_on_after(PATIENCE):
            while sessions.missing is not None:  # noqa: ASYNC110 - a visit is rare and short
                await trio.sleep(_LOOK_EVERY)
        yield sessions
    finally:
        with trio.CancelScope(shield=True):
            await sessions.aclose()


def open_store(settings: TombstoneSettings, key: str = "store") -> SessionStore:
    """Open a store proper, whether it keeps sessions or tombstones.

    Args:
        settings: of the store.
        key: where these settings stand, for messages to the operator.

    Raises:
        StoreUnavailable: the store can never be used.
    """
    match settings.kind:
        case "sqlite":
            return SQLiteStore(settings.path, key=key)
        case "redis":
            # Imported here, so that a processor without Redis does not load its client.
            from extproc.sessions.redis.factory import redis_store

            return redis_store(settings, key)
        case _:
            assert_never(settings.kind)


def _measured(
    store: SessionStore, settings: TombstoneSettings, metrics: Metrics | None
) -> SessionStore:
    if metrics is None:
        return store
    return InstrumentedStore(store, settings.kind, metrics)
