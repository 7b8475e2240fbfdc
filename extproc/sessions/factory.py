"""The sessions and the store that the settings ask for."""

from typing import assert_never

from extproc.metrics import Metrics
from extproc.sessions.cookie import CookieSessions
from extproc.sessions.instrumented import InstrumentedStore
from extproc.sessions.interfaces import Sessions, SessionStore
from extproc.sessions.memory import MemoryRevocations
from extproc.sessions.rotation import SharedRotationGrace
from extproc.sessions.sqlite.store import SQLiteStore
from extproc.sessions.stored import StoredSessions
from extproc.settings import CookieSettings, StoreSettings, TombstoneSettings


def open_sessions(settings: StoreSettings, metrics: Metrics | None = None) -> Sessions:
    """With metrics: measured. Raises StoreUnavailable where the store cannot be used at all, such
    as a file that is no database of ours.
    """
    if isinstance(settings, CookieSettings):
        if settings.tombstones is None:
            return CookieSessions(MemoryRevocations())
        shared = _measured(
            open_store(settings.tombstones, "store.tombstones"), settings.tombstones, metrics
        )
        return CookieSessions(shared, SharedRotationGrace(shared))
    return StoredSessions(_measured(open_store(settings, "store"), settings, metrics))


def _measured(
    store: SessionStore, settings: TombstoneSettings, metrics: Metrics | None
) -> SessionStore:
    return InstrumentedStore(store, settings.kind, metrics) if metrics is not None else store


def open_store(settings: TombstoneSettings, key: str = "store") -> SessionStore:
    """A store proper, whether sessions or tombstones are kept in it. key: where the settings
    stand.
    """
    match settings.kind:
        case "sqlite":
            return SQLiteStore(settings.path)
        case "redis":
            from extproc.sessions.redis.factory import redis_store

            return redis_store(settings, key)
        case _:
            assert_never(settings.kind)
