"""A gateway whose application sends spans, and an OTLP receiver, for tests of whole traces."""

import json
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from extproc.traces import Span, TraceStore
from harness.gateway import ROOT, Stack, merged
from harness.ports import answers, free_port
from harness.processes import Process, wait_until
from harness.providers import Provider


class Traced(Stack):
    """A Stack whose Envoy loses no span.

    Envoy drops spans that a receiver has not taken within ten seconds, and a busy one may take
    longer.
    """

    def envoy_config(self) -> str:
        config, patient = re.subn(
            r"(cluster: tracing\s+timeout: )10s", r"\g<1>30s", super().envoy_config()
        )
        assert patient, "Envoy's configuration names no such timeout any more"
        return config


@contextmanager
def traced(
    provider: Provider, settings: Mapping[str, Any] | None = None, spans: str = ""
) -> Iterator[Stack]:
    """A Stack with the demo's application.

    spans: the OTLP/HTTP address that the application sends its spans to. The admin by default.
    """
    port = free_port()
    over = merged(
        {"applications": {"app": {"upstream": f"http://127.0.0.1:{port}"}}}, settings or {}
    )
    with Traced(provider, settings=over) as stack:
        admin = f"{stack.admin}/"
        argv = [
            "-m",
            "extproc.demo.app",
            str(port),
            f"{stack.origin}/",
            f"{admin}traces",
            spans or f"{admin}v1/traces",
        ]
        app = Process(
            "app",
            [sys.executable, *argv],
            log=stack.directory / "app.log",
            env={"PYTHONPATH": str(ROOT)},
            cwd=stack.directory,
        )
        try:
            app.wait_ready(lambda: answers(port), 30)
            yield stack
        finally:
            app.stop(5)


def one_tree(spans: Iterable[tuple[str, str]]) -> bool:
    """Whether these spans, as (id, parent's id), are one tree.

    False while a parent has not arrived yet.
    """
    every = list(spans)
    known = {span_id for span_id, _ in every}
    return sum(parent not in known for _, parent in every) == 1


def trace(
    stack: Stack, trace_id: str, wanted: Callable[[dict[str, Any]], object]
) -> dict[str, Any]:
    """A trace of the admin as JSON, once it is one tree and as wanted.

    The spans of other services arrive a little later.
    """
    found: dict[str, Any] = {}

    def there() -> object:
        answer = httpx.get(f"{stack.admin}/traces/{trace_id}.json", trust_env=False)
        found.clear()
        found.update(answer.json() if answer.status_code == 200 else {})
        whole = found and one_tree((span["span_id"], span["parent_id"]) for span in found["spans"])
        return whole and wanted(found)

    wait_until(there, 60, f"the trace {trace_id}", every=0.3)
    return found


def body_of(handler: BaseHTTPRequestHandler) -> bytes:
    # as the SDK sends it, while Envoy sends chunks
    if handler.headers.get("transfer-encoding") != "chunked":
        return handler.rfile.read(int(handler.headers["content-length"]))
    body = b""
    while size := int(handler.rfile.readline().split(b";")[0], 16):
        body += handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()
    return body


class Receiver:
    """An OTLP/HTTP receiver that passes each body on to `oteltap`, a receiver of another project.

    Each body is decoded twice: here with the services, and by oteltap, which prints spans without
    them.
    """

    def __init__(self, directory: Path, port: int = 0) -> None:
        self.store = TraceStore(max_traces=1000)
        self._log = directory / "oteltap.ndjson"
        self._port = free_port()
        self._client, self._passing = (
            httpx.Client(trust_env=False, timeout=30),
            ThreadPoolExecutor(1),
        )
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = body_of(self)
                receiver.store.add_otlp(body, self.headers.get("content-encoding", ""))
                receiver._pass_on(self.path, body, self.headers["content-type"])
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Receiver":
        argv = [sys.executable, "-m", "oteltap", "--port", str(self._port)]
        self._tap = Process("oteltap", argv, log=self._log, env={"PYTHONUNBUFFERED": "1"})
        self._tap.wait_ready(lambda: answers(self._port), 30)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._passing.shutdown(cancel_futures=True)
        self._client.close()
        self._tap.stop(5)

    def _pass_on(self, path: str, body: bytes, content_type: str) -> None:
        """Pass on later, because Envoy drops its spans if an answer takes some seconds."""
        url, headers = f"http://127.0.0.1:{self._port}{path}", {"content-type": content_type}
        self._passing.submit(
            lambda: self._client.post(url, content=body, headers=headers).raise_for_status()
        )

    def spans(
        self, trace_id: str, wanted: Callable[[tuple[Span, ...]], object]
    ) -> tuple[Span, ...]:
        """The spans of a trace, once they are one tree and as wanted."""

        def there() -> object:
            found = self.store.trace(trace_id)
            whole = found is not None and one_tree(
                (span.span_id, span.parent_id) for span in found.spans
            )
            return whole and wanted(found.spans)

        wait_until(there, 60, f"the trace {trace_id}", every=0.2)
        found = self.store.trace(trace_id)
        assert found is not None
        return found.spans

    def tapped(self, trace_id: str) -> set[tuple[str, str, str]]:
        """The spans of a trace as oteltap printed them: span id, parent's id, name."""
        lines = [
            json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")
        ]
        return {
            (line["spanId"], line["parentSpanId"], line["name"])
            for line in lines
            if line["traceId"] == trace_id
        }
