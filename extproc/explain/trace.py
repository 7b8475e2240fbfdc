"""Reads a trace and the login that it belongs to, from the processor's admin or from Jaeger."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from extproc.addresses import http_client
from extproc.traces import Event, Link, Span, Step, Trace, sketch, story

PATIENCE = 10.0  # seconds
LINKED = 8  # other traces of the same login that are fetched


class NoStory(Exception):
    """There is no story of a trace; the text, for the operator, is why."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """One request of a story: its step of the login, and its spans where they are known.

    `asked_for`: the operator's id, of a trace or of a request in it, is this chapter's.
    """

    step: Step
    spans: tuple[Span, ...]
    asked_for: bool = False


def from_admin(admin: str, trace_id: str) -> tuple[Chapter, ...]:
    """The story of a trace from the processor's admin listener, which knows the traces of a login.

    Args:
        admin: the address of the admin listener: host:port, unix:PATH, or a URL.
        trace_id: 32 hexadecimal digits: the id of the trace, or of a request in it.

    Raises:
        NoStory: the admin listener does not answer, or has no such trace.
    """
    try:
        client = http_client(admin, PATIENCE)
    except (ValueError, httpx.InvalidURL) as problem:
        raise NoStory(f"{admin}: {problem}") from None
    with client:
        answer = _json(client, f"/traces/{trace_id}.json")
        traces = [_of_admin(answer)]
        trace_id = traces[0].trace_id
        for other in _linked_by_admin(answer)[:LINKED]:
            if other != trace_id:
                # The processor keeps a bounded number of traces, so another one may be gone.
                with contextlib.suppress(NoStory):
                    traces.append(_of_admin(_json(client, f"/traces/{other}.json")))
    return _chapters(traces, trace_id)


def _linked_by_admin(answer: Mapping[str, Any]) -> list[str]:
    steps = answer.get("story")
    if not isinstance(steps, list):
        return []
    return [str(step.get("trace_id")) for step in steps if isinstance(step, dict)]


def from_jaeger(url: str, trace_id: str) -> tuple[Chapter, ...]:
    """The story of a trace from Jaeger's query API, with the traces that its spans link to.

    Args:
        url: the address of Jaeger's query service.
        trace_id: 32 hexadecimal digits.

    Raises:
        NoStory: Jaeger does not answer, or has no such trace.
    """
    with httpx.Client(base_url=url.rstrip("/"), trust_env=False, timeout=PATIENCE) as client:
        first = _of_jaeger(_json(client, f"/api/traces/{trace_id}"), trace_id)
        links = [link.trace_id for span in first.spans for link in span.links]
        others = [other for other in dict.fromkeys(links) if other != trace_id]
        traces = [first]
        for other in others[:LINKED]:
            with contextlib.suppress(NoStory):
                traces.append(_of_jaeger(_json(client, f"/api/traces/{other}"), other))
    return _chapters(traces, trace_id)


def _chapters(traces: list[Trace], trace_id: str) -> tuple[Chapter, ...]:
    spans = {trace.trace_id: trace.spans for trace in traces}
    return tuple(
        Chapter(step, spans.get(step.trace_id, ()), asked_for=step.trace_id == trace_id)
        for step in story(map(sketch, traces), trace_id)
    )


def _json(client: httpx.Client, path: str) -> Mapping[str, Any]:
    try:
        answer = client.get(path)
        document = answer.json() if answer.status_code == 200 else None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as problem:
        raise NoStory(
            f"{client.base_url} does not answer ({type(problem).__name__}); is it running there?"
        ) from None
    if answer.status_code == 404:
        raise NoStory("there is no such trace: it was not sampled, or newer ones replaced it")
    if not isinstance(document, dict):
        raise NoStory(f"{client.base_url} answers {answer.status_code} without a trace")
    return document


def _of_admin(raw: Mapping[str, Any]) -> Trace:
    try:
        spans = tuple(_span(span) for span in raw["spans"])
        return Trace(raw["trace_id"], spans, int(raw.get("dropped", 0)))
    except (AttributeError, LookupError, TypeError, ValueError):
        raise NoStory("the answer is not a trace of this version of extproc") from None


def _span(raw: Mapping[str, Any]) -> Span:
    events = tuple(Event(event["name"], event["time_ns"]) for event in raw["events"])
    links = tuple(Link(link["trace_id"], link["span_id"]) for link in raw["links"])
    return Span(
        **{**raw, "attributes": tuple(raw["attributes"].items()), "events": events, "links": links}
    )


def _of_jaeger(raw: Mapping[str, Any], trace_id: str) -> Trace:
    try:
        (data,) = raw["data"]
        services = {key: str(value["serviceName"]) for key, value in data["processes"].items()}
        return Trace(trace_id, tuple(_jaeger_span(span, services) for span in data["spans"]))
    except (AttributeError, LookupError, TypeError, ValueError):
        raise NoStory("the answer is not a trace of Jaeger's") from None


def _jaeger_span(raw: Mapping[str, Any], services: Mapping[str, str]) -> Span:
    """A span of Jaeger's, whose times are microseconds. An OTLP link is a reference FOLLOWS_FROM.

    Args:
        raw: the span as JSON.
        services: the names of the services by the id of their process.
    """
    tags = {str(tag["key"]): _text(tag["value"]) for tag in raw.get("tags", [])}
    kind = tags.get("span.kind", "internal")
    failed = tags.get("error") == "true" or tags.get("otel.status_code") == "ERROR"
    start = int(raw["startTime"]) * 1000
    return Span(
        raw["traceID"].rjust(32, "0"),
        raw["spanID"],
        next(_references(raw, "CHILD_OF"), Link("", "")).span_id,
        str(raw["operationName"]),
        kind if kind in ("server", "client", "producer", "consumer") else "internal",  # type: ignore[arg-type]
        services.get(raw["processID"], ""),
        start,
        start + int(raw["duration"]) * 1000,
        "error" if failed else "unset",
        attributes=tuple(tags.items()),
        links=tuple(_references(raw, "FOLLOWS_FROM")),
    )


def _references(raw: Mapping[str, Any], kind: str) -> Iterator[Link]:
    for reference in raw.get("references", []):
        if reference["refType"] == kind:
            yield Link(reference["traceID"].rjust(32, "0"), reference["spanID"])


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
