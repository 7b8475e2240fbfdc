"""What an operator does with all sessions, in stores that hold much else."""

import json
import os

import pytest
from harness.redis import PATIENT, Servers
from harness.tokens import NOW, application, request, session
from unit.admin.conftest import in_a_file

from extproc.admin.session_admin import SessionAdmin, SessionSelector
from extproc.core.device import Device
from extproc.core.session import SessionId
from extproc.sessions.factory import open_store
from extproc.sessions.stored import StoredSessions
from extproc.settings import RedisSettings, Settings

__all__ = ["in_a_file"]

SESSIONS, MARKERS = 30, 1_500


@pytest.fixture(params=["redis", "cluster"])
def in_redis(
    request: pytest.FixtureRequest, in_a_file: Settings, redis_servers: Servers
) -> Settings:
    places = {
        "redis": ("single", [redis_servers.redis.address]),
        "cluster": ("cluster", redis_servers.cluster.addresses[:2]),
    }
    mode, servers = places[request.param]
    store = {
        "kind": "redis",
        "mode": mode,
        "servers": servers,
        "deadline": PATIENT,
        "connect": PATIENT,
        "key_prefix": f"extproc:admin:{os.urandom(4).hex()}:",
    }
    return in_a_file.model_copy(
        update={"store": RedisSettings.model_validate_json(json.dumps(store))}
    )


async def test_all_sessions_end_although_other_keys_outnumber_them(in_redis: Settings) -> None:
    """Redis walks through all keys: a walk that begins again and again would never end."""
    app = application(ring=in_redis.key_ring())
    store = open_store(in_redis.store)
    for number in range(MARKERS):
        await store.use_once(b"attempt %d" % number, NOW + 1800, NOW)
    for number in range(SESSIONS):
        one = session(id=SessionId.of(number.to_bytes(32, "big")))
        await StoredSessions(store).create(app, request(), one, Device(), None)
    admin = SessionAdmin(in_redis, lambda: NOW)
    assert await admin.end(SessionSelector()) == SESSIONS
    assert await admin.listed(SessionSelector()) == ()
    await store.aclose()
