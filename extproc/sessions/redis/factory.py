"""The Redis store that the settings ask for."""

import ssl
from collections.abc import Callable

import trio

from extproc.core.errors import StoreUnavailable
from extproc.sessions.redis.connection import Limits, Login
from extproc.sessions.redis.store import RedisStore
from extproc.sessions.redis.topology import Cluster, Sentinel, Single, Topology
from extproc.settings import RedisSettings


def redis_store(settings: RedisSettings, key: str) -> RedisStore:
    """key: where the settings stand. Nothing is connected to yet. Raises StoreUnavailable for a
    ca_file that is none.
    """
    tls = _context(settings, key) if settings.tls else None
    login = Login(settings.username, settings.secret(), settings.db, tls, f"{key}.password")
    limits = Limits(settings.deadline, settings.connect)

    def topology(nursery: trio.Nursery) -> Topology:
        match settings.mode:
            case "single":
                return Single(settings.servers[0], login, limits, nursery)
            case "sentinel":
                at_sentinel = Login(
                    settings.sentinel_username,
                    settings.sentinel_secret(),
                    0,
                    tls,
                    f"{key}.sentinel_password",
                )
                return Sentinel(
                    settings.servers, settings.master or "", login, at_sentinel, limits, nursery
                )
            case "cluster":
                return Cluster(settings.servers, login, limits, nursery)

    made: Callable[[trio.Nursery], Topology] = topology
    return RedisStore(made, settings.key_prefix, settings.waits_for, limits)


def _context(settings: RedisSettings, key: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        why = "is no PEM certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise StoreUnavailable(f"{key}.ca_file {settings.ca_file}: {why}") from None
