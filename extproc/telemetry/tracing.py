"""Traces and logs: one tracer, propagation, lines with the trace's id (telemetry/log_format.py: how
they look). Imports nothing of ours.

Spans follow the OpenTelemetry semantic conventions (http, rpc, url, error.type). No span, event or
log line holds a query string, a token, a cookie, a code or an exception's text of foreign origin:
what is written here is written by name.
"""

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from extproc.telemetry.light_spans import LightSpan, LightTracer

Attribute = str | int | float | bool
Attributes = Mapping[str, Attribute]

_PROPAGATOR = TraceContextTextMapPropagator()
_TRACER = trace.get_tracer("extproc")  # once: it finds the provider that is set later
ASIDE = 20  # failures kept in one second that nobody samples
# W3C Trace Context section 3.2
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def set_up_tracing(
    processors: Sequence[SpanProcessor],
    endpoint: str | None,
    *,
    standard: bool,
    users: bool = False,
) -> TracerProvider:
    """The process's tracer provider. endpoint: OTLP/HTTP base address; standard: export by the
    OTEL_* variables instead.

    processors: for the trace page, which gets the failures that nobody samples as well; users:
    spans may name the user.
    """
    resource = Resource.create({"service.name": "extproc"})
    provider = TracerProvider(resource=resource)
    aside = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False)
    for processor in processors:
        aside.add_span_processor(processor)
    exporters = []
    if endpoint is not None:
        exporters = [
            BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces"))
        ]
    elif standard:
        exporters = [BatchSpanProcessor(OTLPSpanExporter())]
    for processor in (*processors, *exporters):
        provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    _Set.aside, _Set.users = aside.get_tracer("extproc"), users
    _Set.off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    # its answer is known below a parent; another, by OTEL_TRACES_SAMPLER, is asked
    if isinstance(provider.sampler, ParentBased):
        _Set.light = LightTracer("extproc", provider, (*processors, *exporters))
    return provider


class _Set:
    """What is set once for the process. off: by OTEL_SDK_DISABLED; light: where spans follow their
    parent.
    """

    light: LightTracer | None = None
    aside: Tracer | None = None  # of failures that nobody samples
    off = users = False
    second, kept = 0, 0


def standard() -> bool:
    """Whether the OTEL_* variables say where spans go."""
    return any(
        os.environ.get(f"OTEL_EXPORTER_OTLP_{name}") for name in ("ENDPOINT", "TRACES_ENDPOINT")
    )


def parent_of(metadata: Sequence[tuple[str, str]]) -> otel_context.Context:
    """The caller's context from a stream's gRPC metadata: there Envoy writes its own span, as
    nowhere else.
    """
    carrier = {key: value for key, value in metadata if key in ("traceparent", "tracestate")}
    if (found := _TRACEPARENT.fullmatch(carrier.get("traceparent", ""))) is not None:
        flags = TraceFlags(int(found[3], 16))
        # whose state nobody keeps, or without one (Envoy writes it empty)
        if not flags.sampled or not carrier.get("tracestate"):
            of_parent = SpanContext(int(found[1], 16), int(found[2], 16), True, flags)
            if of_parent.is_valid:
                return trace.set_span_in_context(
                    NonRecordingSpan(of_parent), otel_context.Context()
                )
    return _PROPAGATOR.extract(carrier, context=otel_context.Context())


def traceparent() -> dict[str, str]:
    """The current span as headers of an outgoing call: traceparent and tracestate, never
    baggage.
    """
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier


def current() -> str:
    """The current span as a traceparent (W3C Trace Context section 3.2), '' when there is none."""
    of = trace.get_current_span().get_span_context()
    return f"00-{of.trace_id:032x}-{of.span_id:016x}-{of.trace_flags:02x}" if of.is_valid else ""


def trace_id() -> str:
    """The current trace's id, 32 hex digits; zeros when there is none."""
    return trace.format_trace_id(trace.get_current_span().get_span_context().trace_id)


def span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
    parent: otel_context.Context | None = None,
) -> AbstractContextManager[Span]:
    """A span around a block. An exception marks it with error.type, never with its text or its
    traceback; being cancelled is no error.

    Below a parent that is not sampled none is made. The trace's id and what goes on to the provider
    are the parent's.
    """
    outer = trace.get_current_span(parent)
    of_outer = outer.get_span_context()
    if _Set.off:
        return _Unrecorded(outer, parent)
    if _Set.light is not None and of_outer.is_valid:
        if of_outer.trace_flags.sampled:
            return _Light(_Set.light.start(name, of_outer, kind, attributes), parent)
        if not outer.is_recording():
            return _Unrecorded(outer, parent)
    return _recorded(name, kind, attributes, parent)


