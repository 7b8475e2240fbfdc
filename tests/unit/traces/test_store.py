"""The store of traces, and what it drops first."""

import threading

from harness import spans

from extproc.traces import Link, TraceStore

REDIRECT, CALLBACK = "1" * 32, "2" * 32


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
    assert [trace.trace_id[-1] for trace in spans.recent(store)] == ["3", "2"]


def test_a_trace_keeps_so_many_spans_and_counts_the_rest():
    store = TraceStore(max_spans_per_trace=3)
    store.add(spans.span(number, 0, "a", "x", 0, 1) for number in range(1, 6))
    [trace] = spans.recent(store)
    assert (len(trace.spans), trace.dropped) == (3, 2)


def test_all_traces_together_keep_so_many_bytes():
    store = TraceStore(max_bytes=10_000)
    for number in range(50):
        store.add((spans.span(1, 0, "a", "x" * 1000, 0, 1, trace_id=f"{number:032x}"),))
    assert 1 <= len(spans.recent(store)) <= 7


def test_several_threads_may_record_at_once():
    store = TraceStore(max_traces=10)

    def record(first):
        for number in range(first, first + 500):
            store.add((spans.span(1, 0, "a", "x", 0, 1, trace_id=f"{number:032x}"),))
            spans.recent(store)

    threads = [threading.Thread(target=record, args=(start * 1000,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(spans.recent(store)) == 10


def fill(store, count, first=100):
    for number in range(first, first + count):
        store.add((spans.span(1, 0, "a", "good", 0, 1, trace_id=f"{number:032x}"),))


def kept(store):
    return {trace.trace_id for trace in spans.recent(store)}


def test_traces_with_a_failure_and_slow_ones_outlive_good_ones_and_keep_what_they_are_linked_to():
    store = TraceStore(max_traces=10, slow=1)
    slow, error, good = "5" * 32, "6" * 32, "7" * 32
    reason = {"extproc.reason": "state_mismatch"}
    redirect = spans.span(
        1,
        0,
        "envoy",
        "app",
        0,
        5,
        trace_id=REDIRECT,
        attributes=spans.http("GET", "http://gw", 303),
    )
    refused = spans.span(
        1,
        0,
        "envoy",
        "app",
        1000,
        1050,
        trace_id=CALLBACK,
        attributes=spans.http("GET", "http://gw", 400, **reason),
    )
    processors = spans.span(
        2,
        1,
        "extproc",
        "Process",
        1000,
        1050,
        trace_id=CALLBACK,
        attributes=tuple(reason.items()),
        links=(Link(REDIRECT, "1" * 16),),
    )
    store.add((redirect,))
    # the processor's span has the link; Envoy's, which comes later, has the status of the refusal
    store.add((processors,))
    store.add((refused,))
    store.add((spans.span(1, 0, "a", "x", 0, 1001, trace_id=slow),))
    store.add((spans.span(1, 0, "a", "x", 0, 1, trace_id=error, status="error"),))
    store.add((spans.span(1, 0, "a", "x", 0, 999, trace_id=good),))
    fill(store, 50)
    assert {REDIRECT, CALLBACK, slow, error} <= kept(store) and good not in kept(store)
    assert len(kept(store)) == 10


def test_failures_leave_half_of_the_room_to_the_others():
    store = TraceStore(max_traces=10)
    for number in range(30):
        store.add((spans.span(1, 0, "a", "bad", 0, 1, trace_id=f"{number:032x}", status="error"),))
    fill(store, 30)
    names = [trace.spans[0].name for trace in spans.recent(store)]
    assert (names.count("bad"), names.count("good")) == (5, 5)
    assert f"{29:032x}" in kept(store) and f"{0:032x}" not in kept(store)


def test_failures_are_bounded_in_bytes_as_well():
    store = TraceStore(max_bytes=10_000)
    for number in range(50):
        store.add(
            (spans.span(1, 0, "a", "x" * 1000, 0, 1, trace_id=f"{number:032x}", status="error"),)
        )
    assert 1 <= len(spans.recent(store)) <= 7
