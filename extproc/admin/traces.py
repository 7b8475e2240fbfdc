"""The trace pages of the admin listener, as HTML and as JSON, and `POST /v1/traces`, which takes
spans of other programs.

GET /traces[.json]           the last traces; ?reason=, ?application= and ?errors=1 filter them;
                             ?id= redirects to one
GET /traces/TRACE_ID[.json]  one trace, and the login that it is a step of (`story`)
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)

from extproc.pages.markup import CONTENT_SECURITY_POLICY
from extproc.pages.traces import Filter, absent_page, trace_list
from extproc.pages.waterfall import trace_page
from extproc.traces import BadExport, Span, Step, Summary, TraceStore, story, summary
from extproc.traces.ids import trace_id_in

Endpoint = Callable[[Request], Awaitable[Response]]

# Bytes of one export, as it is received and unpacked.
BODY = 4_000_000
UNPACKED = 16_000_000
# Traces in one list.
SHOWN = 100
PROTOBUF = "application/x-protobuf"


def list_of(traces: TraceStore) -> Endpoint:
    """Make the endpoint of the list of traces."""

    async def endpoint(request: Request) -> Response:
        query = request.query_params
        pasted = query.get("id", "").strip()
        if pasted:
            return RedirectResponse(f"/traces/{trace_id_in(pasted) or 'none'}", 303)
        summaries = tuple(summary(trace) for trace in traces.recent())
        choice = Filter(
            query.get("reason", ""), query.get("application", ""), query.get("errors") == "1"
        )
        chosen = tuple(one for one in summaries if choice.takes(one))[:SHOWN]
        if _wants_json(request):
            return JSONResponse({"traces": [_summary(one) for one in chosen]})
        return _html(trace_list(chosen, summaries, choice))

    return endpoint


def one_of(traces: TraceStore) -> Endpoint:
    """Make the endpoint of one trace."""

    async def endpoint(request: Request) -> Response:
        trace_id = trace_id_in(request.path_params["trace_id"].removesuffix(".json")) or ""
        trace = traces.trace(trace_id)
        if trace is None:
            if _wants_json(request):
                return JSONResponse({"error": "there is no such trace"}, 404)
            return _html(absent_page(trace_id), 404)
        steps = story(traces.recent(), trace_id)
        if _wants_json(request):
            spans = [_span(span) for span in trace.spans]
            login = [_step(step) for step in steps]
            return JSONResponse({**_summary(summary(trace)), "spans": spans, "story": login})
        return _html(trace_page(trace, steps))

    return endpoint


def export_to(traces: TraceStore) -> Endpoint:
    """Make the endpoint for OTLP/HTTP in protobuf, as Envoy and the SDKs send it (OTLP
    specification, OTLP/HTTP request).
    """

    async def endpoint(request: Request) -> Response:
        if "origin" in request.headers or request.headers.get("sec-fetch-site", "none") != "none":
            return PlainTextResponse("Spans are not taken from a browser.\n", 403)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != PROTOBUF:
            return PlainTextResponse(f"The content type is {PROTOBUF}.\n", 415)
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY:
                return PlainTextResponse("The body is too large.\n", 413)
        try:
            traces.add_otlp(
                bytes(body), request.headers.get("content-encoding", ""), limit=UNPACKED
            )
        except BadExport as error:
            return PlainTextResponse(f"Not taken: {error}.\n", 400)
        # An empty ExportTraceServiceResponse: all spans were taken.
        return Response(b"", media_type=PROTOBUF)

    return endpoint


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
