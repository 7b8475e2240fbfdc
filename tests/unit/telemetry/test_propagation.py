"""The trace of a request, from Envoy and on to the provider."""

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace

from extproc import telemetry

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def parent(*metadata):
    """The span that a stream with this metadata is below."""
    return trace.get_current_span(telemetry.parent_of(dict(metadata))).get_span_context()


@pytest.mark.parametrize("flags", ["00", "01"])
@pytest.mark.parametrize("state", [(), (("tracestate", ""),), (("tracestate", "a=b"),)])
def test_the_parent_is_envoy_s_span_whether_it_is_sampled_or_not(flags, state):
    span = parent(("traceparent", f"00-{TRACE}-{SPAN}-{flags}"), *state)
    assert (f"{span.trace_id:032x}", f"{span.span_id:016x}") == (TRACE, SPAN)
    assert span.trace_flags.sampled == (flags == "01") and span.is_remote


def test_the_state_of_a_sampled_trace_is_kept():
    span = parent(("traceparent", f"00-{TRACE}-{SPAN}-01"), ("tracestate", "a=b"))
    assert span.trace_state.get("a") == "b"


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "nonsense",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-0",
    ],
)
def test_a_traceparent_that_is_not_valid_is_no_parent(traceparent):
    assert not parent(("traceparent", traceparent)).is_valid


def test_a_call_carries_the_current_span_and_no_baggage():
    context = telemetry.parent_of({"traceparent": f"00-{TRACE}-{SPAN}-01", "baggage": "a=b"})
    token = otel_context.attach(context)
    try:
        assert telemetry.traceparent() == {"traceparent": f"00-{TRACE}-{SPAN}-01"}
        assert telemetry.current() == f"00-{TRACE}-{SPAN}-01" and telemetry.trace_id() == TRACE
    finally:
        otel_context.detach(token)


def test_without_a_span_there_is_nothing_to_carry():
    assert telemetry.current() == "" and telemetry.traceparent() == {}
    assert telemetry.trace_id() == "0" * 32
