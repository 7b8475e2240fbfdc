"""The story of a trace from the processor's admin or from Jaeger."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
from harness import spans
from harness.static_server import Answer, StaticServer

from extproc.explain.trace import NoStory, from_admin, from_jaeger

FIRST, SECOND = "a" * 32, "b" * 32


@pytest.fixture
def server() -> Iterator[StaticServer]:
    with StaticServer() as running:
        yield running


def of_admin(trace_id: str, *others: str) -> Answer:
    span = spans.span(1, 0, "envoy", "app", 0, 5, kind="server", trace_id=trace_id)
    raw = {**asdict(span), "attributes": dict(span.attributes)}
    story = [{"trace_id": other} for other in (trace_id, *others)]
    return Answer.json({"trace_id": trace_id, "spans": [raw], "story": story})


def jaeger_span(trace_id: str, *links: str) -> dict[str, Any]:
    references = [
        {"refType": "FOLLOWS_FROM", "traceID": link, "spanID": "1" * 16} for link in links
    ]
    return {
        "traceID": trace_id,
        "spanID": "1" * 16,
        "operationName": "callback",
        "processID": "p",
        "startTime": 1_700_000_000_000_000,
        "duration": 1500,
        "tags": [{"key": "span.kind", "value": "server"}],
        "references": references,
    }


def of_jaeger(trace_id: str, *links: str) -> Answer:
    processes = {"p": {"serviceName": "extproc"}}
    spans_ = [jaeger_span(trace_id, *links)]
    return Answer.json({"data": [{"spans": spans_, "processes": processes}]})


def test_the_admin_listener_gives_a_trace_and_those_of_its_story(server: StaticServer) -> None:
    server.answers[f"/traces/{FIRST}.json"] = of_admin(FIRST, SECOND)
    server.answers[f"/traces/{SECOND}.json"] = of_admin(SECOND)
    chapters = from_admin(server.url, FIRST)
    assert [each.step.trace_id for each in chapters if each.spans] == [FIRST]
    assert [each.path for each in server.received] == [
        f"/traces/{FIRST}.json",
        f"/traces/{SECOND}.json",
    ]


def test_a_trace_of_the_story_that_is_gone_is_left_out(server: StaticServer) -> None:
    server.answers[f"/traces/{FIRST}.json"] = of_admin(FIRST, SECOND)
    assert [each.step.trace_id for each in from_admin(server.url, FIRST)] == [FIRST]


def test_jaeger_s_links_are_followed_and_its_times_are_microseconds(server: StaticServer) -> None:
    server.answers[f"/api/traces/{FIRST}"] = of_jaeger(FIRST, SECOND)
    server.answers[f"/api/traces/{SECOND}"] = of_jaeger(SECOND)
    chapters = from_jaeger(server.url + "/", FIRST)
    (span,) = next(each.spans for each in chapters if each.step.trace_id == FIRST)
    assert (span.service, span.kind, span.duration_ns) == ("extproc", "server", 1_500_000)
    assert [link.trace_id for link in span.links] == [SECOND]
    assert len(server.received) == 2


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer(404), "there is no such trace"),
        (Answer(500), "answers 500 without a trace"),
        (Answer.json([]), "answers 200 without a trace"),
        (Answer.html("<p>"), "does not answer"),
        (Answer.json({"data": []}), "is not a trace"),
    ],
)
def test_an_answer_without_a_trace_is_one_clear_error(
    server: StaticServer, answer: Answer, text: str
) -> None:
    server.answers[f"/traces/{FIRST}.json"] = server.answers[f"/api/traces/{FIRST}"] = answer
    for read in (from_admin, from_jaeger):
        with pytest.raises(NoStory, match=text):
            read(server.url, FIRST)


@pytest.mark.parametrize("attributes", [[1], "text", None, 5])
def test_attributes_that_are_no_object_are_no_story_and_no_traceback(
    server: StaticServer, attributes: object
) -> None:
    span = spans.span(1, 0, "envoy", "app", 0, 5, kind="server", trace_id=FIRST)
    raw = {**asdict(span), "attributes": attributes}
    server.answers = {
        f"/traces/{FIRST}.json": Answer.json({"trace_id": FIRST, "spans": [raw], "story": []}),
    }
    with pytest.raises(NoStory):
        from_admin(server.url, FIRST)
    odd = {**jaeger_span(FIRST), "tags": attributes or [1]}
    data = [{"traceID": FIRST, "spans": [odd], "processes": {"p": {"serviceName": "extproc"}}}]
    server.answers = {f"/api/traces/{FIRST}": Answer.json({"data": data})}
    with pytest.raises(NoStory):
        from_jaeger(server.url, FIRST)
