"""Spans of the demo's provider."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from extproc.demo.spans import TracedWSGI

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


def call(exporter, status, **environ):
    """What the traced application answers."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    def app(environ, start_response):
        start_response(status, [])
        return [b"body"]

    traced = TracedWSGI(app, provider.get_tracer("tests"))
    started = []
    body = traced(
        {"REQUEST_METHOD": "GET", "PATH_INFO": "/token", **environ}, lambda *a: started.append(a)
    )
    return started[0][0], b"".join(body)


def test_a_request_has_a_span_below_the_gateway_s(exporter):
    answer = call(exporter, "200 OK", HTTP_TRACEPARENT=f"00-{TRACE}-{SPAN}-01")
    (span,) = exporter.get_finished_spans()
    assert answer == ("200 OK", b"body")
    assert span.name == "GET /token" and span.attributes["http.response.status_code"] == 200
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, SPAN)


def test_an_error_of_the_server_marks_the_span(exporter):
    call(exporter, "500 Internal Server Error")
    call(exporter, "404 Not Found")
    codes = [span.status.status_code for span in exporter.get_finished_spans()]
    assert codes == [StatusCode.ERROR, StatusCode.UNSET]
