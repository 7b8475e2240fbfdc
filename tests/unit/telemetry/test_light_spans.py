"""A span that costs less than the SDK's, and leaves what the SDK's leaves."""

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from extproc.telemetry.light_spans import LightTracer


class Ended(SpanProcessor):
    def __init__(self):
        self.spans = []

    def on_end(self, span):
        self.spans.append(span)


PARENT = SpanContext(1, 2, True, TraceFlags(TraceFlags.SAMPLED | 0x80))


@pytest.fixture
def ended():
    return Ended()


@pytest.fixture
def tracer(ended):
    return LightTracer("extproc", TracerProvider(shutdown_on_exit=False), [ended])


def test_a_span_that_ends_is_handed_on_with_all_that_was_written_to_it(tracer, ended):
    span = tracer.start("name", PARENT, SpanKind.CLIENT, {"a": 1}, started_ns=5)
    span.set_attribute("b", True)
    span.set_attributes({"a": 2})
    span.add_event("held", {"lane": "held"})
    span.add_link(PARENT)
    span.set_status(Status(StatusCode.ERROR))
    span.update_name("other")
    assert ended.spans == []
    span.end(9)
    (done,) = ended.spans
    assert (done.name, done.kind, done.parent) == ("other", SpanKind.CLIENT, PARENT)
    assert (done.start_time, done.end_time) == (5, 9)
    assert dict(done.attributes) == {"a": 2, "b": True}
    assert [event.name for event in done.events] == ["held"] and len(done.links) == 1
    assert done.status.status_code is StatusCode.ERROR


def test_what_is_written_after_the_end_is_lost(tracer, ended):
    span = tracer.start("name", PARENT, SpanKind.CLIENT, None)
    span.end()
    span.set_attribute("late", 1)
    span.add_event("late")
    span.set_status(StatusCode.ERROR)
    span.end()
    (done,) = ended.spans
    assert not done.attributes and not done.events and not span.is_recording()
    assert done.status.status_code is StatusCode.UNSET


def test_a_span_is_of_its_parent_s_trace_and_has_an_id_of_its_own(tracer):
    one = tracer.start("name", PARENT, SpanKind.CLIENT, None).get_span_context()
    other = tracer.start("name", PARENT, SpanKind.CLIENT, None).get_span_context()
    assert (
        one.trace_id == PARENT.trace_id and len({one.span_id, other.span_id, PARENT.span_id}) == 3
    )
    # Of the parent's flags those that W3C Trace Context level 2 knows are passed on.
    assert one.trace_flags == TraceFlags.SAMPLED and not one.is_remote


def test_of_an_exception_the_type_is_kept_and_never_the_text(tracer, ended):
    span = tracer.start("name", PARENT, SpanKind.CLIENT, None)
    span.record_exception(LookupError("SECRET"))
    span.end()
    (event,) = ended.spans[0].events
    assert dict(event.attributes) == {"exception.type": "LookupError"}
