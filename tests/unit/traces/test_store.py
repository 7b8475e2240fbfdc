"""The store of traces, its OTLP side, and the tree."""

import gzip
import threading
import zlib

import pytest
from harness import spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, Status, StatusCode

from extproc.traces import BadExport, Link, Recorder, TraceStore, duration, render, rows
from extproc.traces.otlp import decode
from extproc.traces.tree import is_problem
from extproc.traces.values import TEXT, LazySpan


def shape(given):
    return [(row.depth, row.span.name, row.orphan) for row in rows(given)]


def test_what_is_exported_comes_back_as_it_was():
    store = TraceStore()
    assert store.add_otlp(spans.export(spans.callback())) == 14
    trace = store.trace(spans.TRACE)
    assert trace is not None
    assert trace.spans == tuple(sorted(spans.callback(), key=lambda s: (s.start_ns, s.span_id)))


def test_gzip_is_taken():
    store = TraceStore()
    store.add_otlp(gzip.compress(spans.export(spans.fast_path())), "GZIP")
    assert [len(trace.spans) for trace in store.recent()] == [3]


@pytest.mark.parametrize(
    ("body", "encoding", "why"),
    [
        (b"\xff\xff\xff", "", "not an ExportTraceServiceRequest"),
        (b"plain", "gzip", "not gzip"),
        (gzip.compress(b"x" * 50)[:-9], "gzip", "cut off"),
        (gzip.compress(b"\0" * 2_000_000), "gzip", "too large when unpacked"),
        (b"\0" * 1001, "", "too large when unpacked"),
        (zlib.compress(b""), "deflate", "neither gzip nor identity"),
    ],
    ids=["no protobuf", "no gzip", "cut off", "a bomb", "too large", "deflate"],
)
def test_a_bad_export_is_refused_and_nothing_kept(body, encoding, why):
    store = TraceStore()
    with pytest.raises(BadExport, match=why):
        store.add_otlp(body, encoding, limit=1000)
    assert store.recent() == ()


def test_a_query_in_a_proxys_url_is_not_kept():
    store = TraceStore()
    urls = (
        ("http.url", "http://localhost/oauth2/callback?code=SECRET&state=s"),
        ("url.query", "code=SECRET"),
    )
    store.add_otlp(spans.export((spans.span(1, 0, "envoy", "ingress", 0, 1, attributes=urls),)))
    [trace] = store.recent()
    assert trace.spans[0].attributes == (
        ("http.url", "http://localhost/oauth2/callback?…"),
        ("url.query", "…"),
    )


def test_a_span_that_comes_again_replaces_the_one_before():
    store = TraceStore()
    store.add((spans.span(1, 0, "a", "first", 0, 1), spans.span(1, 0, "a", "second", 0, 2)))
    trace = store.trace(spans.TRACE)
    assert trace is not None
    assert [span.name for span in trace.spans] == ["second"]


def test_the_oldest_traces_go_first():
    store = TraceStore(max_traces=2)
    for number in range(4):
        store.add((spans.span(1, 0, "a", "x", 0, 1, trace_id=f"{number:032x}"),))
    assert [trace.trace_id[-1] for trace in store.recent()] == ["3", "2"]


def test_a_trace_keeps_so_many_spans_and_counts_the_rest():
    store = TraceStore(max_spans_per_trace=3)
    store.add(spans.span(number, 0, "a", "x", 0, 1) for number in range(1, 6))
    [trace] = store.recent()
    assert (len(trace.spans), trace.dropped) == (3, 2)


def test_all_traces_together_keep_so_many_bytes():
    store = TraceStore(max_bytes=10_000)
    for number in range(50):
        store.add((spans.span(1, 0, "a", "x" * 1000, 0, 1, trace_id=f"{number:032x}"),))
    assert 1 <= len(store.recent()) <= 7


def test_our_own_spans_are_recorded_as_they_end():
    store = TraceStore()
    tracer = sdk(store)
    with tracer.start_as_current_span("stream", kind=SpanKind.SERVER):
        with tracer.start_as_current_span(
            "decide", attributes={"a": True, "b": ["x", "y"], "c": 1.5}
        ) as inner:
            inner.set_status(Status(StatusCode.ERROR, "bad"))
            inner.add_event("held", {"kind": "callback"})
        [trace] = store.recent()
        assert [span.name for span in trace.spans] == ["decide"]
    [trace] = store.recent()
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


ENVOYS = "async envoy.service.ext_proc.v3.ExternalProcessor.Process egress"


@pytest.mark.parametrize(
    ("more", "telling"),
    [
        ({}, False),
        ({"status": "error"}, True),
        ({"status": "error", "name": ENVOYS, "attributes": (("status", "canceled"),)}, False),
        ({"status": "error", "name": ENVOYS, "attributes": (("status", "unavailable"),)}, True),
        ({"attributes": (("http.status_code", "400"), ("extproc.reason", "state_mismatch"))}, True),
        (
            {
                "attributes": (
                    ("http.response.status_code", "502"),
                    ("extproc.reason", "provider_timeout"),
                )
            },
            True,
        ),
        (
            {"attributes": (("http.status_code", "401"), ("extproc.reason", "login_required"))},
            False,
        ),
        ({"attributes": (("http.status_code", "404"),)}, False),  # the application's own
        ({"links": (Link("a" * 32, "b" * 16), Link("c" * 32, "d" * 16))}, False),
    ],
)
def test_what_the_store_goes_by_is_known_before_a_span_is_read(more, telling):
    span = spans.span(1, 2, "a", more.pop("name", "x"), 3, 7.5, **more)
    (unread,) = decode(spans.export((span,)))
    assert (unread.span(), unread.is_problem, is_problem(span)) == (span, telling, telling)
    assert (unread.duration_ns, unread.links) == (
        4_500_000,
        tuple(link.trace_id for link in span.links),
    )


