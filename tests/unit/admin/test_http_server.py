"""An application on a real port."""

import asyncio
import socket

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
    assert [span.name for trace in store.recent() for span in trace.spans][:1] == ["from the sdk"]


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
