"""A trace in one line, and the traces that are the steps of one login.

A login is several requests: the redirect, the callback, the first page. The span of the callback
links to the span of the redirect, because the sealed login cookie contains its ids. The first page
is decided by Envoy alone, where a span cannot be linked. It is the next request of the same client
(address, user agent, host) within ten seconds after the callback; if the client signed in more than
once in that time, it is left out. That step is therefore an inference, and is marked as such.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from extproc.traces.tree import REASON, STATUS_CODE, Row, failed, is_problem, rows
from extproc.traces.values import Span, Trace

Role = Literal["redirect", "callback", "page"]
Joined = Literal["link", "client", ""]

# steps of one story at most; whoever sends spans writes their links
STEPS = 100
SIGNED_IN = "signed_in"
STARTED = "login_started"
NEXT = 10_000_000_000  # nanoseconds from the end of a callback in which the first page must start
BEHIND = 2  # levels below the gateway's own span: the call that it made, and the called service


@dataclass(frozen=True, slots=True)
class Summary:
    """One trace in a line.

    Attributes:
        request: Method and address of the request, without its query.
        status: HTTP status of the root span, or "".
        reason: Reason code of the processor, or "".
        application: Name of the application, or "".
        failed: Whether a span is an error.
        is_problem: Whether a span is an error or a refusal by the processor.
    """

    trace_id: str
    request: str
    status: str
    reason: str
    application: str
    start_ns: int
    end_ns: int
    services: tuple[str, ...]
    span_count: int
    dropped: int
    failed: bool
    is_problem: bool

    @property
    def duration_ns(self) -> int:
        """Nanoseconds from the start of the first span to the end of the last."""
        return self.end_ns - self.start_ns


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a login.

    Attributes:
        summary: The trace in a line, or None if the trace is not stored.
        joined: How the trace was found: by a link, by its client and time, or "" for the trace
            from which the search began.
    """

    role: Role
    trace_id: str
    summary: Summary | None
    joined: Joined = ""


def summary(trace: Trace) -> Summary:
    """A trace in one line."""
    lines = rows(trace.spans)
    spans = [row.span for row in lines]
    return Summary(
        trace_id=trace.trace_id,
        request=_request(lines),
        status=spans[0].attribute(*STATUS_CODE),
        reason=_first(spans, *REASON),
        application=_first(spans, "extproc.application"),
        start_ns=min(span.start_ns for span in spans),
        end_ns=max(span.end_ns for span in spans),
        services=tuple(sorted({span.service for span in spans})),
        span_count=len(spans),
        dropped=trace.dropped,
        failed=any(map(failed, spans)),
        is_problem=any(map(is_problem, spans)),
    )


@dataclass(frozen=True, slots=True)
class Sketch:
    """What is enough of a trace to find its story, in a small part of the trace's memory."""

    summary: Summary
    facts: "_Facts"


def sketch(trace: Trace) -> Sketch:
    """The sketch of a trace."""
    return Sketch(summary(trace), _facts(trace))


def story(sketches: Iterable[Sketch], trace_id: str) -> tuple[Step, ...]:
    """The steps of the login that a trace is part of, in order.

    A trace that is not part of a login is a story of one step; a trace that is not among `sketches`
    is an empty story.
    """
    by_id = {one.summary.trace_id: one for one in sketches}
    if trace_id not in by_id:
        return ()
    facts = {known_id: one.facts for known_id, one in by_id.items()}
    targets = {link for of_trace in facts.values() for link in of_trace.links}
    steps = [
        Step(
            role=_role(facts.get(step_id), step_id in targets),
            trace_id=step_id,
            summary=by_id[step_id].summary if step_id in by_id else None,
            joined=joined,
        )
        for step_id, joined in _joined(trace_id, facts).items()
    ]
    return tuple(sorted(steps, key=lambda step: step.summary.start_ns if step.summary else 0))


