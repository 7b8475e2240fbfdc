"""Finished spans of a worker, on their way to the supervisor."""

import asyncio
import socket

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from extproc.runtime.control import Spans, decode
from extproc.runtime.span_forwarder import BACKLOG, SpanForwarder


def on_asyncio(body):
    """Runs the body with the worker's writer, and the supervisor's reader and transport."""

    async def main():
        one, other = socket.socketpair()
        _, writer = await asyncio.open_connection(sock=one)
        reader, other_writer = await asyncio.open_connection(sock=other)
        try:
            await body(writer, reader, other_writer.transport)
        finally:
            writer.transport.abort()
            other_writer.transport.abort()

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(main())


def tracer(writer):
    provider = TracerProvider(shutdown_on_exit=False)
    forwarder = SpanForwarder(asyncio.get_running_loop(), writer)
    provider.add_span_processor(SimpleSpanProcessor(forwarder))
    return provider.get_tracer("tests")


def test_a_span_that_ends_is_a_message_to_the_supervisor():
    async def body(writer, reader, transport):
        tracer(writer).start_span("Process").end()
        async with asyncio.timeout(60):
            message = decode(await reader.readline())
        assert isinstance(message, Spans)
        request = ExportTraceServiceRequest.FromString(message.otlp)
        (span,) = request.resource_spans[0].scope_spans[0].spans
        assert span.name == "Process"

    on_asyncio(body)


def test_spans_for_a_supervisor_that_does_not_read_are_dropped_beyond_the_backlog():
    async def body(writer, reader, transport):
        writer.transport.set_write_buffer_limits(high=2 * BACKLOG)
        transport.pause_reading()
        writer.write(b"x" * 2 * BACKLOG)
        before = writer.transport.get_write_buffer_size()
        assert before >= BACKLOG
        tracer(writer).start_span("Process").end()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert writer.transport.get_write_buffer_size() <= before

    on_asyncio(body)


def test_a_span_that_ends_after_the_loop_is_lost_without_an_error():
    made = []

    async def body(writer, reader, transport):
        made.append(tracer(writer))

    on_asyncio(body)
    made[0].start_span("late").end()
