"""What a trace was about, in a line; and which traces are steps of one login.

A login is several requests: the redirect, the callback, the first page. The callback's span has a
link to the redirect's, whose ids come in the sealed login cookie. The first page goes by Envoy
alone, where no span can be linked: it is the next request of the same client (address, user agent,
host) within ten seconds after the callback, and it is left out when the same client signed in more
than once in that time. So that step is an inference, and is said to be one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from extproc.traces.tree import REASON, STATUS_CODE, Row, failed, is_problem, rows
from extproc.traces.values import Span, Trace

Role = Literal["redirect", "callback", "page"]
Joined = Literal["link", "client", ""]

SIGNED_IN, STARTED = "signed_in", "login_started"
NEXT = 10_000_000_000  # nanoseconds
BEHIND = 2  # levels below the gateway's own span: its call, and whom it called


@dataclass(frozen=True, slots=True)
class Summary:
    """One trace in a line. request: method and address without query; failed: a span failed; wrong:
    or we refused.
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
        return self.end_ns - self.start_ns


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a story. summary: None where its trace is not here. joined: how it was found,
    '' for what was asked for.
    """

    role: Role
    trace_id: str
    summary: Summary | None
    joined: Joined = ""


def summary(trace: Trace) -> Summary:
    lines = rows(trace.spans)
    spans = [row.span for row in lines]
    return Summary(
        trace.trace_id,
        _request(lines),
        spans[0].attribute(*STATUS_CODE),
        _first(spans, *REASON),
        _first(spans, "extproc.application"),
        min(span.start_ns for span in spans),
        max(span.end_ns for span in spans),
        tuple(sorted({span.service for span in spans})),
        len(spans),
        trace.dropped,
        any(map(failed, spans)),
        any(map(is_problem, spans)),
    )


def story(traces: Iterable[Trace], trace_id: str) -> tuple[Step, ...]:
    """The login that a trace is part of, its steps in order: that one alone where it is part of
    none. () for a trace that is not here.
    """
    by_id = {trace.trace_id: trace for trace in traces}
    if trace_id not in by_id:
        return ()
    here = {of: _facts(trace) for of, trace in by_id.items()}
    pages = {
        of: page
        for of, facts in here.items()
        if (page := _page_after(facts, here.values())) is not None
    }
    joined: dict[str, Joined] = {trace_id: ""}
    joined |= {of: "client" for of, page in pages.items() if page == trace_id}
    todo = list(joined)
    while todo:
        of = todo.pop()
        onward = here[of].links if of in here else ()
        for other in (*onward, *(back for back, facts in here.items() if of in facts.links)):
            if other not in joined:
                joined[other] = "link"
                todo.append(other)
    for of in [of for of in joined if of in pages]:
        joined.setdefault(pages[of], "client")
    targets = {link for facts in here.values() for link in facts.links}
    steps = [
        Step(
            _role(here.get(of), of in targets), of, summary(by_id[of]) if of in by_id else None, how
        )
        for of, how in joined.items()
    ]
    return tuple(sorted(steps, key=lambda step: step.summary.start_ns if step.summary else 0))


@dataclass(frozen=True, slots=True)
class _Facts:
    """What joins traces. client: address, user agent and host of who asked, by the gateway's own
    span.
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
        urlsplit(ingress.attribute("http.url", "url.full")).netloc,
    )
    return _Facts(
        trace.trace_id,
        tuple(link for link in links if link != trace.trace_id),
        _first(trace.spans, "extproc.reason"),
        client if all(client) and ingress.kind == "server" else None,
        ingress.start_ns,
        ingress.end_ns,
    )


def _role(facts: _Facts | None, target: bool) -> Role:
    if target:
        return "redirect"
    if facts is not None and (facts.links or facts.reason == SIGNED_IN):
        return "callback"
    return "redirect" if facts is not None and facts.reason == STARTED else "page"


def _page_after(callback: _Facts, others: Iterable[_Facts]) -> str | None:
    """The first page after a login that succeeded, unless the same client ended another one just
    before it.
    """
    if callback.client is None or callback.reason != SIGNED_IN:
        return None
    same = [other for other in others if other.client == callback.client and other is not callback]
    after = [other for other in same if 0 <= other.start_ns - callback.end_ns < NEXT]
    if not after:
        return None
    page = min(after, key=lambda other: other.start_ns)
    doubt = any(
        other.reason == SIGNED_IN and 0 <= page.start_ns - other.end_ns < NEXT for other in same
    )
    return None if doubt or page.reason in (SIGNED_IN, STARTED) else page.trace_id


def _first(spans: Iterable[Span], *names: str) -> str:
    return next((found for span in spans if (found := span.attribute(*names))), "")


def _request(lines: tuple[Row, ...]) -> str:
    """What the trace is about: its first request, without query; Envoy leaves the path to those
    behind it.
    """
    for row in lines[:5]:
        method = row.span.attribute("http.request.method", "http.method")
        url = row.span.attribute("url.full", "http.url", "url.path", "http.target").partition("?")[
            0
        ]
        if method and url:
            if url.count("/") > 2 or url.startswith("/"):
                return f"{method} {url}"
            path = next(
                (
                    p
                    for below in lines
                    if below.depth <= BEHIND and (p := below.span.attribute("url.path"))
                ),
                "",
            )
            return f"{method} {url}{path}" if path else f"{method} {url} ({row.span.name})"
    return lines[0].span.name if lines else "Trace"
