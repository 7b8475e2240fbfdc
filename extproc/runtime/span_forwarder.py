"""Finished spans of a worker, on their way to the supervisor."""

import asyncio
import contextlib
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from extproc.runtime.control import Spans, encode

# Bytes of spans that wait for a supervisor that does not read. More are dropped.
BACKLOG = 4_000_000


class SpanForwarder(SpanExporter):
    """Sends finished spans to the supervisor, whose admin shows those of all workers. Runs in the
    exporter's thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, writer: asyncio.StreamWriter) -> None:
        self._loop = loop
        self._writer = writer

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        line = encode(Spans(encode_spans(spans).SerializeToString()))
        # RuntimeError: the loop is closed.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._write, line)
        return SpanExportResult.SUCCESS

    def _write(self, line: bytes) -> None:
        transport = self._writer.transport
        if not transport.is_closing() and transport.get_write_buffer_size() < BACKLOG:
            self._writer.write(line)
