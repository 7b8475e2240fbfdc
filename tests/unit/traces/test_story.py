"""A trace in one line, and the traces that are the steps of one login."""

import pytest
from harness import spans

from extproc.traces import Link, Trace, sketch, story, summary
from extproc.traces.story import STEPS

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


def steps_of(traces, trace_id):
    return [
        (step.role, step.trace_id[0], step.joined) for step in story(map(sketch, traces), trace_id)
    ]


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
    assert steps_of(WHOLE, asked) == steps


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
    assert [step for step, *_ in steps_of((redirect(), callback(), other), CALLBACK)] == [
        "redirect",
        "callback",
    ]


def test_two_logins_of_one_client_at_once_leave_the_page_out():
    second = request(OTHER, 990, 1045, "signed_in", status=303)
    traces = (redirect(), callback(), second, page())
    assert [step for step, *_ in steps_of(traces, CALLBACK)] == ["redirect", "callback"]
    assert steps_of(traces, PAGE) == [("page", "3", "")]


def test_a_redirect_that_was_not_sampled_is_a_step_that_is_not_here():
    first, second = story([sketch(callback())], CALLBACK)
    assert (first.role, first.trace_id, first.summary) == ("redirect", REDIRECT, None)
    assert second.summary is not None


def test_a_story_has_a_bounded_number_of_steps_whatever_links_are_sent():
    links = tuple(Link(f"{number:032x}", "1" * 16) for number in range(10, 10 + 3 * STEPS))
    asked = request(CALLBACK, 0, 5, "signed_in", links=links)
    assert len(story(map(sketch, (redirect(), asked)), CALLBACK)) == STEPS


def test_a_login_that_failed_has_no_page():
    failed = callback(reason="state_mismatch", status=400)
    assert [step for step, *_ in steps_of((redirect(), failed, page()), REDIRECT)] == [
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
