"""Spans follow Envoy's decision. In a process of its own: a tracer provider is set once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, sys
from extproc import telemetry
from harness.spans import recent
from extproc.traces import Recorder, TraceStore

store = TraceStore()
telemetry.set_up_tracing([Recorder(store)], None, standard=False)
parent = telemetry.parent_of({"traceparent": sys.argv[1], "tracestate": "a=b"} if sys.argv[1] else {})
with telemetry.span("outer", parent=parent) as span:
    span.set_attribute("a", 1)
    with telemetry.span("inner"):
        said = [telemetry.trace_id(), telemetry.current(), telemetry.traceparent()]
print(json.dumps([said, [each.name for trace in recent(store) for each in trace.spans], telemetry.trace_id()]))
"""
ROOT = Path(__file__).parents[3]
PATHS = f"{ROOT}:{ROOT / 'tests'}"
TRACE, SPAN, NONE = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "0" * 32


def run(traceparent, **env):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, traceparent],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": PATHS, **env},
    )
    return json.loads(done.stdout)


def test_below_a_parent_that_is_not_sampled_no_span_is_made_and_the_trace_goes_on():
    parent = f"00-{TRACE}-{SPAN}-00"
    said, spans, after = run(parent)
    assert said[:2] == [TRACE, parent] and said[2]["traceparent"] == parent
    assert spans == [] and after == NONE


def test_below_a_sampled_parent_every_span_is_kept():
    said, spans, _ = run(f"00-{TRACE}-{SPAN}-01")
    assert sorted(spans) == ["inner", "outer"] and said[0] == TRACE
    assert said[1].startswith(f"00-{TRACE}-") and said[1].endswith("-01") and SPAN not in said[1]


@pytest.mark.parametrize(
    "broken", ["", "nonsense", f"00-{'0' * 32}-{SPAN}-00", f"00-{TRACE}-{'0' * 16}-00"]
)
def test_without_a_parent_a_trace_begins_here(broken):
    said, spans, _ = run(broken)
    assert sorted(spans) == ["inner", "outer"] and said[0] not in (NONE, TRACE)


def test_a_sampler_of_the_operators_own_is_asked():
    _, spans, _ = run(f"00-{TRACE}-{SPAN}-00", OTEL_TRACES_SAMPLER="always_on")
    assert sorted(spans) == ["inner", "outer"]


FAILURES = """
import contextvars, json, sys
from extproc import telemetry
from harness.spans import recent
from extproc.traces import Recorder, TraceStore

store = TraceStore()
telemetry.set_up_tracing([Recorder(store)], None, standard=False, users=sys.argv[2] == "users")
parent = telemetry.parent_of({"traceparent": sys.argv[1]})
with telemetry.span("outer", parent=parent):
    for _ in range(100):
        telemetry.keep_failure("Process", 1, "overloaded", {"url.path": "/x"})
with telemetry.span("login", parent=telemetry.parent_of({})):
    telemetry.user("alice")
    left = contextvars.copy_context()
left.run(telemetry.user, "alice")  # a code exchange goes on when its stream has ended
left.run(telemetry.link, sys.argv[1][:-1] + "1")
print(json.dumps([
    [each.trace_id, each.parent_id, each.status, dict(each.attributes), each.start_ns]
    for trace in recent(store) for each in trace.spans
]))
"""


@pytest.mark.parametrize("users", ["users", ""])
def test_a_failure_that_nobody_samples_is_kept_for_the_trace_page_a_few_in_a_second(users):
    done = subprocess.run(
        [sys.executable, "-c", FAILURES, f"00-{TRACE}-{SPAN}-00", users],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": PATHS},
    )
    assert not done.stderr  # the SDK warns of whatever is said of a span that has ended
    told = json.loads(done.stdout)
    failures = [each for each in told if each[0] == TRACE]
    assert 1 <= len(failures) <= 60  # 20 in a second, and the loop may see the next one begin
    assert failures[0][1:] == [
        SPAN,
        "error",
        {"url.path": "/x", "extproc.sampled": "false", "error.type": "overloaded"},
        1,
    ]
    (login,) = [each for each in told if each[0] != TRACE]
    assert login[3] == ({"enduser.id": "alice"} if users else {})


