"""The sessions and stores that settings ask for, for the life of a process or for a visit."""

import json
from dataclasses import replace

import pytest
import trio
from harness.tokens import NOW, application, request, session
from pydantic import TypeAdapter

from extproc.core.device import Device
from extproc.core.errors import StoreUnavailable
from extproc.metrics import Metrics
from extproc.sessions.cookie import CookieSessions
from extproc.sessions.factory import epoch_of, open_sessions, open_store, opened
from extproc.sessions.instrumented import InstrumentedStore
from extproc.sessions.memory import MemoryRevocations
from extproc.sessions.redis.store import RedisStore
from extproc.sessions.sqlite.store import SQLiteStore
from extproc.sessions.stored import StoredSessions
from extproc.settings import StoreSettings

APP = application()
SETTINGS: TypeAdapter[StoreSettings] = TypeAdapter(StoreSettings)


def settings(**values: object) -> StoreSettings:
    return SETTINGS.validate_json(json.dumps(values, default=str))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "sessions.sqlite3"


async def test_sqlite_is_a_store_of_sessions(file):
    sessions = open_sessions(settings(kind="sqlite", path=file))
    assert isinstance(sessions, StoredSessions) and isinstance(sessions.store, SQLiteStore)
    await sessions.aclose()


async def test_cookies_have_revocations_of_their_own_or_in_a_store(file):
    alone = open_sessions(settings(kind="cookie"))
    assert isinstance(alone, CookieSessions) and isinstance(alone.revocations, MemoryRevocations)
    shared = open_sessions(settings(kind="cookie", tombstones={"path": file}))
    assert isinstance(shared, CookieSessions) and isinstance(shared.revocations, SQLiteStore)
    await shared.aclose()


@pytest.mark.parametrize("kind", ["sqlite", "cookie"])
async def test_with_metrics_the_store_is_measured(kind, file):
    sqlite = {"kind": "sqlite", "path": file}
    chosen = settings(**sqlite) if kind == "sqlite" else settings(kind=kind, tombstones=sqlite)
    sessions = open_sessions(chosen, Metrics())
    assert isinstance(sessions.revocations, InstrumentedStore)
    await sessions.aclose()


@pytest.mark.parametrize(("kind", "ended"), [("sqlite", False), ("cookie", True)])
async def test_an_empty_store_ends_sessions_only_where_they_are_in_cookies(kind, ended, file):
    sqlite = {"kind": "sqlite", "path": file}
    chosen = settings(**sqlite) if kind == "sqlite" else settings(kind=kind, tombstones=sqlite)
    file.with_name(f"{file.name}-epoch").write_text(str(NOW * 2000))
    # The epoch goes by the clock of the machine.
    begun = replace(session(), created=NOW - 10**8)
    async with opened(chosen) as sessions:
        cookies = await sessions.create(APP, request(), begun, Device(), None)
        epoch = epoch_of(chosen, sessions)
        assert epoch is not None
        await epoch.look()
        asked = request(cookie="; ".join(f"{each.name}={each.value}" for each in cookies))
        assert (await sessions.find(APP, asked, NOW) is None) is ended


async def test_revocations_of_one_process_have_no_epoch_and_those_of_redis_have_no_note():
    alone = settings(kind="cookie")
    assert epoch_of(alone, open_sessions(alone)) is None
    redis = settings(kind="redis", servers=["127.0.0.1:1"])
    sessions = open_sessions(redis)
    assert epoch_of(redis, sessions) is not None
    await sessions.aclose()


async def test_redis_is_opened_without_a_connection():
    store = open_store(settings(kind="redis", servers=["127.0.0.1:1"]))  # type: ignore[arg-type]
    assert isinstance(store, RedisStore) and store.missing == "it was not connected to yet"
    await store.aclose()


def test_a_file_that_can_never_be_used_is_an_error_at_once(tmp_path):
    with pytest.raises(StoreUnavailable, match=r"store\.path"):
        open_sessions(settings(kind="sqlite", path=tmp_path / "gone" / "x.sqlite3"))


async def test_a_visit_sees_what_is_kept_and_closes_what_it_opened(file):
    chosen = settings(kind="sqlite", path=file)
    async with opened(chosen) as sessions:
        cookie, *_ = await sessions.create(APP, request(), session(), Device(), None)
    with pytest.raises(StoreUnavailable):
        await sessions.count(NOW)
    async with opened(chosen) as sessions:
        asked = request(cookie=f"{cookie.name}={cookie.value}")
        assert await sessions.find(APP, asked, NOW) == session()


async def test_a_visit_closes_what_it_opened_also_when_it_is_cancelled(file):
    with trio.CancelScope() as scope:
        async with opened(settings(kind="sqlite", path=file)) as sessions:
            scope.cancel()
            await trio.lowlevel.checkpoint()
    with pytest.raises(StoreUnavailable):
        await sessions.count(NOW)


async def test_a_visit_to_a_remote_store_that_is_away_begins_without_it(autojump_clock):
    gone = settings(kind="redis", servers=["127.0.0.1:1"])
    async with opened(gone) as sessions:
        assert sessions.missing is not None
