"""Makes the Redis store that the settings ask for."""

import ssl
from collections.abc import Callable

import trio

from extproc.core.errors import StoreUnavailable
from extproc.sessions.redis.connection import Login
from extproc.sessions.redis.server import Limits
from extproc.sessions.redis.store import RedisStore
from extproc.sessions.redis.topology import Cluster, Sentinel, Single, Topology
from extproc.settings import RedisSettings
from extproc.settings.files import client_context


def redis_store(settings: RedisSettings, key: str) -> RedisStore:
    """Make the store, without a connection yet; `key` is where its settings stand.

    Raises StoreUnavailable for a ca_file that cannot be read, or is no certificate.
    """
    tls = _tls_context(settings, key) if settings.tls else None
    login = Login(settings.username, settings.secret(), settings.db, tls, f"{key}.password")
    limits = Limits(settings.deadline, settings.connect)

    def topology(nursery: trio.Nursery) -> Topology:
        match settings.mode:
            case "single":
                return Single(settings.servers[0], login, limits, nursery)
            case "sentinel":
                name = settings.master or ""
                at_sentinel = _sentinel_login(settings, key, tls)
                return Sentinel(settings.servers, name, login, at_sentinel, limits, nursery)
            case "cluster":
                return Cluster(settings.servers, login, limits, nursery)

    # A name with a type, so that mypy checks that every mode gives a topology.
    make: Callable[[trio.Nursery], Topology] = topology
    return RedisStore(make, settings.key_prefix, settings.waits_for, limits)


def _sentinel_login(settings: RedisSettings, key: str, tls: ssl.SSLContext | None) -> Login:
    secret = settings.sentinel_secret()
    return Login(settings.sentinel_username, secret, 0, tls, f"{key}.sentinel_password")


def _tls_context(settings: RedisSettings, key: str) -> ssl.SSLContext:
    try:
        return client_context(settings.ca_file)
    except OSError as error:
        raise StoreUnavailable(f"{key}.ca_file {settings.ca_file}: {error.strerror}") from None
