"""A worker process follows its orders."""

import dataclasses
import json
import subprocess
import sys
from contextlib import asynccontextmanager

import trio
from harness.ports import free_port

from extproc.addresses import Address
from extproc.runtime.control import (
    Drain,
    Failed,
    GetMetrics,
    GetStatus,
    KeysUpdated,
    Listen,
    MetricsText,
    Ready,
    Serving,
    Spans,
    Start,
    Status,
    UpdateKeys,
)
from extproc.runtime.worker_process import launch
from extproc.settings import Settings, with_secrets


def start(folder, **changes):
    provider = {"issuer": "http://127.0.0.1:9", "client_id": "gateway", "client_secret": "s"}
    application = {"hosts": ["localhost"], "upstream": "http://127.0.0.1:1", "provider": "main"}
    known = {
        "secret": "x" * 32,
        "store": {"path": str(folder / "sessions.sqlite3")},
        "providers": {"main": provider},
        "applications": {"app": application},
        **changes,
    }
    settings = with_secrets(Settings.model_validate_json(json.dumps(known)))
    return Start(1, Address(host="127.0.0.1", port=free_port()), settings)


@asynccontextmanager
async def started(first):
    """A worker that got its first order, and how to ask it something."""
    handle = await launch()
    try:

        async def ask(order):
            await handle.send(order)
            return await answer()

        async def answer():
            while isinstance(message := await handle.receive(), Spans):
                pass
            return message

        with trio.fail_after(120):
            yield ask, handle, await ask(first)
    finally:
        handle.kill()
        await handle.wait()


async def test_a_worker_answers_each_order_and_ends_when_it_has_drained(tmp_path):
    first = start(tmp_path)
    async with started(first) as (ask, handle, ready):
        assert ready == Ready()
        status = await ask(GetStatus())
        assert isinstance(status, Status) and "provider main" in dict(status.missing)
        assert await ask(Listen()) == Serving()
        assert await ask(UpdateKeys(first.settings)) == KeysUpdated()
        metrics = await ask(GetMetrics())
        assert isinstance(metrics, MetricsText) and "# EOF" in metrics.openmetrics
        assert await ask(Drain()) is None
        assert await handle.wait() == 0


async def test_a_store_that_cannot_be_opened_is_a_failure_with_its_reason(tmp_path):
    (tmp_path / "no.sqlite3").write_text("this is no database, and longer than a header of one" * 9)
    first = start(tmp_path, store={"path": str(tmp_path / "no.sqlite3")})
    async with started(first) as (_, handle, answer):
        assert isinstance(answer, Failed) and "no.sqlite3" in answer.detail
        assert await handle.wait() == 0


async def test_an_address_that_is_taken_is_a_failure_and_the_worker_ends(tmp_path):
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        port = listener.socket.getsockname()[1]
        first = dataclasses.replace(start(tmp_path), listen=Address(host="127.0.0.1", port=port))
        async with started(first) as (ask, handle, _):
            failed = await ask(Listen())
            assert isinstance(failed, Failed) and "cannot be bound" in failed.detail
            assert await handle.wait() == 0


def test_a_worker_that_no_supervisor_started_says_so():
    done = subprocess.run(
        [sys.executable, "-m", "extproc.runtime.worker"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "is started by extproc serve" in done.stderr
