"""The trace pages of the admin listener, as HTML and as JSON.

GET /traces[.json]           the last traces; ?reason=, ?application= and ?errors=1 filter them;
                             ?id= redirects to one
GET /traces/TRACE_ID[.json]  one trace, and the login that it is a step of (`story`); the id may be
                             the request id of an answer of Envoy's own

Spans are decoded for a page in a thread, one page at a time, because logins must not wait for it. A
trace that cannot be read is logged, and hides no other.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial

import trio
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
)

from extproc import background
from extproc.pages.markup import CONTENT_SECURITY_POLICY
from extproc.pages.traces import Filter, absent_page, trace_list
from extproc.pages.waterfall import trace_page
from extproc.traces import Span, Step, Summary, Trace, TraceStore, story, summary
from extproc.traces.ids import trace_id_in
from extproc.traces.lookup import trace_of_request

Endpoint = Callable[[Request], Awaitable[Response]]

# Traces in one list.
SHOWN = 100


def list_of(traces: TraceStore, decoding: trio.CapacityLimiter) -> Endpoint:
    """Make the endpoint of the list of traces.

    Args:
        traces: What is listed.
        decoding: How many pages may decode traces at the same time, whose memory adds up.
    """

    async def endpoint(request: Request) -> Response:
        pasted = request.query_params.get("id", "").strip()
        if pasted:
            return RedirectResponse(f"/traces/{trace_id_in(pasted) or 'none'}", 303)
        work = partial(_list, traces, request)
        return await trio.to_thread.run_sync(work, limiter=decoding)

    return endpoint


def _list(traces: TraceStore, request: Request) -> Response:
    query = request.query_params
    summaries = tuple(one for _, one in _readable(traces))
    choice = Filter(
        query.get("reason", ""), query.get("application", ""), query.get("errors") == "1"
    )
    chosen = tuple(one for one in summaries if choice.takes(one))[:SHOWN]
    if _wants_json(request):
        return JSONResponse({"traces": [_summary(one) for one in chosen]})
    return _html(trace_list(chosen, summaries, choice))


def _readable(traces: TraceStore) -> list[tuple[Trace, Summary]]:
    """The traces that can be read, the latest first, each with its summary."""
    readable = []
    for trace in traces.recent(_report):
        try:
            readable.append((trace, summary(trace)))
        except Exception as error:  # the boundary
            _report(error)
    return readable


def _report(error: Exception) -> None:
    background.bug("trace_unreadable", error)


def one_of(traces: TraceStore, decoding: trio.CapacityLimiter) -> Endpoint:
    """Make the endpoint of one trace. The arguments are those of list_of()."""

    async def endpoint(request: Request) -> Response:
        work = partial(_one, traces, request)
        return await trio.to_thread.run_sync(work, limiter=decoding)

    return endpoint


def _one(traces: TraceStore, request: Request) -> Response:
    trace_id = trace_id_in(request.path_params["trace_id"].removesuffix(".json")) or ""
    trace = traces.trace(trace_id)
    # Decoded once for the page, because that is all that the store has.
    readable: list[Trace] = []
    if trace_id:
        readable = [one for one, _ in _readable(traces)]
    if trace is None and trace_id:
        trace = trace_of_request(readable, trace_id)
    if trace is None:
        if _wants_json(request):
            return JSONResponse({"error": "there is no such trace"}, 404)
        return _html(absent_page(trace_id), 404)
    steps = story(readable, trace.trace_id)
    if _wants_json(request):
        spans = [_span(span) for span in trace.spans]
        login = [_step(step) for step in steps]
        return JSONResponse({**_summary(summary(trace)), "spans": spans, "story": login})
    return _html(trace_page(trace, steps))


def _wants_json(request: Request) -> bool:
    accept = request.headers.get("accept", "")
    return request.url.path.endswith(".json") or (
        "application/json" in accept and "text/html" not in accept
    )


def _html(page: str, status: int = 200) -> Response:
    return HTMLResponse(page, status, {"content-security-policy": CONTENT_SECURITY_POLICY})


def _summary(one: Summary) -> dict[str, object]:
    fields = {name: value for name, value in asdict(one).items() if name != "end_ns"}
    return {**fields, "services": list(one.services), "duration_ns": one.duration_ns}


def _step(step: Step) -> dict[str, object]:
    """Describe a step of a login, with its trace's summary if the trace is still here."""
    facts = _summary(step.summary) if step.summary is not None else {}
    return {
        "role": step.role,
        "trace_id": step.trace_id,
        "here": bool(facts),
        "joined": step.joined,
        **facts,
    }


def _span(span: Span) -> dict[str, object]:
    events = [{**asdict(event), "attributes": dict(event.attributes)} for event in span.events]
    return {**asdict(span), "attributes": dict(span.attributes), "events": events}
