"""The processor within a trio program: it listens, answers, and is gone when the block is left."""

import json
import os
import subprocess
import sys

import grpc
import httpx
import pytest
import trio
from harness.ports import free_port
from harness.serving import ROUTE, encoded, head

import extproc
from extproc._wire import ext_proc_pb2 as wire
from extproc.contract import SERVICE
from extproc.ext_proc.credentials import CannotListen
from extproc.runtime.failures import CannotStart
from extproc.settings import Settings, SettingsError


def settings(folder, **changes):
    provider = {"issuer": "http://127.0.0.1:9", "client_id": "gateway", "client_secret": "s"}
    application = {
        "hosts": ["localhost"],
        "upstream": "http://127.0.0.1:9600",
        "provider": "main",
    }
    known = {
        "secret": "x" * 32,
        "listen": f"127.0.0.1:{free_port()}",
        "admin": f"127.0.0.1:{free_port()}",
        "store": {"path": str(folder / "sessions.sqlite3")},
        "providers": {"main": provider},
        "applications": {"app": application},
        **changes,
    }
    return Settings.model_validate_json(json.dumps(known))


def decided(address):
    """What the processor answers to a request without a session. Blocks."""
    with grpc.insecure_channel(str(address)) as channel:
        process = channel.stream_stream(
            f"/{SERVICE}/Process", encoded, wire.ProcessingResponse.FromString
        )
        (answer,) = process(iter([head(**{":authority": "localhost"})]), metadata=ROUTE, timeout=60)
        return answer.immediate_response.status.code


async def test_it_answers_streams_and_serves_its_keys_within_the_program(tmp_path):
    known = settings(tmp_path)
    async with extproc.embedded(known) as processor, httpx.AsyncClient() as client:
        assert await trio.to_thread.run_sync(decided, processor.listen) == 401
        keys = await client.get(f"http://{known.admin}/.well-known/jwks.json")
        assert keys.json()["keys"]
        assert "provider main" in dict(processor.missing())


async def test_when_the_block_is_left_both_addresses_are_free_again(tmp_path):
    known = settings(tmp_path)
    for _ in range(2):
        async with extproc.embedded(known) as processor:
            assert processor.listen == known.listen


async def test_port_0_becomes_the_port_that_the_kernel_chose(tmp_path):
    async with extproc.embedded(settings(tmp_path, listen="127.0.0.1:0")) as processor:
        assert processor.listen.port != 0
        assert await trio.to_thread.run_sync(decided, processor.listen) == 401


async def test_an_error_of_the_block_comes_out_as_it_is(tmp_path):
    with pytest.raises(LookupError, match="mine"):
        async with extproc.embedded(settings(tmp_path)):
            raise LookupError("mine")


async def test_a_block_that_is_cancelled_still_drains(tmp_path):
    known = settings(tmp_path)
    with trio.CancelScope() as scope:
        async with extproc.embedded(known):
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    async with extproc.embedded(known):
        pass


async def test_a_program_that_is_cancelled_before_the_processor_runs_is_left_without_it(tmp_path):
    known = settings(tmp_path)
    with trio.CancelScope() as scope:
        scope.cancel()
        async with extproc.embedded(known):
            await trio.sleep_forever()
    assert scope.cancelled_caught
    async with extproc.embedded(known):
        pass


@pytest.mark.parametrize("taken", ["listen", "admin"])
async def test_an_address_that_is_taken_is_a_plain_error(tmp_path, taken):
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        address = f"127.0.0.1:{listener.socket.getsockname()[1]}"
        with pytest.raises(CannotListen, match=f"{taken}: {address} cannot be bound"):
            async with extproc.embedded(settings(tmp_path, **{taken: address})):
                pass


async def test_a_start_that_fails_leaves_no_file_open(tmp_path):
    provider = {"issuer": "http://127.0.0.1:9", "client_id": "gateway", "client_secret": "s"}
    unusable = {"main": {**provider, "ca_file": str(tmp_path / "gone.pem")}}
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(2):
        with pytest.raises(
            CannotStart, match=r"^providers\.main\.ca_file: /.*/gone\.pem: No such file"
        ):
            async with extproc.embedded(settings(tmp_path, providers=unusable)):
                pass
    places = [
        os.readlink(f"/proc/self/fd/{n}")
        for n in set(os.listdir("/proc/self/fd")) - before
        if os.path.exists(f"/proc/self/fd/{n}")
    ]
    assert not [place for place in places if "sqlite3" in place]


async def test_several_workers_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="workers"):
        async with extproc.embedded(settings(tmp_path, workers=2)):
            pass


def test_importing_the_package_imports_nothing_heavy():
    program = (
        "import sys, extproc; "
        "print(*sorted({'grpc', 'trio', 'pydantic', 'opentelemetry'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
