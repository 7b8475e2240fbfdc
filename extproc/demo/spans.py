"""Spans of the demo's application and provider, so that a trace shows every part."""

import atexit
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def tracer(service: str, endpoint: str) -> Tracer:
    """A tracer for one service.

    endpoint: an OTLP/HTTP address, where spans arrive within half a second.
    """
    resource = Resource.create({"service.name": service})
    # Only requests that the gateway traces: no probes of the demo itself.
    provider = TracerProvider(ParentBased(ALWAYS_OFF), resource)
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint, timeout=2), schedule_delay_millis=300)
    )
    atexit.register(provider.shutdown)
    return provider.get_tracer("extproc.demo")


class TracedWSGI:
    """A WSGI application with a span around each request, below the span that the header
    `traceparent` names.
    """

    def __init__(self, app: "WSGIApplication", tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        path = environ.get("PATH_INFO", "")
        parent = TraceContextTextMapPropagator().extract(
            {"traceparent": environ.get("HTTP_TRACEPARENT", "")}
        )
        with self._tracer.start_as_current_span(
            f"{method} {path}", parent, SpanKind.SERVER
        ) as span:
            span.set_attributes({"http.request.method": method, "url.path": path})

            def started(status: str, *rest: object) -> object:
                span.set_attribute("http.response.status_code", int(status[:3]))
                if status[:1] == "5":
                    span.set_status(Status(StatusCode.ERROR))
                return start_response(status, *rest)  # type: ignore[arg-type]

            return list(self._run(environ, started))

    def _run(self, environ: "WSGIEnvironment", started: object) -> Iterator[bytes]:
        body = self._app(environ, started)  # type: ignore[arg-type]
        try:
            yield from body
        finally:
            if close := getattr(body, "close", None):
                close()
