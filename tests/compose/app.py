"""The application of compose.yaml: says what it received, as JSON. Its spans are below Envoy's."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from extproc.demo.spans import tracer

TRACER = tracer("app", "http://extproc:9490/v1/traces")


class Said(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parent = TraceContextTextMapPropagator().extract(
            {"traceparent": self.headers.get("traceparent", "")}
        )
        said = {
            "http.request.method": "GET",
            "url.path": self.path.partition("?")[0],
            "http.response.status_code": 200,
        }
        with TRACER.start_as_current_span("GET", parent, SpanKind.SERVER, said):
            self._answer()

    def _answer(self) -> None:
        headers = [[name.lower(), value] for name, value in self.headers.items()]
        text = json.dumps({"target": self.path, "headers": headers}, indent=2).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None: ...


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", 8000), Said).serve_forever()
