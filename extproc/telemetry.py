"""Traces and logs: one tracer, propagation, lines with the trace's id (log_lines.py: how they look). Imports nothing of ours.

Spans follow the OpenTelemetry semantic conventions (http, rpc, url, error.type). No span, event or log line holds a query
string, a token, a cookie, a code or an exception's text of foreign origin: what is written here is written by name.
"""

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

Attribute = str | int | float | bool
Attributes = Mapping[str, Attribute]

_PROPAGATOR = TraceContextTextMapPropagator()
_TRACER = trace.get_tracer("extproc")  # once: it finds the provider that is set later
# a parent that nobody keeps (W3C Trace Context section 3.2.2.5): what Envoy says of nearly every request
ASIDE = 20  # failures kept in one second that nobody samples
_UNSAMPLED = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f][02468ace]")
_LOGGER = logging.getLogger("extproc")
STREAM: ContextVar[int] = ContextVar("stream")  # which stream of this process is served: each of its lines says so


def set_up_tracing(
    processors: Sequence[SpanProcessor], endpoint: str | None, *, standard: bool, users: bool = False
) -> TracerProvider:
    """The process's tracer provider. endpoint: OTLP/HTTP base address; standard: export by the OTEL_* variables instead.

    processors: for the trace page, which gets the failures that nobody samples as well; users: spans may name the user.
    """
    resource = Resource.create({"service.name": "extproc"})
    provider = TracerProvider(resource=resource)
    aside = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False)
    for processor in processors:
        provider.add_span_processor(processor)
        aside.add_span_processor(processor)
    _Aside.tracer, _Aside.users = aside.get_tracer("extproc"), users
    if endpoint is not None:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces")))
    elif standard:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider


def standard() -> bool:
    """Whether the OTEL_* variables say where spans go."""
    return any(os.environ.get(f"OTEL_EXPORTER_OTLP_{name}") for name in ("ENDPOINT", "TRACES_ENDPOINT"))


def parent_of(metadata: Sequence[tuple[str, str]]) -> otel_context.Context:
    """The caller's context from a stream's gRPC metadata: there Envoy writes its own span, as nowhere else."""
    for key, value in metadata:
        if key == "traceparent" and (unsampled := _UNSAMPLED.fullmatch(value)):
            of_parent = SpanContext(int(unsampled[1], 16), int(unsampled[2], 16), is_remote=True)
            if of_parent.is_valid:
                return trace.set_span_in_context(NonRecordingSpan(of_parent), otel_context.Context())
    carrier = {key: value for key, value in metadata if key in ("traceparent", "tracestate")}
    return _PROPAGATOR.extract(carrier, context=otel_context.Context())


def traceparent() -> dict[str, str]:
    """The current span as headers of an outgoing call: traceparent and tracestate, never baggage."""
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
    """A span around a block. An exception marks it with error.type, never with its text or its traceback; being cancelled is no error.

    Below a parent that is not sampled none is made: two for every request are a third of what a 401 costs. The trace's id
    and what goes on to the provider are the parent's. (A sampler of the operator's own, in OTEL_TRACES_SAMPLER, is asked.)
    """
    outer = trace.get_current_span(parent)
    of_outer = outer.get_span_context()
    if of_outer.is_valid and not of_outer.trace_flags.sampled and not outer.is_recording() and _follows_parent():
        return _Unrecorded(outer, parent)
    return _recorded(name, kind, attributes, parent)


def _follows_parent() -> bool:
    provider = trace.get_tracer_provider()
    return isinstance(provider, TracerProvider) and isinstance(provider.sampler, ParentBased)


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


@contextmanager
def _recorded(
    name: str, kind: SpanKind, attributes: Attributes | None, parent: otel_context.Context | None
) -> Iterator[Span]:
    with _TRACER.start_as_current_span(
        name, parent, kind, attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except Exception as error:
            if not _has_failed(current):  # what was said by name counts
                failed(current, getattr(error, "reason", type(error).__qualname__))
            raise
        except BaseException:  # cancelled, by asyncio or by trio
            if not any(
                event.name == "answered" for event in getattr(current, "events", ())
            ):  # Envoy resets what it has
                current.add_event("cancelled")
            raise


def _has_failed(current: Span) -> bool:
    return isinstance(current, ReadableSpan) and current.status.status_code is StatusCode.ERROR


def link(traceparent: str) -> None:
    """Links the current span to another trace: the redirect that started a login, for its callback.

    Nothing where it has ended: a code exchange goes on when its client has left, and the SDK would write a warning for each.
    """
    other = trace.get_current_span(_PROPAGATOR.extract({"traceparent": traceparent})).get_span_context()
    current = trace.get_current_span()
    if traceparent and other.is_valid and current.is_recording():
        current.add_link(other, {"extproc.link": "login_started"})


class _Aside:
    """What is set once for the process."""

    tracer: Tracer | None = None
    users = False
    second, kept = 0, 0


def keep_failure(name: str, started_ns: int, error_type: str, attributes: Attributes) -> None:
    """A failure below a parent that nobody samples, as one span for the trace page alone: whoever has the id of an error
    page finds the reason there. A few in each second: under a flood of failures the rest would cost what is scarce."""
    now = time.time_ns()
    if now // 1_000_000_000 != _Aside.second:
        _Aside.second, _Aside.kept = now // 1_000_000_000, 0
    _Aside.kept += 1
    if _Aside.tracer is not None and _Aside.kept <= ASIDE:
        of = _Aside.tracer.start_span(name, None, SpanKind.SERVER, attributes, start_time=started_ns)
        of.set_attribute("extproc.sampled", False)
        failed(of, error_type)
        of.end(now)


def user(subject: str) -> None:
    """Whose request this is, where the settings let spans say so (tracing.users)."""
    if _Aside.users and (current := trace.get_current_span()).is_recording():
        current.set_attribute("enduser.id", subject[:200])


def failed(current: Span, error_type: str) -> None:
    """Marks a span as failed, with a low-cardinality cause."""
    current.set_attribute("error.type", error_type)
    current.set_status(Status(StatusCode.ERROR))


def is_logged(level: int) -> bool:
    return _LOGGER.isEnabledFor(level)


def log(level: int, event: str, /, exc_info: BaseException | None = None, **fields: Attribute | None) -> None:
    """One structured line; fields are named by us and hold no secrets. exc_info: for bugs only, its traceback is kept."""
    if _LOGGER.isEnabledFor(level):
        extra = {key: value for key, value in fields.items() if value is not None}
        _LOGGER.log(level, event, exc_info=exc_info, extra=extra)
