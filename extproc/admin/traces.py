"""The trace pages of the admin listener, as HTML and as JSON.

GET /traces[.json]           the last traces; ?reason=, ?application= and ?errors=1 filter them;
                             ?id= redirects to one
GET /traces/TRACE_ID[.json]  one trace, and the login that it is a step of (`story`); the id may be
                             the request id of an answer of Envoy's own

A trace that cannot be read is logged, and hides no other (trace_reading.py).
"""

from collections.abc import Awaitable, Callable, Iterable
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

from extproc.admin.trace_reading import TraceReader
from extproc.pages.markup import CONTENT_SECURITY_POLICY
from extproc.pages.traces import Filter, absent_page, trace_list
from extproc.pages.waterfall import trace_page
from extproc.traces import Sketch, Span, Step, Summary, Trace, sketch, story, summary
from extproc.traces.ids import trace_id_in
from extproc.traces.lookup import is_of_request

Endpoint = Callable[[Request], Awaitable[Response]]

# Traces in one list.
SHOWN = 100


def list_of(reader: TraceReader) -> Endpoint:
    """Make the endpoint of the list of traces."""

    async def endpoint(request: Request) -> Response:
        pasted = request.query_params.get("id", "").strip()
        if pasted:
            return RedirectResponse(f"/traces/{trace_id_in(pasted) or 'none'}", 303)
        return await reader.in_turn(request.receive, partial(_list, reader, request))

    return endpoint


async def _list(reader: TraceReader, request: Request) -> Response:
    query = request.query_params
    summaries = _latest_first(await reader.each(summary))
    choice = Filter(
        query.get("reason", ""), query.get("application", ""), query.get("errors") == "1"
    )
    chosen = tuple(one for one in summaries if choice.takes(one))[:SHOWN]
    if _wants_json(request):
        return JSONResponse({"traces": [_summary(one) for one in chosen]})
    return _html(trace_list(chosen, summaries, choice))


def _latest_first(summaries: Iterable[Summary]) -> tuple[Summary, ...]:
    return tuple(sorted(summaries, key=lambda one: -one.start_ns))


def one_of(reader: TraceReader) -> Endpoint:
    """Make the endpoint of one trace."""

    async def endpoint(request: Request) -> Response:
        return await reader.in_turn(request.receive, partial(_one, reader, request))

    return endpoint


async def _one(reader: TraceReader, request: Request) -> Response:
    wanted = trace_id_in(request.path_params["trace_id"].removesuffix(".json")) or ""
    if not wanted:
        return _absent(request, wanted)

    def read(trace: Trace) -> tuple[Sketch, bool]:
        return sketch(trace), is_of_request(trace, wanted)

    trace = await reader.trace(wanted)
    known = await reader.each(read)
    if trace is None:
        of_request = _latest_first(one.summary for one, is_of in known if is_of)
        trace = await reader.trace(of_request[0].trace_id) if of_request else None
    if trace is None:
        return _absent(request, wanted)
    steps = story((one for one, _ in known), trace.trace_id)
    return await trio.to_thread.run_sync(_shown, request, trace, steps)


def _absent(request: Request, trace_id: str) -> Response:
    if _wants_json(request):
        return JSONResponse({"error": "there is no such trace"}, 404)
    return _html(absent_page(trace_id), 404)


def _shown(request: Request, trace: Trace, steps: tuple[Step, ...]) -> Response:
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
