"""The trace of a request, from Envoy and on to the provider (W3C Trace Context)."""

import re
from collections.abc import Mapping

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()
# W3C Trace Context section 3.2
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def parent_of(metadata: Mapping[str, str]) -> otel_context.Context:
    """Envoy's span as a context, from a stream's gRPC metadata, which is the only place where Envoy
    writes it.
    """
    fields = _TRACEPARENT.fullmatch(metadata.get("traceparent", ""))
    if fields is not None:
        flags = TraceFlags(int(fields[3], 16))
        # Cheaper than the SDK's propagator, which is needed only for a tracestate that is kept:
        # Envoy writes it empty.
        if not flags.sampled or not metadata.get("tracestate"):
            span = SpanContext(int(fields[1], 16), int(fields[2], 16), True, flags)
            if span.is_valid:
                return trace.set_span_in_context(NonRecordingSpan(span), otel_context.Context())
    carrier = {key: metadata[key] for key in ("traceparent", "tracestate") if key in metadata}
    return _PROPAGATOR.extract(carrier, context=otel_context.Context())


def traceparent() -> dict[str, str]:
    """The current span as headers of an outgoing call: traceparent and tracestate, never
    baggage.
    """
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier


def current() -> str:
    """The current span as a traceparent (W3C Trace Context section 3.2); '' if there is none."""
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return ""
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


def trace_id() -> str:
    """The current trace's id, 32 hexadecimal digits; zeros if there is none."""
    return trace.format_trace_id(trace.get_current_span().get_span_context().trace_id)


def link(traceparent: str) -> None:
    """Links the current span to another trace: a callback to the redirect that started its login.

    Does nothing if the current span has ended: a code exchange continues when its client has left,
    and the SDK would write a warning for each.
    """
    current = trace.get_current_span()
    if not traceparent or not current.is_recording():
        return
    carrier = {"traceparent": traceparent}
    other = trace.get_current_span(_PROPAGATOR.extract(carrier)).get_span_context()
    if other.is_valid:
        current.add_link(other, {"extproc.link": "login_started"})