SAME = """
import asyncio, json, sys
from opentelemetry.trace import SpanKind
from extproc import telemetry
from harness.spans import recent
from extproc.traces import Recorder, TraceStore

class Refused(Exception):
    reason = "state_mismatch"

def tell(error, answered=False, named=False):
    try:
        with telemetry.span("outer", SpanKind.SERVER, {"rpc.system": "grpc"}, telemetry.parent_of(parent)) as span:
            with telemetry.span("inner", SpanKind.CLIENT, {"a": 1}) as inner:
                inner.set_attributes({"b": True, "a": 2})
            telemetry.past("decide", 5, {"c": "d"})
            telemetry.link("00-" + "c" * 32 + "-" + "d" * 16 + "-01")
            span.add_event("held", {"lane": "callback"})
            if answered:
                span.add_event("answered")
            if named:
                telemetry.failed(span, "by name")
            if error is not None:
                raise error
    except BaseException as raised:
        assert raised is error
    inner.set_attribute("late", 1)  # is lost

store = TraceStore()
telemetry.set_up_tracing([Recorder(store)], None, standard=False)
trace = "0" * 31 + "1"
said = []
for number, (error, more) in enumerate((
    (None, {}), (Refused(), {}), (ValueError("x"), {}), (ValueError("x"), {"named": True}),
    (asyncio.CancelledError(), {}), (asyncio.CancelledError(), {"answered": True}),
)):
    trace = f"{number + 1:032x}"
    parent = {"traceparent": f"00-{trace}-{'e' * 16}-{sys.argv[1]}"}
    if number == 1:
        parent["tracestate"] = "x=y"
    tell(error, **more)
    spans = {span.name: span for span in store.trace(trace).spans}
    outer = spans["outer"]
    assert outer.parent_id == "e" * 16 and {spans[name].parent_id for name in ("inner", "decide")} == {outer.span_id}
    assert all(span.end_ns >= span.start_ns > 0 for span in spans.values()) and spans["decide"].start_ns == 5
    said.append([[s.name, s.kind, s.service, s.status, s.status_text, sorted(s.attributes), [[e.name, e.attributes] for e in s.events],
                  [link.trace_id for link in s.links]] for _, s in sorted(spans.items())])
print(json.dumps(said))
"""


def test_spans_are_the_same_as_the_sdk_s_own():
    def told(**env):
        environment = {**os.environ, "PYTHONPATH": PATHS, **env}
        command = [sys.executable, "-c", SAME, "01"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        return json.loads(done.stdout), done.stderr

    ours, _ = told()
    # no sampler that follows the parent: the SDK is asked for each
    theirs, warned = told(OTEL_TRACES_SAMPLER="always_on")
    assert ours == theirs and "ended span" in warned
    outcomes = [
        (dict(outer[5]).get("error.type"), outer[3], [event[0] for event in outer[6]])
        for (*_, outer) in ours
    ]
    assert outcomes == [
        (None, "unset", ["held"]),
        ("state_mismatch", "error", ["held"]),
        ("ValueError", "error", ["held"]),
        ("by name", "error", ["held"]),
        (None, "unset", ["held", "cancelled"]),
        (None, "unset", ["held", "answered"]),
    ]


def test_with_the_sdk_off_nothing_is_made_and_the_trace_goes_on():
    parent = f"00-{TRACE}-{SPAN}-01"
    said, spans, after = run(parent, OTEL_SDK_DISABLED="true")
    assert said[:2] == [TRACE, parent] and said[2]["traceparent"] == parent
    assert spans == [] and after == NONE
