"""A trace, and the login that it is a step of: from the processor's admin, or from Jaeger's query
API.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from extproc.traces import Event, Link, Span, Step, Trace, story

PATIENCE = 10.0  # seconds
LINKED = 8  # traces that are fetched beside the one asked for


class NoStory(Exception):
    """Why there is none; the text is for the operator."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """One request of a story: the step, and its spans where they are known."""

    step: Step
    spans: tuple[Span, ...]


def from_admin(admin: str, trace_id: str) -> tuple[Chapter, ...]:
    """Raises NoStory. The admin knows which traces belong together, so they are fetched and told as
    it has them.
    """
    with httpx.Client(base_url=admin, trust_env=False, timeout=PATIENCE) as client:
        asked = _json(client, f"/traces/{trace_id}.json")
        steps = asked.get("story")
        others = (
            [str(each.get("trace_id")) for each in steps if isinstance(each, dict)]
            if isinstance(steps, list)
            else []
        )
        traces = [_of_admin(asked)]
        for other in others[:LINKED]:
            if other != trace_id:
                traces += _optional(client, other)
    return _chapters(traces, trace_id)


def _optional(client: httpx.Client, trace_id: str) -> list[Trace]:
    try:
        return [_of_admin(_json(client, f"/traces/{trace_id}.json"))]
    except NoStory:
        return []  # it made room for newer ones meanwhile


def from_jaeger(url: str, trace_id: str) -> tuple[Chapter, ...]:
    """GET /api/traces/ID, and those that its spans are linked to. Raises NoStory."""
    with httpx.Client(base_url=url.rstrip("/"), trust_env=False, timeout=PATIENCE) as client:
        first = _of_jaeger(_json(client, f"/api/traces/{trace_id}"), trace_id)
        linked = dict.fromkeys(
            link.trace_id
            for span in first.spans
            for link in span.links
            if link.trace_id != trace_id
        )
        traces = [first]
        for other in list(linked)[:LINKED]:
            try:
                traces.append(_of_jaeger(_json(client, f"/api/traces/{other}"), other))
            except NoStory:
                continue
    return _chapters(traces, trace_id)


def _chapters(traces: list[Trace], trace_id: str) -> tuple[Chapter, ...]:
    spans = {trace.trace_id: trace.spans for trace in traces}
    return tuple(Chapter(step, spans.get(step.trace_id, ())) for step in story(traces, trace_id))


def _json(client: httpx.Client, path: str) -> Mapping[str, Any]:
    try:
        answer = client.get(path)
        said = answer.json() if answer.status_code == 200 else None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as problem:
        raise NoStory(
            f"{client.base_url} does not answer ({type(problem).__name__}); is it running there?"
        ) from None
    if answer.status_code == 404:
        raise NoStory("it has no such trace: it was not sampled, or it made room for newer ones")
    if not isinstance(said, dict):
        raise NoStory(f"{client.base_url} answers {answer.status_code} with no trace")
    return said


def _of_admin(raw: Mapping[str, Any]) -> Trace:
    try:
        return Trace(
            raw["trace_id"], tuple(_span(each) for each in raw["spans"]), int(raw.get("dropped", 0))
        )
    except (KeyError, TypeError, ValueError):
        raise NoStory("the answer is no trace of an extproc of this version") from None


def _span(raw: Mapping[str, Any]) -> Span:
    events = tuple(Event(each["name"], each["time_ns"]) for each in raw["events"])
    links = tuple(Link(each["trace_id"], each["span_id"]) for each in raw["links"])
    return Span(
        **{**raw, "attributes": tuple(raw["attributes"].items()), "events": events, "links": links}
    )


def _of_jaeger(raw: Mapping[str, Any], trace_id: str) -> Trace:
    try:
        (data,) = raw["data"]
        services = {key: str(each["serviceName"]) for key, each in data["processes"].items()}
        return Trace(trace_id, tuple(_of_jaegers(each, services) for each in data["spans"]))
    except (KeyError, TypeError, ValueError):
        raise NoStory("the answer is no trace of Jaeger's") from None


def _of_jaegers(raw: Mapping[str, Any], services: Mapping[str, str]) -> Span:
    """Times are microseconds there. An OTLP link is a reference FOLLOWS_FROM."""
    tags = {str(each["key"]): _text(each["value"]) for each in raw.get("tags", [])}
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
    for each in raw.get("references", []):
        if each["refType"] == kind:
            yield Link(each["traceID"].rjust(32, "0"), each["spanID"])


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
