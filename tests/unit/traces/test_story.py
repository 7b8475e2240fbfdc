"""One login, one story: which traces are its steps."""

import pytest
from harness import spans

from extproc.traces import Link, Trace, TraceStore, story, summary

REDIRECT, CALLBACK, PAGE, OTHER = (f"{digit}" * 32 for digit in "1234")


def request(
    trace_id,
    start,
    end,
    reason="",
    *,
    path="/",
    agent="Firefox",
    status=200,
    links=(),
    address="10.0.0.1",
):
    """A trace: the gateway's span, and below it the processor's where that was asked. Times in
    milliseconds.
    """
    who = {"user_agent": agent, "peer.address": address} | (
        {"extproc.reason": reason} if reason else {}
    )
    said = {"extproc.reason": reason, "url.path": path, "extproc.application": "app"}
    top = spans.span(
        1,
        0,
        "envoy",
        "app",
        start,
        end,
        kind="server",
        trace_id=trace_id,
        attributes=spans.http("GET", "http://gw", status, **who),
    )
    ours = spans.span(
        2, 1, "extproc", "Process", start, end, kind="server", trace_id=trace_id, attributes=tuple(said.items()), links=links
    )  # fmt: skip
    return Trace(trace_id, (top, ours) if reason else (top,))


def redirect(**more):
    return request(REDIRECT, 0, 5, "login_started", path="/private", status=303, **more)


def callback(start=1000, reason="signed_in", status=303, **more):
    links = (Link(REDIRECT, "1" * 16),)
    return request(
        CALLBACK,
        start,
        start + 50,
        reason,
        path="/oauth2/callback",
        status=status,
        links=links,
        **more,
    )


def page(start=1060, **more):
    return request(PAGE, start, start + 10, **more)


def told(traces, trace_id):
    return [(step.role, step.trace_id[0], step.joined) for step in story(traces, trace_id)]


WHOLE = (redirect(), callback(), page(), request(OTHER, 5000, 5010))


@pytest.mark.parametrize(
    ("asked", "steps"),
    [
        (REDIRECT, [("redirect", "1", ""), ("callback", "2", "link"), ("page", "3", "client")]),
        (CALLBACK, [("redirect", "1", "link"), ("callback", "2", ""), ("page", "3", "client")]),
        (PAGE, [("redirect", "1", "link"), ("callback", "2", "client"), ("page", "3", "")]),
        (OTHER, [("page", "4", "")]),
        ("9" * 32, []),
    ],
    ids=[
        "from the redirect",
        "from the callback",
        "from the page",
        "a later page is no step",
        "not here",
    ],
)
def test_a_login_is_one_story_from_whichever_step(asked, steps):
    assert told(WHOLE, asked) == steps


@pytest.mark.parametrize(
    "other",
    [
        page(agent="Chromium"),
        page(address="10.0.0.2"),
        page(start=1020),
        page(start=11_100),
        page(reason="login_started", status=303),
    ],
    ids=[
        "another browser",
        "another address",
        "began before the callback ended",
        "much later",
        "another login",
    ],
)
def test_a_request_that_is_not_the_next_of_the_same_browser_is_no_step(other):
    assert [step for step, *_ in told((redirect(), callback(), other), CALLBACK)] == [
        "redirect",
        "callback",
    ]


def test_two_logins_of_one_client_at_once_leave_the_page_out():
    second = request(OTHER, 990, 1045, "signed_in", status=303)
    traces = (redirect(), callback(), second, page())
    assert [step for step, *_ in told(traces, CALLBACK)] == ["redirect", "callback"]
    assert told(traces, PAGE) == [("page", "3", "")]


def test_a_redirect_that_was_not_sampled_is_a_step_that_is_not_here():
    first, second = story((callback(),), CALLBACK)
    assert (first.role, first.trace_id, first.summary) == ("redirect", REDIRECT, None)
    assert second.summary is not None


def test_a_login_that_failed_has_no_page():
    failed = callback(reason="state_mismatch", status=400)
    assert [step for step, *_ in told((redirect(), failed, page()), REDIRECT)] == [
        "redirect",
        "callback",
    ]


def test_a_trace_in_a_line():
    of = summary(callback(reason="id_token_nonce", status=502))
    assert (of.request, of.status, of.reason, of.application) == (
        "GET http://gw/oauth2/callback",
        "502",
        "id_token_nonce",
        "app",
    )
    assert (of.duration_ns, of.services, of.span_count, of.failed, of.is_problem) == (
        50_000_000,
        ("envoy", "extproc"),
        2,
        False,
        True,
    )


@pytest.mark.parametrize(
    ("reason", "status", "is_problem"),
    [("login_required", 401, False), ("login_started", 303, False), ("state_mismatch", 400, True)],
)
def test_that_somebody_is_not_signed_in_is_no_fault(reason, status, is_problem):
    assert summary(request(OTHER, 0, 1, reason, status=status)).is_problem is is_problem


def fill(store, count, first=100):
    for number in range(first, first + count):
        store.add((spans.span(1, 0, "a", "good", 0, 1, trace_id=f"{number:032x}"),))


def kept(store):
    return {trace.trace_id for trace in store.recent()}


def test_traces_with_a_failure_and_slow_ones_outlive_good_ones_and_keep_what_they_are_linked_to():
    store = TraceStore(max_traces=10, slow=1)
    refused, slow, error, good = (
        callback(reason="state_mismatch", status=400),
        "5" * 32,
        "6" * 32,
        "7" * 32,
    )
    store.add(redirect().spans)
    store.add(refused.spans[1:])  # ours first, whose link it is; Envoy's says that it was refused
    store.add(refused.spans[:1])
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
    names = [trace.spans[0].name for trace in store.recent()]
    assert (names.count("bad"), names.count("good")) == (5, 5)
    assert f"{29:032x}" in kept(store) and f"{0:032x}" not in kept(store)


def test_failures_are_bounded_in_bytes_as_well():
    store = TraceStore(max_bytes=10_000)
    for number in range(50):
        store.add(
            (spans.span(1, 0, "a", "x" * 1000, 0, 1, trace_id=f"{number:032x}", status="error"),)
        )
    assert 1 <= len(store.recent()) <= 7
