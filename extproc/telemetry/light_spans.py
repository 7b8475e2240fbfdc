"""A span in fewer steps than the SDK's. What has ended is the SDK's ReadableSpan, so processors and
exporters are the SDK's own.

The SDK's span takes a lock and copies for each thing that is said of it: two of them cost more than
a 401. Ours is written by one thread (asyncio's and trio's are the same), with few values, which are
cut where they are written; so the SDK's limits, in OTEL_SPAN_*_LIMIT, are not asked. Imports
nothing of ours.
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
        self.scope, self.resource = InstrumentationScope(name), provider.resource
        self.ended = tuple(processor.on_end for processor in processors)
        self._new_id = provider.id_generator.generate_span_id

    def start(
        self,
        name: str,
        parent: SpanContext,
        kind: SpanKind,
        attributes: Mapping[str, AttributeValue] | None,
        started_ns: int | None = None,
    ) -> "LightSpan":
        flags = TraceFlags(parent.trace_flags & _PASSED_ON)
        context = SpanContext(parent.trace_id, self._new_id(), False, flags, parent.trace_state)
        return LightSpan(
            self, name, context, parent, kind, dict(attributes or ()), started_ns or time.time_ns()
        )


class LightSpan(Span):
    """Not thread-safe. What is said of it once it has ended is lost."""

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
        self._tracer, self._name, self._context, self._parent, self._kind = (
            tracer,
            name,
            context,
            parent,
            kind,
        )
        self._attributes, self._started_ns = attributes, started_ns
        self._recording, self.status = True, _UNSET
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
        """An error stays one: nobody here says OK."""
        if self._recording:
            self.status = status if isinstance(status, Status) else Status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Its type alone: its text may be of foreign origin."""
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
        for processor in tracer.ended:
            processor(done)
