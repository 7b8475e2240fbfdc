"""Spans that other programs send to the admin, and the bounds of what they may send."""

import gzip
import socket

import httpx
import pytest
import trio
from harness import spans
from harness.admin import served
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from extproc.admin.app import application
from extproc.admin.exports import AT_ONCE, BODY
from extproc.traces import TraceStore
from extproc.traces.otlp import SPANS

PROTOBUF = {"content-type": "application/x-protobuf"}


def test_spans_are_taken(client, store):
    answer = client.post(
        "/v1/traces",
        content=spans.export((spans.span(1, 0, "app", "new", 0, 1, trace_id="a" * 32),)),
        headers=PROTOBUF,
    )
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (
        200,
        b"",
        "application/x-protobuf",
    )
    assert store.trace("a" * 32) is not None


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content-type": "application/json"}, b"{}", 415),
        ({**PROTOBUF, "origin": "http://evil.example.com"}, b"", 403),
        ({**PROTOBUF, "sec-fetch-site": "same-origin"}, b"", 403),
        (PROTOBUF, b"\xff\xff", 400),
        ({**PROTOBUF, "content-encoding": "gzip"}, b"no", 400),
        (PROTOBUF, b"\0" * (BODY + 1), 413),
        ({**PROTOBUF, "content-encoding": "gzip"}, gzip.compress(b"\0" * (BODY + 1)), 400),
    ],
)
def test_what_is_no_export_is_refused(client, headers, body, status):
    assert client.post("/v1/traces", content=body, headers=headers).status_code == status


def many(count: int, of: str) -> bytes:
    """An export with so many empty messages of a kind."""
    request = ExportTraceServiceRequest()
    if of == "resources":
        for _ in range(count):
            request.resource_spans.add()
    elif of == "scopes":
        resource = request.resource_spans.add()
        for _ in range(count):
            resource.scope_spans.add()
    else:
        scope = request.resource_spans.add().scope_spans.add()
        for _ in range(count):
            scope.spans.add()
    return request.SerializeToString()


@pytest.mark.threat("bounds")
@pytest.mark.parametrize("of", ["resources", "scopes", "spans"])
def test_an_export_has_so_many_spans_at_most(client, of):
    for count, status in ((SPANS - 2, 200), (SPANS + 1, 400), (400_000, 400)):
        answer = client.post("/v1/traces", content=many(count, of), headers=PROTOBUF)
        assert answer.status_code == status


def begun(base: str) -> socket.socket:
    """A connection with an export whose body lacks everything but its first byte."""
    host, _, port = base.removeprefix("http://").partition(":")
    connection = socket.create_connection((host, int(port)), 30)
    connection.sendall(
        b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n"
        b"content-type: application/x-protobuf\r\n\r\n\n"
    )
    return connection


@pytest.mark.threat("bounds")
async def test_few_exports_are_received_at_the_same_time_and_each_for_a_while():
    async with served(TraceStore()) as base, httpx.AsyncClient(timeout=60) as client:
        slow = [begun(base) for _ in range(AT_ONCE)]
        try:
            body = spans.export(spans.fast_path())

            async def status() -> int:
                answer = await client.post(f"{base}/v1/traces", content=body, headers=PROTOBUF)
                return answer.status_code

            # On a machine that stalls, the slow ones may time out before all of them are accepted.
            with trio.move_on_after(60) as waited:
                while await status() != 503:
                    await trio.sleep(0.01)
            assert not waited.cancelled_caught
            assert (await client.get(f"{base}/livez")).status_code == 200
            for connection in slow:
                head = await trio.to_thread.run_sync(connection.recv, 100)
                assert head.startswith(b"HTTP/1.1 408 ")
            assert await status() == 200
        finally:
            for connection in slow:
                connection.close()


async def test_a_client_that_leaves_in_mid_export_is_no_error_of_the_server():
    sent = [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}]
    scope = {
        "type": "http", "method": "POST", "path": "/v1/traces", "query_string": b"",
        "headers": [(b"content-type", b"application/x-protobuf"), (b"content-length", b"9")],
    }  # fmt: skip

    async def receive():
        return sent.pop(0)

    async def send(message):
        pass

    app = application(readiness=nothing, jwks="{}", traces=TraceStore())
    await app(scope, receive, send)
    assert sent == []


async def nothing():
    return ()
