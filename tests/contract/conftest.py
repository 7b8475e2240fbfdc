"""Every kind of store, for the one suite that runs against each of them.

A kind is a context manager over a test's folder, and over the servers that all tests share, that
gives a function: it opens the store once more, as another process would.
"""

import json
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from harness.redis import PATIENT, Servers

from extproc.sessions.factory import open_store
from extproc.sessions.sqlite.store import SQLiteStore
from extproc.sessions.store import SessionStore
from extproc.settings import RedisSettings

Opener = Callable[[], SessionStore]


@contextmanager
def sqlite(folder: Path, _: Servers) -> Iterator[Opener]:
    yield lambda: SQLiteStore(folder / "sessions.sqlite3")


def redis(
    settings: Callable[[Servers], Mapping[str, object]],
) -> Callable[[Path, Servers], AbstractContextManager[Opener]]:
    """One of the servers that all tests share; each test has a prefix of its own there."""

    @contextmanager
    def kind(folder: Path, servers: Servers) -> Iterator[Opener]:
        common = {
            "kind": "redis",
            "deadline": PATIENT,
            "connect": PATIENT,
            "key_prefix": f"extproc:{folder.name}:{os.urandom(4).hex()}:",
        }
        chosen = RedisSettings.model_validate_json(json.dumps({**common, **settings(servers)}))
        yield lambda: open_store(chosen)

    return kind


KINDS: dict[str, Callable[[Path, Servers], AbstractContextManager[Opener]]] = {
    "sqlite": sqlite,
    "redis": redis(lambda servers: {"servers": [servers.redis.address]}),
    "valkey": redis(lambda servers: {"servers": [servers.valkey.address]}),
    "TLS and ACL": redis(
        lambda servers: {
            "servers": [servers.secured.address],
            "tls": True,
            "ca_file": str(servers.ca_file),
            "username": "extproc",
            "password": servers.password,
        }
    ),
    "sentinel": redis(
        lambda servers: {
            "mode": "sentinel",
            "servers": servers.replicated.sentinels,
            "master": servers.replicated.name,
        }
    ),
    "cluster": redis(lambda servers: {"mode": "cluster", "servers": servers.cluster.addresses[:2]}),
}


@pytest.fixture(params=KINDS)
def opener(
    request: pytest.FixtureRequest, tmp_path: Path, redis_servers: Servers
) -> Iterator[Opener]:
    with KINDS[request.param](tmp_path, redis_servers) as opened:
        yield opened


@pytest.fixture
async def store(opener: Opener) -> AsyncIterator[SessionStore]:
    opened = opener()
    yield opened
    await opened.aclose()


@pytest.fixture
async def other(opener: Opener) -> AsyncIterator[SessionStore]:
    """The same store, as another process has it."""
    opened = opener()
    yield opened
    await opened.aclose()
