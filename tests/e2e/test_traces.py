"""One login is one trace: spans of Envoy and processor in one tree, without secrets.

It is exported where the standard variables say.
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import httpx
import pytest
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.journey import at_provider, to_callback
from harness.processes import wait_until
from harness.raw_http import sent
from harness.traced import Traced, body_of, one_tree
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def trace(stack, trace_id):
    return httpx.get(
        f"{stack.admin}/traces/{trace_id}.json",
        headers={"accept": "application/json"},
        trust_env=False,
    )


def spans(stack, trace_id, wanted):
    """The trace's spans, once they are one tree and the wanted ones are there.

    Envoy's arrive a little later.
    """
    found = {}

    def there():
        answer = trace(stack, trace_id)
        found.update(answer.json() if answer.status_code == 200 else {})
        if answer.status_code != 200:
            return False
        return one_tree((span["span_id"], span["parent_id"]) for span in found["spans"]) and wanted(
            found["spans"]
        )

    wait_until(there, 60, "the spans", every=0.3)
    return found["spans"]


def services(found):
    return {span["service"] for span in found}


def test_the_callback_s_spans_and_envoy_s_are_one_tree():
    with Traced(FakeProvider()) as stack, stack.user() as user:
        started = user.navigate(stack.url("/private"))
        callback = at_provider(user, started)
        answer = user.navigate(callback)
        found = spans(
            stack,
            answer.headers["x-trace-id"],
            lambda s: {"envoy", "extproc"} <= services(s) and len(s) > 10,
        )
        by_id = {span["span_id"]: span for span in found}
        (stream,) = [span for span in found if span["name"].endswith("ExternalProcessor/Process")]
        # Envoy's client span, named by the stream's gRPC metadata.
        assert by_id[stream["parent_id"]]["service"] == "envoy"
        attributes = dict(stream["attributes"])
        assert (
            attributes["extproc.reason"] == "signed_in"
            and attributes["rpc.system"] == "grpc"
            and attributes["extproc.application"] == "app"
        )
        children = {span["name"]: span for span in found if span["parent_id"] == stream["span_id"]}
        assert {
            "decide",
            "POST /token",
            "GET /me",
            "keys",
            "store use_once",
            "store put",
            "verify",
        } <= set(children)
        token = children["POST /token"]
        assert (
            dict(token["attributes"])["http.request.method"] == "POST"
            and dict(token["attributes"])["extproc.provider"] == "main"
        )
        # The provider is behind the same Envoy, whose span is below the processor's call.
        assert [
            span
            for span in found
            if span["parent_id"] == token["span_id"] and span["service"] == "envoy"
        ]
        # The trace links to the redirect that started the login.
        assert [link["trace_id"] for link in stream["links"]] == [started.headers["x-trace-id"]]


def test_a_login_has_its_trace_even_where_other_requests_have_none():
    with Traced(FakeProvider(), settings={"tracing": {"sample": 0}}) as stack, stack.user() as user:
        started = user.navigate(stack.url("/private"))
        callback = at_provider(user, started)
        answer = user.navigate(callback)
        found = spans(
            stack, answer.headers["x-trace-id"], lambda s: {"envoy", "extproc"} <= services(s)
        )
        assert any(span["name"] == "POST /token" for span in found)
        assert trace(stack, started.headers["x-trace-id"]).status_code == 404


def test_a_refused_login_s_span_says_why_and_the_log_has_its_trace():
    with Traced(FakeProvider(claims={"nonce": "x"})) as stack, stack.user() as user:
        callback = to_callback(stack, user)
        trace_id = user.navigate(callback).headers["x-trace-id"]
        found = spans(
            stack, trace_id, lambda s: any(span["name"].endswith("/Process") for span in s)
        )
        (stream,) = [span for span in found if span["name"].endswith("/Process")]
        assert (
            dict(stream["attributes"])["extproc.reason"] == "id_token_nonce"
            and dict(stream["attributes"])["error.type"] == "id_token_nonce"
        )
        (line,) = [line for line in stack.extproc.output().splitlines() if "id_token_nonce" in line]
        assert trace_id in line and "id_token_nonce" in line
        (entry,) = stack.access_log(lambda line: line["path"] == "/oauth2/callback")
        assert "id_token_nonce" in str(entry)


@pytest.fixture
def collector():
    """An OTLP/HTTP receiver, and the exports it received, decoded."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append((self.path, ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", received
        server.shutdown()


