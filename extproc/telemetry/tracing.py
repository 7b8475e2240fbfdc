"""Spans: the tracer of this process, and spans around blocks.

Spans follow the OpenTelemetry semantic conventions (http, rpc, url, error.type). No span, event or
log line holds a query string, a token, a cookie, a code or an exception's text of foreign origin:
each attribute is written by name.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import Token
from dataclasses import dataclass
from types import TracebackType

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from extproc.telemetry.light_spans import LightSpan, LightTracer
from extproc.telemetry.per_second import PerSecond

Attribute = str | int | float | bool
Attributes = Mapping[str, Attribute]

# A proxy: it finds the tracer provider that is set later.
_TRACER = trace.get_tracer("extproc")
UNSAMPLED_FAILURES = 20  # kept in each second


@dataclass(frozen=True, slots=True)
class Tracing:
    """How this process makes spans.

    light: makes spans without the SDK, where they follow their parent; None: the SDK's sampler is
        asked (OTEL_TRACES_SAMPLER), or no tracing was set up.
    unsampled: makes the spans of failures that are not sampled; None: they are not kept.
    disabled: by OTEL_SDK_DISABLED.
    users: spans may name the user.
    """

    light: LightTracer | None = None
    unsampled: Tracer | None = None
    disabled: bool = False
    users: bool = False


_tracing = Tracing()
_unsampled_failures = PerSecond(UNSAMPLED_FAILURES)


def set_up_tracing(
    processors: Sequence[SpanProcessor],
    endpoint: str | None,
    *,
    standard: bool,
    users: bool = False,
) -> TracerProvider:
    """Sets the tracer provider of this process. Called once.

    Args:
        processors: for the trace page, which also gets failures that are not sampled.
        endpoint: OTLP/HTTP base address to export to.
        standard: without an endpoint, export by the OTEL_* variables.
        users: spans may name the user.

    Returns:
        The provider, for its shutdown.
    """
    global _tracing  # noqa: PLW0603 - OpenTelemetry has one tracer provider for each process
    resource = Resource.create({"service.name": "extproc"})
    everything = (*processors, *_exporters(endpoint, standard))
    provider = _provider(TracerProvider(resource=resource), everything)
    unsampled = _provider(TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False), processors)
    trace.set_tracer_provider(provider)
    # ParentBased answers "as the parent" below a parent. Any other sampler has to be asked.
    follows_parent = isinstance(provider.sampler, ParentBased)
    _tracing = Tracing(
        light=LightTracer("extproc", provider, everything) if follows_parent else None,
        unsampled=unsampled.get_tracer("extproc"),
        disabled=os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true",
        users=users,
    )
    return provider


def _exporters(endpoint: str | None, standard: bool) -> tuple[SpanProcessor, ...]:
    if endpoint is not None:
        exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces")
        return (BatchSpanProcessor(exporter),)
    return (BatchSpanProcessor(OTLPSpanExporter()),) if standard else ()


def _provider(provider: TracerProvider, processors: Sequence[SpanProcessor]) -> TracerProvider:
    for processor in processors:
        provider.add_span_processor(processor)
    return provider


def standard() -> bool:
    """Whether the OTEL_* variables name an address for spans."""
    return any(
        os.environ.get(f"OTEL_EXPORTER_OTLP_{name}") for name in ("ENDPOINT", "TRACES_ENDPOINT")
    )


def span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
    parent: otel_context.Context | None = None,
) -> AbstractContextManager[Span]:
    """Makes a span around a block. An exception marks it with error.type, never with its text or
    its traceback; cancellation is not an error.

    Below a parent that is not sampled no span is made, and the parent stays the current one: the
    trace id on pages, and what is sent to the provider, are then the parent's.

    Args:
        name: of low cardinality.
        kind: as OpenTelemetry defines it.
        attributes: at the start.
        parent: the context to start in; None: the current one.
    """
    outer = trace.get_current_span(parent)
    outer_context = outer.get_span_context()
    if _tracing.disabled:
        return _CurrentSpan(None, outer, parent)
    light = _tracing.light
    if light is not None and outer_context.is_valid:
        if outer_context.trace_flags.sampled:
            return _CurrentSpan(light.start(name, outer_context, kind, attributes), outer, parent)
        if not outer.is_recording():
            return _CurrentSpan(None, outer, parent)
    return _sdk_span(name, kind, attributes, parent)


def past(name: str, started_ns: int, attributes: Attributes) -> None:
    """Records a span from then until now below the current one, if that is recorded.

    started_ns: nanoseconds since the epoch.
    """
    outer = trace.get_current_span()
    if not outer.is_recording():
        return
    if _tracing.light is not None:
        done: Span = _tracing.light.start(
            name, outer.get_span_context(), SpanKind.INTERNAL, attributes, started_ns
        )
    else:
        done = _TRACER.start_span(name, attributes=attributes, start_time=started_ns)
    done.end()


class _CurrentSpan(AbstractContextManager[Span]):
    """Makes a span the current one of a block: one of our own, which ends with the block, or else
    the outer span, of which nothing is recorded.
    """

    __slots__ = ("_outer", "_own", "_parent", "_token")

    def __init__(
        self, own: LightSpan | None, outer: Span, parent: otel_context.Context | None
    ) -> None:
        self._own = own
        self._outer = outer
        self._parent = parent
        self._token: Token[otel_context.Context] | None = None

    def __enter__(self) -> Span:
        if self._own is not None:
            context = trace.set_span_in_context(self._own, self._parent)
            self._token = otel_context.attach(context)
            return self._own
        # Without a parent given, the outer span is the current one already.
        if self._parent is not None:
            self._token = otel_context.attach(self._parent)
        return self._outer

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        if self._token is not None:
            otel_context.detach(self._token)
        if self._own is not None:
            if error is not None:
                _mark_ended_by(error, self._own)
            self._own.end()


@contextmanager
def _sdk_span(
    name: str, kind: SpanKind, attributes: Attributes | None, parent: otel_context.Context | None
) -> Iterator[Span]:
    with _TRACER.start_as_current_span(
        name, parent, kind, attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except BaseException as error:
            _mark_ended_by(error, current)
            raise


def _mark_ended_by(error: BaseException, current: Span) -> None:
    if isinstance(error, Exception):
        status = current.status if isinstance(current, LightSpan | ReadableSpan) else None
        # An error that was marked by name stays as it is.
        if status is None or status.status_code is not StatusCode.ERROR:
            failed(current, getattr(error, "reason", type(error).__qualname__))
    elif not any(event.name == "answered" for event in getattr(current, "events", ())):
        # Envoy resets a stream that it has an answer for: only one without is cancelled, by asyncio
        # or by trio.
        current.add_event("cancelled")


def failed(current: Span, error_type: str) -> None:
    """Marks a span as failed, with a low-cardinality cause."""
    current.set_attribute("error.type", error_type)
    current.set_status(Status(StatusCode.ERROR))


def keep_failure(name: str, started_ns: int, error_type: str, attributes: Attributes) -> None:
    """Records a failure whose trace is not sampled as one span, for the trace page alone, so that
    the operator finds the reason under the id of the error page.

    Keeps UNSAMPLED_FAILURES in a second; otherwise a flood of failures would cost time and push
    other traces out.

    Args:
        name: of the span.
        started_ns: nanoseconds since the epoch.
        error_type: of low cardinality.
        attributes: of the span.
    """
    if not _unsampled_failures.passes() or _tracing.unsampled is None:
        return
    done = _tracing.unsampled.start_span(
        name, None, SpanKind.SERVER, attributes, start_time=started_ns
    )
    done.set_attribute("extproc.sampled", False)
    failed(done, error_type)
    done.end()


def user(subject: str) -> None:
    """Names the user of this request in the current span, if the settings allow it
    (tracing.users).
    """
    if not _tracing.users:
        return
    current = trace.get_current_span()
    if current.is_recording():
        current.set_attribute("enduser.id", subject[:200])