def past(name: str, started_ns: int, attributes: Attributes) -> None:
    """A span of what is over, from then until now, below the current one, if that is recorded."""
    outer = trace.get_current_span()
    if not outer.is_recording():
        return
    if _Set.light is not None:
        done: Span = _Set.light.start(
            name, outer.get_span_context(), SpanKind.INTERNAL, attributes, started_ns
        )
    else:
        done = _TRACER.start_span(name, attributes=attributes, start_time=started_ns)
    done.end()


class _Unrecorded(AbstractContextManager[Span]):
    """The parent itself, as the current span of the block."""

    __slots__ = ("_parent", "_span", "_token")

    def __init__(self, current: Span, parent: otel_context.Context | None) -> None:
        self._span, self._parent = current, parent

    def __enter__(self) -> Span:
        if self._parent is not None:
            self._token = otel_context.attach(self._parent)
        return self._span

    def __exit__(self, *_: object) -> None:
        if self._parent is not None:
            otel_context.detach(self._token)


class _Light(AbstractContextManager[Span]):
    """A span of our own as the current one of the block; what `_recorded` is for the SDK's."""

    __slots__ = ("_parent", "_span", "_token")

    def __init__(self, current: LightSpan, parent: otel_context.Context | None) -> None:
        self._span, self._parent = current, parent

    def __enter__(self) -> Span:
        self._token = otel_context.attach(trace.set_span_in_context(self._span, self._parent))
        return self._span

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        otel_context.detach(self._token)
        if error is not None:
            _ended_by(error, self._span)
        self._span.end()


@contextmanager
def _recorded(
    name: str, kind: SpanKind, attributes: Attributes | None, parent: otel_context.Context | None
) -> Iterator[Span]:
    with _TRACER.start_as_current_span(
        name, parent, kind, attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except BaseException as error:
            _ended_by(error, current)
            raise


def _ended_by(error: BaseException, current: Span) -> None:
    if isinstance(error, Exception):
        status = current.status if isinstance(current, LightSpan | ReadableSpan) else None
        # what was said by name counts
        if status is None or status.status_code is not StatusCode.ERROR:
            failed(current, getattr(error, "reason", type(error).__qualname__))
    elif not any(event.name == "answered" for event in getattr(current, "events", ())):
        # Envoy resets what it has
        current.add_event("cancelled")  # by asyncio or by trio


def link(traceparent: str) -> None:
    """Links the current span to another trace: the redirect that started a login, for its callback.

    Nothing where it has ended: a code exchange goes on when its client has left, and the SDK would
    write a warning for each.
    """
    other = trace.get_current_span(
        _PROPAGATOR.extract({"traceparent": traceparent})
    ).get_span_context()
    current = trace.get_current_span()
    if traceparent and other.is_valid and current.is_recording():
        current.add_link(other, {"extproc.link": "login_started"})


def keep_failure(name: str, started_ns: int, error_type: str, attributes: Attributes) -> None:
    """A failure below a parent that nobody samples, as one span for the trace page alone: whoever
    has the id of an error page finds the reason there. A few in each second: under a flood of
    failures the rest would cost what is scarce.
    """
    now = time.time_ns()
    if now // 1_000_000_000 != _Set.second:
        _Set.second, _Set.kept = now // 1_000_000_000, 0
    _Set.kept += 1
    if _Set.aside is not None and _Set.kept <= ASIDE:
        of = _Set.aside.start_span(name, None, SpanKind.SERVER, attributes, start_time=started_ns)
        of.set_attribute("extproc.sampled", False)
        failed(of, error_type)
        of.end(now)


def user(subject: str) -> None:
    """Whose request this is, where the settings let spans say so (tracing.users)."""
    if _Set.users and (current := trace.get_current_span()).is_recording():
        current.set_attribute("enduser.id", subject[:200])


def failed(current: Span, error_type: str) -> None:
    """Marks a span as failed, with a low-cardinality cause."""
    current.set_attribute("error.type", error_type)
    current.set_status(Status(StatusCode.ERROR))
