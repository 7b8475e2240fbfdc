"""This process's own spans, as the OpenTelemetry SDK has them when they end, into the store."""

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

# bytes of a span besides its text, and of an attribute, an event, a link, roughly
OVERHEAD, EACH = 1800, 150


class Recorder(SpanProcessor):
    """Puts this process's own spans into a store as they end:
    `provider.add_span_processor(Recorder(store))`.
    """

    def __init__(self, store: TraceStore) -> None:
        self._store = store

    def on_start(self, span: SDKSpan, parent_context: Context | None = None) -> None:
        pass

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled:
            self._store.take((_unread(span, span.context),))

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


def _unread(span: ReadableSpan, context: SpanContext) -> LazySpan:
    attributes = span.attributes or {}
    said = {key: _text(attributes[key]) for key in PROBLEM_ATTRIBUTES if key in attributes}
    things = len(attributes) + len(span.events) + len(span.links)
    text = sum(len(value) for value in attributes.values() if isinstance(value, str))
    return LazySpan(
        format_trace_id(context.trace_id),
        format_span_id(context.span_id),
        (span.end_time or 0) - (span.start_time or 0),
        shows_problem(span.name, STATUSES[span.status.status_code.value], said),
        tuple(format_trace_id(link.context.trace_id) for link in span.links),
        OVERHEAD + EACH * things + text,
        partial(_of_sdk, span, context),
    )


def _of_sdk(span: ReadableSpan, context: SpanContext) -> Span:
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
            Event(e.name[:TEXT], e.timestamp, _attributes(e.attributes))
            for e in span.events[:EVENTS]
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
    return (
        ", ".join(_text(item) for item in value) if isinstance(value, list | tuple) else str(value)
    )
