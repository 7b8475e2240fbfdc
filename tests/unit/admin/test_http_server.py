"""An application on a real port."""

import asyncio
import os
import shutil
import socket
import stat
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio
from harness import spans
from harness.admin import served
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from extproc.addresses import Address
from extproc.admin.app import application
from extproc.admin.http_server import cannot_bind, serve
from extproc.traces import TraceStore

PROTOBUF = {"content-type": "application/x-protobuf"}


async def nothing_missing():
    return ()


async def test_on_a_real_port_a_chunked_export_is_taken(store):
    async def chunks():
        whole = spans.export((spans.span(1, 0, "envoy", "ingress", 0, 1, trace_id="b" * 32),))
        yield whole[:20]
        yield whole[20:]

    async with served(store) as base, httpx.AsyncClient() as client:
        assert (
            await client.post(f"{base}/v1/traces", content=chunks(), headers=PROTOBUF)
        ).status_code == 200
        answer = await client.get(f"{base}/traces/{'b' * 32}.json")
        assert answer.json()["spans"][0]["service"] == "envoy"
        assert "server" not in answer.headers


async def test_the_sdks_own_exporter_is_understood(store):
    async with served(store) as base:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{base}/v1/traces")))

        def export():
            with provider.get_tracer("test").start_as_current_span("from the sdk"):
                pass
            provider.shutdown()

        await trio.to_thread.run_sync(export)
    assert [span.name for trace in spans.recent(store) for span in trace.spans][:1] == [
        "from the sdk"
    ]


async def test_an_address_that_is_taken_is_an_oserror():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        app = application(readiness=nothing_missing, jwks="{}", traces=TraceStore())
        with pytest.raises(OSError, match="in use"):
            await serve(
                app, Address(host="127.0.0.1", port=taken.getsockname()[1]), shutdown=trio.Event()
            )


def test_it_serves_in_a_trio_that_is_a_guest_of_asyncio(store):
    async def host():
        loop, done = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

        async def guest():
            async with served(store) as base, httpx.AsyncClient() as client:
                return (
                    await client.get(f"{base}/traces", headers={"accept": "text/html"})
                ).status_code

        trio.lowlevel.start_guest_run(
            guest, run_sync_soon_threadsafe=loop.call_soon_threadsafe, done_callback=done.set_result
        )
        return (await done).unwrap()

    # by name: see bridge.guest
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        assert runner.run(host()) == 200


def test_the_operator_learns_why_an_address_cannot_be_bound():
    address = Address(host="127.0.0.1", port=9490)
    error = OSError(98, "Address already in use")
    assert (
        cannot_bind(address, error)
        == "admin: 127.0.0.1:9490 cannot be bound: Address already in use"
    )
    assert cannot_bind(address, ValueError("x")).endswith("cannot be bound: x")


async def test_it_ends_when_it_is_told_and_frees_its_port(store):
    async with served(store) as base, httpx.AsyncClient() as client:
        assert (await client.get(f"{base}/livez")).status_code == 200
    with socket.create_server(("127.0.0.1", int(base.rpartition(":")[2]))):
        pass


@pytest.mark.attack("EXTP-11")
async def test_a_unix_socket_is_made_with_its_rights_and_is_gone_afterwards(store, tmp_path):
    place = tmp_path / "admin.sock"
    before = os.umask(0)
    try:
        async with served(store, Address(path=str(place)), 0o640) as address:
            assert address == f"unix:{place}"
            assert stat.S_IMODE(place.stat().st_mode) == 0o640
            transport = httpx.AsyncHTTPTransport(uds=str(place))
            async with httpx.AsyncClient(
                base_url="http://localhost", transport=transport
            ) as client:
                assert (await client.get("/traces.json")).status_code == 200
                assert (await client.get("/livez", headers={"host": "evil.example"})).is_success
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    assert not place.exists()


@pytest.mark.attack("EXTP-11")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_another_user_of_the_machine_cannot_connect(store, tmp_path):
    place = Path(tempfile.mkdtemp(prefix="admin-")) / "admin.sock"
    try:
        place.parent.chmod(0o755)
        async with served(store, Address(path=str(place)), 0o660):
            code = f"import socket; socket.socket(socket.AF_UNIX).connect({str(place)!r})"
            command = ["/usr/bin/env", "python3", "-S", "-c", code]
            run = partial(subprocess.run, capture_output=True, text=True, check=False)
            ours = await trio.to_thread.run_sync(run, command)
            # `user` of subprocess.run would fork, and gRPC's threads of other tests do not survive
            # that. A container gives root the group 0 as a supplementary one, which is cleared.
            become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
            theirs = await trio.to_thread.run_sync(run, [*become, *command])
        assert (ours.returncode, theirs.returncode) == (0, 1), (ours.stderr, theirs.stderr)
        assert "PermissionError" in theirs.stderr
    finally:
        shutil.rmtree(place.parent)


async def test_a_socket_that_a_killed_process_left_behind_is_replaced(store, tmp_path):
    place = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place))
    async with served(store, Address(path=str(place))):
        assert stat.S_ISSOCK(place.stat().st_mode)


@pytest.mark.parametrize("kind", ["socket in use", "full queue", "file", "link"])
async def test_what_is_in_use_or_no_socket_stays(tmp_path, kind):
    place = tmp_path / "admin.sock"
    app = application(readiness=nothing_missing, jwks="{}", traces=TraceStore())
    with socket.socket(socket.AF_UNIX) as used, socket.socket(socket.AF_UNIX) as waiting:
        if "socket" in kind or "queue" in kind:
            used.bind(str(place))
            used.listen(0)
            if kind == "full queue":
                waiting.connect(str(place))
        elif kind == "file":
            place.write_text("precious")
        else:
            place.symlink_to(tmp_path / "elsewhere")
        inode = place.lstat().st_ino
        with pytest.raises(OSError, match="in use"):
            await serve(app, Address(path=str(place)), shutdown=trio.Event())
        assert place.lstat().st_ino == inode


async def test_a_successor_s_socket_is_not_removed(store, tmp_path):
    place = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as successor:
        async with served(store, Address(path=str(place))):
            place.rename(tmp_path / "old.sock")
            successor.bind(str(place))
        assert stat.S_ISSOCK(place.stat().st_mode)


def test_a_socket_that_cannot_be_bound_is_explained(tmp_path):
    address = Address(path=str(tmp_path / "missing" / "admin.sock"))
    app = application(readiness=nothing_missing, jwks="{}", traces=TraceStore())
    with pytest.raises(OSError, match="No such file") as caught:
        trio.run(partial(serve, app, address, shutdown=trio.Event()))
    assert cannot_bind(address, caught.value) == (
        f"admin: {address} cannot be bound: No such file or directory"
    )
