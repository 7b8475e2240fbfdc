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
from extproc.traces import Recorder, TraceStore

store = TraceStore()
telemetry.set_up_tracing([Recorder(store)], None, standard=False)
parent = telemetry.parent_of([("traceparent", sys.argv[1]), ("tracestate", "a=b")] if sys.argv[1] else [])
with telemetry.span("outer", parent=parent) as span:
    span.set_attribute("a", 1)
    with telemetry.span("inner"):
        said = [telemetry.trace_id(), telemetry.current(), telemetry.traceparent()]
print(json.dumps([said, [each.name for trace in store.recent() for each in trace.spans], telemetry.trace_id()]))
"""
TRACE, SPAN, NONE = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "0" * 32


def run(traceparent, **env):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, traceparent],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **env},
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


@pytest.mark.parametrize("broken", ["", "nonsense", f"00-{'0' * 32}-{SPAN}-00", f"00-{TRACE}-{'0' * 16}-00"])
def test_without_a_parent_a_trace_begins_here(broken):
    said, spans, _ = run(broken)
    assert sorted(spans) == ["inner", "outer"] and said[0] not in (NONE, TRACE)


def test_a_sampler_of_the_operators_own_is_asked():
    _, spans, _ = run(f"00-{TRACE}-{SPAN}-00", OTEL_TRACES_SAMPLER="always_on")
    assert sorted(spans) == ["inner", "outer"]


FAILURES = """
import contextvars, json, sys
from extproc import telemetry
from extproc.traces import Recorder, TraceStore

store = TraceStore()
telemetry.set_up_tracing([Recorder(store)], None, standard=False, users=sys.argv[2] == "users")
parent = telemetry.parent_of([("traceparent", sys.argv[1])])
with telemetry.span("outer", parent=parent):
    for _ in range(100):
        telemetry.keep_failure("Process", 1, "overloaded", {"url.path": "/x"})
with telemetry.span("login", parent=telemetry.parent_of([])):
    telemetry.user("alice")
    left = contextvars.copy_context()
left.run(telemetry.user, "alice")  # a code exchange goes on when its stream has ended
left.run(telemetry.link, sys.argv[1][:-1] + "1")
print(json.dumps([
    [each.trace_id, each.parent_id, each.status, dict(each.attributes), each.start_ns]
    for trace in store.recent() for each in trace.spans
]))
"""


@pytest.mark.parametrize("users", ["users", ""])
def test_a_failure_that_nobody_samples_is_kept_for_the_trace_page_a_few_in_a_second(users):
    done = subprocess.run(
        [sys.executable, "-c", FAILURES, f"00-{TRACE}-{SPAN}-00", users],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
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
