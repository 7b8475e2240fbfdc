"""A login as its spans: of Envoy, processor and application, at a callback and after it."""

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from extproc.traces import Event, Span, Trace, TraceStore

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
START = 1_780_000_000_000_000_000


def span(
    number: int, parent: int, service: str, name: str, start: float, end: float, **more: object
) -> Span:
    """A span, by short numbers as ids and in milliseconds."""
    return Span(
        trace_id=str(more.pop("trace_id", TRACE)),
        span_id=f"{number:016x}",
        parent_id=f"{parent:016x}" if parent else "",
        name=name,
        kind=more.pop("kind", "internal"),  # type: ignore[arg-type]
        service=service,
        start_ns=START + int(start * 1e6),
        end_ns=START + int(end * 1e6),
        **more,  # type: ignore[arg-type]
    )


def http(method: str, url: str, status: int, **more: str) -> tuple[tuple[str, str], ...]:
    return (
        ("http.method", method),
        ("http.url", url),
        ("http.status_code", str(status)),
        *more.items(),
    )


def callback() -> tuple[Span, ...]:
    """The spans of a callback: a token request, UserInfo beside the keys, the store.

    The provider is behind the same Envoy.
    """
    ours, out = "extproc", "async envoy.service.ext_proc.v3.ExternalProcessor.Process egress"
    idp = "http://127.0.0.1:8080"
    failed = Event("exception", START + 60_400_000, (("exception.type", "httpx.ReadTimeout"),))
    return (
        span(
            1,
            0,
            "gateway",
            "ingress",
            0,
            88,
            kind="server",
            attributes=http("GET", "http://localhost:8080/oauth2/callback", 303),
        ),
        span(
            2, 1, "gateway", out, 0.4, 87.2, kind="client", attributes=(("grpc.status_code", "0"),)
        ),
        span(
            3,
            2,
            ours,
            "ext_proc callback",
            1.1,
            86.8,
            kind="server",
            attributes=(
                ("extproc.application", "app"),
                ("extproc.reason", "signed_in"),
                ("extproc.lane", "held"),
            ),
        ),
        span(4, 3, ours, "decide", 1.3, 1.6, attributes=(("extproc.decision", "RedeemCode"),)),
        span(5, 3, ours, "store use_once", 1.9, 4.2),
        span(
            6,
            3,
            ours,
            "POST token",
            4.4,
            47.5,
            kind="client",
            attributes=(
                ("http.request.method", "POST"),
                ("url.full", f"{idp}/token"),
                ("http.response.status_code", "200"),
            ),
        ),
        span(
            7,
            6,
            "gateway",
            "ingress",
            6.0,
            46.2,
            kind="server",
            attributes=http("POST", f"{idp}/token", 200),
        ),
        span(8, 7, "gateway", "router idp egress", 6.4, 46.0, kind="client"),
        span(9, 8, "provider", "POST /token", 7.0, 45.0, kind="server"),
        span(
            10,
            3,
            ours,
            "GET userinfo",
            48.0,
            70.1,
            kind="client",
            attributes=(("http.request.method", "GET"), ("http.response.status_code", "200")),
        ),
        span(
            11,
            10,
            "gateway",
            "ingress",
            49.4,
            69.0,
            kind="server",
            attributes=http("GET", f"{idp}/userinfo", 200),
        ),
        span(
            12,
            3,
            ours,
            "GET jwks",
            48.2,
            60.5,
            kind="client",
            status="error",
            status_text="no answer in 5 s",
            attributes=(("error.type", "timeout"),),
            events=(failed,),
        ),
        span(13, 3, ours, "establish", 70.4, 73.0),
        span(14, 3, ours, "store put", 73.2, 86.0),
    )


def fast_path() -> tuple[Span, ...]:
    trace = "5bf92f3577b34da6a3ce929d0e0e4737"
    return (
        span(
            1,
            0,
            "gateway",
            "ingress",
            900,
            904,
            kind="server",
            trace_id=trace,
            attributes=http("GET", "http://localhost:8080/reports", 200),
        ),
        span(2, 1, "gateway", "router app egress", 900.3, 903.6, kind="client", trace_id=trace),
        span(3, 2, "app", "GET /reports", 901, 903, kind="server", trace_id=trace),
    )


def export(spans: tuple[Span, ...]) -> bytes:
    """The spans as OTLP, with a resource for each service."""
    request = ExportTraceServiceRequest()
    for service in dict.fromkeys(one.service for one in spans):
        resource = request.resource_spans.add()
        pair = resource.resource.attributes.add(key="service.name")
        pair.value.string_value = service
        scope = resource.scope_spans.add()
        for one in (s for s in spans if s.service == service):
            sent = scope.spans.add(
                trace_id=bytes.fromhex(one.trace_id),
                span_id=bytes.fromhex(one.span_id),
                name=one.name,
            )
            sent.parent_span_id = bytes.fromhex(one.parent_id)
            sent.start_time_unix_nano, sent.end_time_unix_nano = one.start_ns, one.end_ns
            sent.kind = ["", "internal", "server", "client"].index(one.kind)  # type: ignore[assignment]
            sent.status.code = ["unset", "ok", "error"].index(one.status)  # type: ignore[assignment]
            sent.status.message = one.status_text
            for key, value in one.attributes:
                sent.attributes.add(key=key).value.string_value = value
            for link in one.links:
                sent.links.add(
                    trace_id=bytes.fromhex(link.trace_id), span_id=bytes.fromhex(link.span_id)
                )
            for event in one.events:
                there = sent.events.add(name=event.name, time_unix_nano=event.time_ns)
                for key, value in event.attributes:
                    there.attributes.add(key=key).value.string_value = value
    return request.SerializeToString()


def recent(store: TraceStore) -> tuple[Trace, ...]:
    """All traces of a store, ordered by start, the latest first."""
    traces = [stored.decoded(lazy.span() for lazy in stored.spans) for stored in store.all_stored()]
    return tuple(sorted(traces, key=lambda trace: -trace.spans[0].start_ns))