def test_a_span_is_read_once_and_only_when_somebody_looks():
    read = []

    def load():
        read.append(1)
        return spans.span(1, 0, "a", "x", 0, 1)

    store = TraceStore()
    store.take([LazySpan(spans.TRACE, f"{1:016x}", 1_000_000, False, (), 100, load)])
    assert read == []
    assert [store.recent(), store.recent()] == [(store.trace(spans.TRACE),)] * 2 and read == [1]


def sdk(store):
    provider = TracerProvider(resource=Resource.create({"service.name": "extproc"}))
    provider.add_span_processor(Recorder(store))
    return provider.get_tracer("test")


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
    names = [trace.spans[0].name for trace in store.recent()]
    assert sorted(names) == ["good"] * 4 + ["refused", "slow"]


def test_what_our_own_spans_say_counts_against_the_limit_in_bytes():
    store = TraceStore(max_bytes=50_000)
    tracer = sdk(store)
    for _ in range(50):
        tracer.start_span("x", attributes={"url.path": "/" * 5000}).end()
    assert 4 <= len(store.recent()) <= 9


def test_long_values_are_cut():
    store = TraceStore()
    store.add_otlp(
        spans.export((spans.span(1, 0, "a", "n" * 9999, 0, 1, attributes=(("k", "v" * 9999),)),))
    )
    [trace] = store.recent()
    assert (len(trace.spans[0].name), len(trace.spans[0].attributes[0][1])) == (TEXT, TEXT)


def test_several_threads_may_record_at_once():
    store = TraceStore(max_traces=10)

    def record(first):
        for number in range(first, first + 500):
            store.add((spans.span(1, 0, "a", "x", 0, 1, trace_id=f"{number:032x}"),))
            store.recent()

    threads = [threading.Thread(target=record, args=(start * 1000,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.recent()) == 10


def test_children_come_by_start_below_their_parent():
    assert shape(spans.fast_path()) == [
        (0, "ingress", False),
        (1, "router app egress", False),
        (2, "GET /reports", False),
    ]
    names = [name for depth, name, _ in shape(reversed(spans.callback())) if depth == 3]
    assert names == [
        "decide",
        "store use_once",
        "POST token",
        "GET userinfo",
        "GET jwks",
        "establish",
        "store put",
    ]


def test_what_has_no_parent_here_hangs_under_the_root():
    given = (
        spans.span(1, 0, "a", "root", 5, 9),
        spans.span(2, 99, "a", "orphan", 6, 7),
        spans.span(3, 2, "a", "its child, by another clock", 1, 2),
    )
    assert shape(given) == [
        (0, "root", False),
        (1, "orphan", True),
        (2, "its child, by another clock", False),
    ]


def test_a_root_with_a_parent_elsewhere_is_the_root():
    assert shape(
        (spans.span(1, 77, "a", "ingress", 0, 9), spans.span(2, 1, "a", "below", 1, 2))
    ) == [
        (0, "ingress", False),
        (1, "below", False),
    ]


def test_spans_that_are_each_others_parents_are_shown_once():
    circle = (spans.span(1, 2, "a", "x", 0, 9), spans.span(2, 1, "a", "y", 1, 2))
    assert sorted(name for _, name, _ in shape((*circle, spans.span(3, 0, "a", "root", 4, 5)))) == [
        "root",
        "x",
        "y",
    ]
    assert sorted(name for _, name, _ in shape(circle)) == ["x", "y"]
    assert shape((spans.span(1, 1, "a", "itself", 0, 9),)) == [(0, "itself", False)]


def test_a_long_chain_is_no_recursion():
    chain = [
        spans.span(number, number - 1, "a", "x", number, number + 1) for number in range(1, 3001)
    ]
    assert rows(chain)[-1].depth == 2999


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0"),
        (999, "999 ns"),
        (1_500, "1.5 µs"),
        (43_100_000, "43.1 ms"),
        (999_900_000, "1000 ms"),
        (2_340_000_000, "2.34 s"),
    ],
)
def test_durations_have_three_digits(nanoseconds, text):
    assert duration(nanoseconds) == text


def test_the_tree_as_text():
    lines = render(spans.callback()).splitlines()
    assert lines[0].startswith("gateway: ingress [303]")
    assert lines[1].startswith("└─ gateway: ExternalProcessor.Process ")
    assert lines[5].startswith("      ├─ extproc: POST token [200] ")
    assert lines[11].startswith("      ├─ extproc: GET jwks [timeout] ")
    assert len({line.rindex("s  ") for line in lines}) == 1
    assert render(()) == "no spans"


def test_a_stream_that_envoy_resets_after_its_answer_is_no_error():
    for status, shown in (("canceled", False), ("unavailable", True)):
        span = spans.span(
            1, 0, "envoy", ENVOYS, 0, 1, status="error", attributes=(("status", status),)
        )
        assert ("[error]" in render((span,))) is shown