def _joined(trace_id: str, facts: Mapping[str, "_Facts"]) -> dict[str, Joined]:
    """The ids of the traces that belong to one login, and how each was found."""
    pages: dict[str, str] = {}
    for callback_id, of_callback in facts.items():
        page = _page_after(of_callback, facts.values())
        if page is not None:
            pages[callback_id] = page
    joined: dict[str, Joined] = {trace_id: ""}
    joined |= {callback_id: "client" for callback_id, page in pages.items() if page == trace_id}
    neighbours = _neighbours(facts)
    todo = list(joined)
    while todo:
        for linked in neighbours[todo.pop()]:
            if len(joined) >= STEPS:
                break
            if linked not in joined:
                joined[linked] = "link"
                todo.append(linked)
    for callback_id in [known for known in joined if known in pages]:
        joined.setdefault(pages[callback_id], "client")
    return joined


def _neighbours(facts: Mapping[str, "_Facts"]) -> Mapping[str, list[str]]:
    """By trace: the traces that it links to, and those that link to it."""
    neighbours: dict[str, list[str]] = defaultdict(list)
    for one, of_one in facts.items():
        for linked in of_one.links:
            neighbours[one].append(linked)
            neighbours[linked].append(one)
    return neighbours


@dataclass(frozen=True, slots=True)
class _Facts:
    """What joins a trace to others.

    Attributes:
        links: Ids of the traces that its spans link to.
        client: Address, user agent and host of the request, from the gateway's own span.
    """

    trace_id: str
    links: tuple[str, ...]
    reason: str
    client: tuple[str, str, str] | None
    start_ns: int
    end_ns: int


def _facts(trace: Trace) -> _Facts:
    ingress = min(trace.spans, key=lambda span: (bool(span.parent_id), span.start_ns))
    links = dict.fromkeys(link.trace_id for span in trace.spans for link in span.links)
    client = (
        ingress.attribute("peer.address", "client.address"),
        ingress.attribute("user_agent", "user_agent.original"),
        _authority(ingress.attribute("http.url", "url.full")),
    )
    return _Facts(
        trace_id=trace.trace_id,
        links=tuple(link for link in links if link != trace.trace_id),
        reason=_first(trace.spans, "extproc.reason"),
        client=client if all(client) and ingress.kind == "server" else None,
        start_ns=ingress.start_ns,
        end_ns=ingress.end_ns,
    )


def _authority(url: str) -> str:
    """Host and port of a URL, or "" if it has none. A client writes them, so any text is taken:
    urlsplit() raises for some.
    """
    match = re.match(r"[a-z]{1,20}://([^/?#]*)", url)
    return match[1] if match is not None else ""


def _role(facts: _Facts | None, target: bool) -> Role:
    if target:
        return "redirect"
    if facts is not None and (facts.links or facts.reason == SIGNED_IN):
        return "callback"
    return "redirect" if facts is not None and facts.reason == STARTED else "page"


def _page_after(callback: _Facts, others: Iterable[_Facts]) -> str | None:
    """The first page after a login that succeeded, or None.

    It is None as well if the same client completed another login just before that page.
    """
    if callback.client is None or callback.reason != SIGNED_IN:
        return None
    same = [other for other in others if other.client == callback.client and other is not callback]
    after = [other for other in same if 0 <= other.start_ns - callback.end_ns < NEXT]
    if not after:
        return None
    page = min(after, key=lambda other: other.start_ns)
    is_ambiguous = any(
        other.reason == SIGNED_IN and 0 <= page.start_ns - other.end_ns < NEXT for other in same
    )
    return None if is_ambiguous or page.reason in (SIGNED_IN, STARTED) else page.trace_id


def _first(spans: Iterable[Span], *names: str) -> str:
    """The first of the attributes that a span has, of the first span that has any."""
    values = (span.attribute(*names) for span in spans)
    return next((value for value in values if value), "")


def _request(lines: tuple[Row, ...]) -> str:
    """The first request of a trace, as method and address without its query.

    Envoy's span has no path, so the path is that of a span below it.
    """
    for row in lines[:5]:
        method = row.span.attribute("http.request.method", "http.method")
        url = row.span.attribute("url.full", "http.url", "url.path", "http.target")
        url = url.partition("?")[0]
        if not method or not url:
            continue
        if url.count("/") > 2 or url.startswith("/"):
            return f"{method} {url}"
        path = _first((below.span for below in lines if below.depth <= BEHIND), "url.path")
        return f"{method} {url}{path}" if path else f"{method} {url} ({row.span.name})"
    return lines[0].span.name if lines else "Trace"
