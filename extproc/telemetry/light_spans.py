"""A span that costs less than the SDK's. What it leaves when it ends is the SDK's ReadableSpan, so
processors and exporters are the SDK's own.

The SDK's span takes a lock and copies its values at every call: two such spans cost more than all
the rest of a 401. A LightSpan is written by one thread (asyncio's and trio's are the same), with
few values, which the caller cuts; so the SDK's limits (OTEL_SPAN_*_LIMIT) do not apply.
"""

import time
from collections.abc import Mapping, Sequence

from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import Attributes, AttributeValue

_UNSET = Status(StatusCode.UNSET)
_PASSED_ON = TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID


class LightTracer:
    """Makes spans below a parent that is sampled, and hands each to the processors as it ends."""

    def __init__(
        self, name: str, provider: TracerProvider, processors: Sequence[SpanProcessor]
    ) -> None:
        self.scope = InstrumentationScope(name)
        self.resource = provider.resource
        self.on_end = tuple(processor.on_end for processor in processors)
        self._new_id = provider.id_generator.generate_span_id

    def start(
        self,
        name: str,
        parent: SpanContext,
        kind: SpanKind,
        attributes: Mapping[str, AttributeValue] | None,
        started_ns: int | None = None,
    ) -> "LightSpan":
        """Starts a span below `parent`.

        Args:
            name: of low cardinality.
            parent: a span that is sampled.
            kind: as OpenTelemetry defines it.
            attributes: at the start.
            started_ns: nanoseconds since the epoch; None: now.
        """
        flags = TraceFlags(parent.trace_flags & _PASSED_ON)
        context = SpanContext(parent.trace_id, self._new_id(), False, flags, parent.trace_state)
        return LightSpan(
            self, name, context, parent, kind, dict(attributes or ()), started_ns or time.time_ns()
        )


class LightSpan(Span):
    """A span of LightTracer. Not thread-safe. What is written to it once it has ended is lost."""

    def __init__(
        self,
        tracer: LightTracer,
        name: str,
        context: SpanContext,
        parent: SpanContext,
        kind: SpanKind,
        attributes: dict[str, AttributeValue],
        started_ns: int,
    ) -> None:
        self._tracer = tracer
        self._name = name
        self._context = context
        self._parent = parent
        self._kind = kind
        self._attributes = attributes
        self._started_ns = started_ns
        self._recording = True
        self.status = _UNSET
        self.events: list[Event] = []
        self._links: list[Link] = []

    def get_span_context(self) -> SpanContext:
        return self._context

    def is_recording(self) -> bool:
        return self._recording

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        if self._recording:
            self._attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        if self._recording:
            self._attributes.update(attributes)

    def add_event(
        self, name: str, attributes: Attributes = None, timestamp: int | None = None
    ) -> None:
        if self._recording:
            self.events.append(Event(name, attributes, timestamp))

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        if self._recording:
            self._links.append(Link(context, attributes))

    def update_name(self, name: str) -> None:
        self._name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Sets the status. This program only ever sets an error, so it is not protected from OK."""
        if self._recording:
            self.status = status if isinstance(status, Status) else Status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Records the exception's type alone, because its text may be of foreign origin."""
        self.add_event("exception", {"exception.type": type(exception).__qualname__}, timestamp)

    def end(self, end_time: int | None = None) -> None:
        if not self._recording:
            return
        self._recording = False
        tracer = self._tracer
        done = ReadableSpan(
            self._name,
            self._context,
            self._parent,
            tracer.resource,
            self._attributes,
            self.events,
            self._links,
            self._kind,
            None,
            self.status,
            self._started_ns,
            end_time or time.time_ns(),
            tracer.scope,
        )
        for on_end in tracer.on_end:
            on_end(done)
