"""The processor's own spans into the store, as they end."""

from harness.spans import recent
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, Status, StatusCode

from extproc.traces import Recorder, TraceStore


def sdk(store):
    provider = TracerProvider(resource=Resource.create({"service.name": "extproc"}))
    provider.add_span_processor(Recorder(store))
    return provider.get_tracer("test")


def test_our_own_spans_are_recorded_as_they_end():
    store = TraceStore()
    tracer = sdk(store)
    with tracer.start_as_current_span("stream", kind=SpanKind.SERVER):
        with tracer.start_as_current_span(
            "decide", attributes={"a": True, "b": ["x", "y"], "c": 1.5}
        ) as inner:
            inner.set_status(Status(StatusCode.ERROR, "bad"))
            inner.add_event("held", {"kind": "callback"})
        [trace] = recent(store)
        assert [span.name for span in trace.spans] == ["decide"]
    [trace] = recent(store)
    outer, inner_span = trace.spans
    assert (outer.kind, outer.service, outer.parent_id) == ("server", "extproc", "")
    assert (inner_span.parent_id, inner_span.status, inner_span.status_text) == (
        outer.span_id,
        "error",
        "bad",
    )
    assert inner_span.attributes == (("a", "true"), ("b", "x, y"), ("c", "1.5"))
    assert [(event.name, event.attributes) for event in inner_span.events] == [
        ("held", (("kind", "callback"),))
    ]


def test_our_own_refusals_and_slow_ones_outlive_others_before_they_are_read():
    store = TraceStore(max_traces=6, slow=1)
    tracer = sdk(store)
    refused = {"http.response.status_code": 403, "extproc.reason": "forbidden"}
    for name, attributes, lasts in (
        ("refused", refused, 5),
        ("slow", {}, 1_000_000_000),
        ("quick", {}, 999_999_999),
    ):
        tracer.start_span(name, attributes=attributes, start_time=100).end(100 + lasts)
    for _ in range(20):
        tracer.start_span("good").end()
    names = [trace.spans[0].name for trace in recent(store)]
    assert sorted(names) == ["good"] * 4 + ["refused", "slow"]


def test_what_our_own_spans_say_counts_against_the_limit_in_bytes():
    store = TraceStore(max_bytes=50_000)
    tracer = sdk(store)
    for _ in range(50):
        tracer.start_span("x", attributes={"url.path": "/" * 5000}).end()
    assert 4 <= len(recent(store)) <= 9


def test_a_span_that_is_not_sampled_is_not_recorded():
    store = TraceStore()
    provider = TracerProvider(sampler=ALWAYS_OFF)
    provider.add_span_processor(Recorder(store))
    provider.get_tracer("test").start_span("x").end()
    assert recent(store) == ()