def test_spans_are_exported_where_the_standard_variables_say(collector):
    address, received = collector
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": address,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    }
    with Traced(FakeProvider(), env=env) as stack, stack.user() as user:
        callback = to_callback(stack, user)
        trace_id = user.navigate(callback).headers["x-trace-id"]

        def exported():
            every = [
                span
                for _, export in received
                for resource in export.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            ]
            return [
                span
                for span in every
                if span.trace_id.hex() == trace_id and span.name == "POST /token"
            ]

        wait_until(exported, 60)
        path, export = received[0]
        assert path == "/v1/traces"
        attributes = {
            a.key: a.value.string_value for a in export.resource_spans[0].resource.attributes
        }
        assert (
            attributes["service.name"] == "extproc"
            and attributes["deployment.environment.name"] == "test"
        )


def of_envoy(body):
    resources = [
        resource.resource for resource in ExportTraceServiceRequest.FromString(body).resource_spans
    ]
    return any(
        a.key == "service.name" and a.value.string_value == "envoy"
        for r in resources
        for a in r.attributes
    )


def test_envoy_closes_an_idle_connection_to_the_receiver_of_spans_and_waits_for_one_that_is_slow():
    """A batch is lost if the receiver closes the connection while Envoy sends it.

    uvicorn and hypercorn close after 5 seconds of silence.
    """
    number, later = count(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            match next(number) if of_envoy(body_of(self)) else None:
                # A slow answer: two more batches arrive meanwhile, because Envoy sends one a
                # second.
                case 0:
                    later.wait(60)
                case 2:
                    later.set()
            self.send_response(200)
            self.send_header("content-length", "0")
            # It leaves the connection open, for Envoy to close.
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        with (
            Stack(FakeProvider(), settings={"tracing": {"endpoint": address}}) as stack,
            stack.user() as user,
        ):
            wait_until(
                lambda: user.navigate(stack.url("/private")) and later.is_set(), 60, every=0.3
            )
            wait_until(
                lambda: stack.stat("cluster.tracing.upstream_rq_200") >= 3, 60, "its answers"
            )
            assert stack.stat("cluster.tracing.upstream_rq_timeout") == 0
            wait_until(
                lambda: stack.stat("cluster.tracing.upstream_cx_destroy_local") > 0,
                60,
                "Envoy to close",
            )
        server.shutdown()


@pytest.mark.threat("foreign-input")
def test_no_host_that_a_client_sends_hides_a_trace() -> None:
    hosts = (b"localhost:[", b"localhost:99999", b"[v1.a]", b"[::1", b"localhost:x")
    with Traced(FakeProvider(behind=False)) as stack:
        for host in hosts:
            head = b"GET /oauth2/login HTTP/1.1\r\nhost: " + host + b"\r\nconnection: close\r\n\r\n"
            assert sent(stack.port, head)[9:10] in (b"3", b"4")
        started = httpx.get(
            stack.url("/oauth2/login"), headers={"accept": "text/html"}, trust_env=False
        )
        trace_id = started.headers["x-trace-id"]
        spans(stack, trace_id, lambda found: "envoy" in services(found))
        listed = httpx.get(f"{stack.admin}/traces.json", trust_env=False).json()["traces"]
        assert trace_id in {each["trace_id"] for each in listed}
        for each in listed:
            assert trace(stack, each["trace_id"]).status_code == 200
