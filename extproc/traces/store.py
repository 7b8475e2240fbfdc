"""Spans of the last traces, kept in memory: ours as they end, and other people's over OTLP.

A person who signs in should see at once what happened, without a collector and a database. So everything here is
bounded: traces, spans in one, what a span carries, bytes in all. What does not fit goes, the oldest trace first.
Recording may be called from any thread. Attributes come clean (extproc.telemetry); nothing is redacted here.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace import Span as SDKSpan
from opentelemetry.trace import SpanContext, format_span_id, format_trace_id

from extproc.traces.otlp import decode, unpack
from extproc.traces.tree import wrong
from extproc.traces.values import ATTRIBUTES, EVENTS, KINDS, STATUSES, TEXT, Attributes, Event, Link, Span, Trace

OVERHEAD = 400  # bytes of a span besides its text, roughly


@dataclass(slots=True)
class _Kept:
    spans: dict[str, Span] = field(default_factory=dict)
    size: int = 0
    dropped: int = 0
    turn: int = 0  # when it got a span last


class TraceStore:
    """The last traces. A trace that got a span last goes last; a span that comes again replaces the one before.

    Traces worth a look outlive the others: those with a failure or a refusal, or one that lasts `slow` seconds, and what they are
    linked to (the redirect of a failed callback). They may fill half of the room, so that the newest are seen too.
    """

    def __init__(
        self,
        max_traces: int = 200,
        max_spans_per_trace: int = 500,
        max_bytes: int = 16_000_000,
        slow: float = float("inf"),
    ) -> None:
        self._max_traces, self._max_spans, self._max_bytes, self._slow = (
            max_traces,
            max_spans_per_trace,
            max_bytes,
            slow,
        )
        self._lock = threading.Lock()
        self._plain: OrderedDict[str, _Kept] = OrderedDict()
        self._telling: OrderedDict[str, _Kept] = OrderedDict()
        self._turn = self._bytes = self._telling_bytes = 0

    def add(self, spans: Iterable[Span]) -> None:
        with self._lock:
            for span in spans:
                self._add(span)

    def add_otlp(self, body: bytes, content_encoding: str = "", *, limit: int = 16_000_000) -> int:
        """Takes an ExportTraceServiceRequest in protobuf, plain or gzip; gives how many spans it had.

        Raises BadExport; then nothing was taken. `limit` is on the unpacked size.
        """
        spans = decode(unpack(body, content_encoding, limit))
        self.add(spans)
        return len(spans)

    def trace(self, trace_id: str) -> Trace | None:
        with self._lock:
            kept = self._plain.get(trace_id) or self._telling.get(trace_id)
            return None if kept is None else _frozen(trace_id, kept)

    def recent(self, count: int | None = None) -> tuple[Trace, ...]:
        """The last traces, the latest start first: spans of an older one may come later."""
        with self._lock:
            every = [*self._plain.items(), *self._telling.items()]
            newest = sorted(every, key=lambda item: -item[1].turn)[:count]
            traces = [_frozen(trace_id, kept) for trace_id, kept in newest]
        return tuple(sorted(traces, key=lambda trace: -trace.spans[0].start_ns))

    def _add(self, span: Span) -> None:
        kept = self._group(span.trace_id).setdefault(span.trace_id, _Kept())
        self._group(span.trace_id).move_to_end(span.trace_id)
        self._turn += 1
        kept.turn = self._turn
        before = kept.spans.get(span.span_id)
        if before is None and len(kept.spans) >= self._max_spans:
            kept.dropped += 1
            return
        growth = _size(span) - (_size(before) if before else 0)
        kept.spans[span.span_id] = span
        kept.size += growth
        self._bytes += growth
        known = span.trace_id in self._telling
        self._telling_bytes += growth if known else 0
        if known or wrong(span) or span.duration_ns >= self._slow * 1e9:
            linked = (link.trace_id for of in ((span,) if known else kept.spans.values()) for link in of.links)
            for trace_id in (span.trace_id, *linked):
                self._tells(trace_id)
        self._make_room()

    def _tells(self, trace_id: str) -> None:
        if (kept := self._plain.pop(trace_id, None)) is not None:
            self._telling[trace_id] = kept
            self._telling_bytes += kept.size

    def _group(self, trace_id: str) -> OrderedDict[str, _Kept]:
        return self._telling if trace_id in self._telling else self._plain

    def _make_room(self) -> None:
        while len(self._plain) + len(self._telling) > self._max_traces or self._bytes > self._max_bytes:
            most = len(self._telling) > self._max_traces / 2 or self._telling_bytes > self._max_bytes / 2
            of_telling = most or not self._plain
            _, gone = (self._telling if of_telling else self._plain).popitem(last=False)
            self._bytes -= gone.size
            self._telling_bytes -= gone.size if of_telling else 0


class Recorder(SpanProcessor):
    """Puts this process's own spans into a store as they end: `provider.add_span_processor(Recorder(store))`."""

    def __init__(self, store: TraceStore) -> None:
        self._store = store

    def on_start(self, span: SDKSpan, parent_context: Context | None = None) -> None:
        pass

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled:
            self._store.add((of_sdk(span, span.context),))

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


def of_sdk(span: ReadableSpan, context: SpanContext) -> Span:
    """A finished span of the OpenTelemetry SDK as ours."""
    start = span.start_time or 0
    return Span(
        trace_id=format_trace_id(context.trace_id),
        span_id=format_span_id(context.span_id),
        parent_id=format_span_id(span.parent.span_id) if span.parent else "",
        name=span.name[:TEXT],
        kind=KINDS[span.kind.value + 1],
        service=str(span.resource.attributes.get("service.name", ""))[:TEXT],
        start_ns=start,
        end_ns=span.end_time or start,
        status=STATUSES[span.status.status_code.value],
        status_text=(span.status.description or "")[:TEXT],
        attributes=_attributes(span.attributes),
        events=tuple(Event(e.name[:TEXT], e.timestamp, _attributes(e.attributes)) for e in span.events[:EVENTS]),
        links=tuple(
            Link(format_trace_id(link.context.trace_id), format_span_id(link.context.span_id))
            for link in span.links[:EVENTS]
        ),
    )


def _attributes(attributes: Mapping[str, object] | None) -> Attributes:
    pairs = list((attributes or {}).items())[:ATTRIBUTES]
    return tuple((key[:TEXT], _text(value)[:TEXT]) for key, value in pairs)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(_text(item) for item in value) if isinstance(value, list | tuple) else str(value)


def _size(span: Span) -> int:
    """What a span costs in memory, roughly: enough for a limit."""
    pairs = [*span.attributes, *(pair for event in span.events for pair in event.attributes)]
    text = len(span.name) + len(span.service) + len(span.status_text) + sum(len(k) + len(v) for k, v in pairs)
    return OVERHEAD + text + 120 * (len(pairs) + len(span.events) + len(span.links))


def _frozen(trace_id: str, kept: _Kept) -> Trace:
    return Trace(trace_id, tuple(sorted(kept.spans.values(), key=lambda s: (s.start_ns, s.span_id))), kept.dropped)
