"""This process's own spans from the OpenTelemetry SDK into the store, as they end."""

from collections.abc import Mapping
from functools import partial

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace import Span as SDKSpan
from opentelemetry.trace import SpanContext, format_span_id, format_trace_id

from extproc.traces.store import TraceStore
from extproc.traces.tree import PROBLEM_ATTRIBUTES, shows_problem
from extproc.traces.values import (
    ATTRIBUTES,
    EVENTS,
    KINDS,
    STATUSES,
    TEXT,
    Attributes,
    Event,
    LazySpan,
    Link,
    Span,
)

# bytes in memory, approximately: of a span without its text; of one attribute, event or link
OVERHEAD = 1800
PART = 150


class Recorder(SpanProcessor):
    """Puts this process's sampled spans into a store as they end.

    Use: `provider.add_span_processor(Recorder(store))`.
    """

    def __init__(self, store: TraceStore) -> None:
        self._store = store

    def on_start(self, span: SDKSpan, parent_context: Context | None = None) -> None:
        """Do nothing: only finished spans are stored."""

    def on_end(self, span: ReadableSpan) -> None:
        """Store the span if it is sampled."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._store.take((_lazy_span(span, span.context),))

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Return True: every span is in the store already."""
        return True


def _lazy_span(span: ReadableSpan, context: SpanContext) -> LazySpan:
    attributes = span.attributes or {}
    relevant = {key: _text(attributes[key]) for key in PROBLEM_ATTRIBUTES if key in attributes}
    parts = len(attributes) + len(span.events) + len(span.links)
    text = sum(len(value) for value in attributes.values() if isinstance(value, str))
    return LazySpan(
        trace_id=format_trace_id(context.trace_id),
        span_id=format_span_id(context.span_id),
        duration_ns=(span.end_time or 0) - (span.start_time or 0),
        is_problem=shows_problem(span.name, STATUSES[span.status.status_code.value], relevant),
        links=tuple(format_trace_id(link.context.trace_id) for link in span.links),
        size=OVERHEAD + PART * parts + text,
        load=partial(_span, span, context),
    )


def _span(span: ReadableSpan, context: SpanContext) -> Span:
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
        events=tuple(
            Event(event.name[:TEXT], event.timestamp, _attributes(event.attributes))
            for event in span.events[:EVENTS]
        ),
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
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return str(value)
