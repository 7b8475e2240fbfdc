"""The trace pages of the admin listener, as HTML and as JSON, and `POST /v1/traces`, which takes
other people's spans.

GET /traces[.json]             the last traces; ?reason=, ?application=, ?errors=1 say which; ?id=
finds one
GET /traces/TRACE_ID[.json]    one trace, and the login that it is a step of (`story`)
"""

import json
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
from extproc.traces import BadExport, Step, Summary, Trace, TraceStore, story, summary
from extproc.traces.ids import trace_id_in

Endpoint = Callable[[Request], Awaitable[Response]]

BODY = 4_000_000  # bytes of one export as it comes
UNPACKED = 16_000_000
SHOWN = 100  # traces in one list
PROTOBUF = "application/x-protobuf"


def list_of(traces: TraceStore) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        query = request.query_params
        if wanted := query.get("id", "").strip():
            return RedirectResponse(f"/traces/{trace_id_in(wanted) or 'none'}", 303)
        every = tuple(map(summary, traces.recent()))
        choice = Filter(
            query.get("reason", ""), query.get("application", ""), query.get("errors") == "1"
        )
        chosen = tuple(each for each in every if choice.takes(each))[:SHOWN]
        if _wants_json(request):
            return JSONResponse({"traces": [_summary(each) for each in chosen]})
        return _html(trace_list(chosen, every, choice))

    return endpoint


def one_of(traces: TraceStore) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        trace_id = trace_id_in(request.path_params["trace_id"].removesuffix(".json")) or ""
        trace = traces.trace(trace_id)
        if trace is None:
            if _wants_json(request):
                return JSONResponse({"error": "there is no such trace"}, 404)
            return _html(absent_page(trace_id), 404)
        steps = story(traces.recent(), trace_id)
        if _wants_json(request):
            spans = [_span(trace, index) for index in range(len(trace.spans))]
            return JSONResponse(
                {
                    **_summary(summary(trace)),
                    "spans": spans,
                    "story": [_step(step) for step in steps],
                }
            )
        return _html(trace_page(trace, steps))

    return endpoint


def export_to(traces: TraceStore) -> Endpoint:
    """OTLP/HTTP in protobuf, as Envoy and the SDKs send it (opentelemetry-proto, OTLP/HTTP
    request).
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
        # an empty ExportTraceServiceResponse: all was taken
        return Response(b"", media_type=PROTOBUF)

    return endpoint


def _wants_json(request: Request) -> bool:
    accept = request.headers.get("accept", "")
    return request.url.path.endswith(".json") or (
        "application/json" in accept and "text/html" not in accept
    )


def _html(page: str, status: int = 200) -> Response:
    return HTMLResponse(page, status, {"content-security-policy": CONTENT_SECURITY_POLICY})


def _summary(of: Summary) -> dict[str, object]:
    said = {name: value for name, value in asdict(of).items() if name != "end_ns"}
    return {**said, "services": list(of.services), "duration_ns": of.duration_ns}


def _step(step: Step) -> dict[str, object]:
    known = _summary(step.summary) if step.summary is not None else {}
    return {
        "role": step.role,
        "trace_id": step.trace_id,
        "here": bool(known),
        "joined": step.joined,
        **known,
    }


def _span(trace: Trace, index: int) -> dict[str, object]:
    span = trace.spans[index]
    events = [{**asdict(event), "attributes": dict(event.attributes)} for event in span.events]
    return {
        **asdict(span),
        "attributes": dict(span.attributes),
        "events": json.loads(json.dumps(events)),
    }
