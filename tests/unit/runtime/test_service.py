"""The composition root: a processor that is built, warmed, listening, drained."""

import json
from contextlib import asynccontextmanager

import pytest
import trio
from harness.ports import free_port

from extproc.addresses import Address
from extproc.ext_proc.bridge import embedded
from extproc.ext_proc.credentials import CannotListen
from extproc.metrics.exposition import to_text
from extproc.runtime.service import Service, metrics_of
from extproc.sessions.factory import open_sessions
from extproc.settings import Settings, with_secrets


def settings(folder, **changes):
    provider = {"issuer": "http://127.0.0.1:9", "client_id": "gateway", "client_secret": "s"}
    application = {"hosts": ["localhost"], "upstream": "http://127.0.0.1:1", "provider": "main"}
    known = {
        "secret": "x" * 32,
        "store": {"path": str(folder / "sessions.sqlite3")},
        "providers": {"main": provider},
        "applications": {"app": application},
        **changes,
    }
    return with_secrets(Settings.model_validate_json(json.dumps(known)))


@asynccontextmanager
async def built(known, listen=None):
    """A service, its metrics as text, and how to call it on the asyncio side."""
    metrics = metrics_of(known)
    sessions = open_sessions(known.store, metrics)
    async with embedded() as bridge:

        async def build():
            address = listen or Address(host="127.0.0.1", port=0)
            return Service(known, address, sessions, bridge, metrics)

        service = await bridge.on_asyncio(build)
        yield service, lambda: to_text(metrics.families()), bridge.on_asyncio
        await bridge.on_asyncio(service.drain)


def key_ids(metrics):
    """The key ids that the metrics show."""
    return {line for line in metrics.splitlines() if line.startswith("extproc_assertion_key_info")}


async def test_a_service_that_was_only_built_can_be_drained(tmp_path):
    async with built(settings(tmp_path)) as (service, _, _):
        assert service.port == 0 and service.checkers == 0


async def test_what_is_not_reached_yet_is_named(tmp_path):
    async with built(settings(tmp_path)) as (service, _, _):
        assert {part for part, _ in service.missing()} == {"provider main"}


async def test_it_listens_warms_and_measures(tmp_path):
    async with built(settings(tmp_path)) as (service, metrics, on_asyncio):

        async def warm():
            service.warm()

        await on_asyncio(warm)
        await on_asyncio(service.listen)
        assert service.port > 0 and dict(service.gauges())["work"] >= 1
        with trio.fail_after(60):
            while 'extproc_sessions{store="sqlite"} 0.0' not in metrics():
                await trio.sleep(0.01)


async def test_other_keys_are_used_from_then_on(tmp_path):
    async with built(settings(tmp_path)) as (service, metrics, _):
        before = key_ids(metrics())
        service.update_keys(settings(tmp_path, secret=["y" * 32, "x" * 32]))
        assert len(before) == 1 and before < key_ids(metrics())


async def test_an_address_that_is_taken_is_an_error(tmp_path):
    port = free_port()
    (taken,) = await trio.open_tcp_listeners(port, host="127.0.0.1")
    async with taken:
        address = Address(host="127.0.0.1", port=port)
        async with built(settings(tmp_path), address) as (service, _, on_asyncio):
            with pytest.raises(CannotListen, match=str(port)):
                await on_asyncio(service.listen)
