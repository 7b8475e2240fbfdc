"""One process with its admin listener: what it takes while it runs."""

import json
from contextlib import asynccontextmanager

import httpx
import pytest
from harness.ports import free_port

from extproc.ext_proc.bridge import embedded
from extproc.metrics.exposition import to_text
from extproc.runtime.service import metrics_of
from extproc.runtime.single import SingleProcess, warn_of_tombstones
from extproc.sessions.factory import open_sessions
from extproc.settings import Settings, with_secrets
from extproc.traces import TraceStore


def settings(folder, **changes):
    provider = {"issuer": "http://127.0.0.1:9", "client_id": "gateway", "client_secret": "s"}
    application = {"hosts": ["localhost"], "upstream": "http://127.0.0.1:1", "provider": "main"}
    known = {
        "secret": "x" * 32,
        "listen": "127.0.0.1:0",
        "store": {"path": str(folder / "sessions.sqlite3")},
        "providers": {"main": provider},
        "applications": {"app": application},
        **changes,
    }
    return with_secrets(Settings.model_validate_json(json.dumps(known)))


@asynccontextmanager
async def running(known):
    """A process that listens, its metrics as text, and its admin."""
    metrics = metrics_of(known)
    sessions = open_sessions(known.store, metrics)
    async with embedded() as bridge:

        async def build():
            return SingleProcess(known, sessions, TraceStore(10, slow=0), metrics, bridge)

        process = await bridge.on_asyncio(build)
        await bridge.on_asyncio(process.start)
        async with httpx.AsyncClient(base_url=f"http://{known.admin}") as admin:
            yield process, lambda: to_text(metrics.families()), admin
        await bridge.on_asyncio(process.stop)


async def published(admin):
    answer = await admin.get("/.well-known/jwks.json")
    return [key["kid"] for key in answer.json()["keys"]]


@pytest.fixture
def known(tmp_path):
    admin = f"127.0.0.1:{free_port()}"
    return lambda **changes: settings(tmp_path, admin=admin, **changes)


async def test_the_admin_shows_the_processor(known):
    async with running(known()) as (_, _, admin):
        assert "provider main" in (await admin.get("/readyz")).text
        assert "extproc_build_info" in (await admin.get("/metrics")).text


async def test_other_keys_are_published_while_it_runs(known):
    async with running(known()) as (process, _, admin):
        (old,) = await published(admin)
        await process.update_keys(known(secret=["x" * 32, "y" * 32]))
        assert old in await published(admin) and len(await published(admin)) == 2


async def test_of_settings_that_differ_in_more_the_secrets_alone_are_taken(known, caplog):
    async with running(known()) as (process, metrics, admin):
        new = known(secret=["y" * 32, "x" * 32], session={"idle": 60})
        taken = await process.replace(known(), new)
        assert taken.ring() == new.ring() and taken.session == known().session
        assert len(await published(admin)) == 2
        (line,) = [record for record in caplog.records if record.message == "not_reloaded"]
        assert line.detail.startswith("session: with workers: 1 only the secret")
        assert 'extproc_settings_reloads_total{outcome="failure"} 1.0' in metrics()


async def test_the_settings_in_use_taken_again_are_a_reload(known):
    async with running(known()) as (process, metrics, _):
        assert await process.replace(known(), known()) == known()
        assert 'extproc_settings_reloads_total{outcome="success"} 1.0' in metrics()


def test_revocations_that_no_other_process_learns_of_are_worth_a_warning(tmp_path, caplog):
    warn_of_tombstones(settings(tmp_path))
    assert caplog.records == []
    provider = {"issuer": "http://127.0.0.1:9", "client_id": "c", "backchannel_logout": False}
    cookies = {"store": {"kind": "cookie"}, "providers": {"main": provider}}
    warn_of_tombstones(settings(tmp_path, **cookies))
    assert [record.message for record in caplog.records] == ["tombstones_not_shared"]
