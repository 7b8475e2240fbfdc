"""Metrics match what happened on a real Envoy: scraped from the admin, and pushed as OTLP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.processes import wait_until
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from extproc.metrics.catalogue import (
    CATALOGUE,
    REFRESHES,
    RELOADS,
    WORKERS,
    WORKERS_WANTED,
    WOULD_REFUSE,
)

OPENMETRICS = {
    "accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
}
Exports = list[ExportMetricsServiceRequest]


class Numbers:
    """One scrape."""

    def __init__(self, stack: Stack) -> None:
        answer = httpx.get(f"{stack.admin}/metrics", headers=OPENMETRICS, trust_env=False)
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        self.families = list(text_string_to_metric_families(answer.text))
        self.samples: list[Sample] = [
            sample for family in self.families for sample in family.samples
        ]

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The values that are not 0, by these labels."""
        found: dict[tuple[str, ...], float] = {}
        for sample in self.samples:
            if sample.name == name and sample.value:
                key = tuple(sample.labels[label] for label in labels)
                found[key] = found.get(key, 0) + sample.value
        return found


@contextmanager
def receiver() -> Iterator[tuple[str, Exports]]:
    """An OTLP/HTTP receiver: its base address, and the exports it received."""
    got: Exports = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/v1/metrics":
                got.append(ExportMetricsServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        server.server_close()


def requests_of(exports: Exports) -> dict[tuple[str, str], float]:
    """The requests in the last export, by step and reason."""
    for metric in exports[-1].resource_metrics[0].scope_metrics[0].metrics:
        if metric.name == "extproc.requests":
            points = [
                ({pair.key: pair.value.string_value for pair in p.attributes}, p)
                for p in metric.sum.data_points
            ]
            return {
                (attributes["step"], attributes["reason"]): point.as_double
                for attributes, point in points
            }
    return {}


def test_after_logins_refusals_and_a_provider_s_timeout_the_numbers_are_what_happened() -> None:
    """From the first request to SIGTERM, scraped and pushed.

    No text that a client chose is in the metrics.
    """
    settings = {"timeouts": {"call": 5, "callback": 8}}
    with receiver() as (address, exports):
        settings["metrics"] = {"endpoint": address}  # type: ignore[assignment]
        env = {"OTEL_METRIC_EXPORT_INTERVAL": "300"}
        with Stack(FakeProvider(behind=False), settings=settings, env=env) as stack:
            expected = sign_in_be_refused_and_wait(stack)
            wait_until(
                lambda: sum(Numbers(stack).by("extproc_streams_total", "outcome").values()) == 6, 60
            )
            numbers = Numbers(stack)
            assert numbers.by("extproc_requests_total", "step", "application", "reason") == expected
            assert numbers.by("extproc_streams_total", "outcome") == {("answered",): 6}, (
                "and unanswered is 0"
            )
            assert numbers.by("extproc_decision_duration_seconds_count", "step") == {
                ("none",): 4,
                ("callback",): 2,
            }
            assert numbers.by("extproc_provider_calls_total", "endpoint", "outcome") == {
                ("metadata", "success"): 1,
                ("jwks", "success"): 1,
                ("token", "success"): 1,
                ("token", "timeout"): 1,
                ("userinfo", "success"): 1,
            }
            assert numbers.by("extproc_held", "step") == {} and not numbers.by(
                "extproc_store_errors_total"
            )
            assert numbers.by(
                "extproc_store_operation_duration_seconds_count", "operation"
            ).keys() >= {("put",)}
            assert numbers.by("extproc_provider_ready", "provider") == {("main",): 1}
            assert numbers.by("extproc_settings_generation", "worker") == {("1",): 1}
            assert numbers.by("extproc_loop_lag_seconds_count", "loop").keys() == {
                ("asyncio",),
                ("trio",),
            }
            exemplars_lead_to_traces(stack, numbers)
            every_metric_is_documented(numbers)

            # Series that are made at their first use exist by now.
            settled = len(numbers.samples)
            hostile(stack)
            numbers = Numbers(stack)
            assert (
                sum(numbers.by("extproc_requests_total").values())
                == stack.streams()
                > 6 + HOSTILE // 3
            )
            assert len(numbers.samples) < settled + HOSTILE // 2
            wait_until(
                lambda: bool(exports) and sum(requests_of(exports).values()) == stack.streams(), 60
            )
            assert stack.stop_extproc() == 0
        assert requests_of(exports)["callback", "signed_in"] == 1, (
            "the last export is on the way out"
        )


HOSTILE = 120
METHODS = ("GET", "POST", "PUT", "OPTIONS")


def sign_in_be_refused_and_wait(stack: Stack) -> dict[tuple[str, str, str], float]:
    """One login, two refusals, and one login whose provider does not answer.

    Returns the requests that this makes.
    """
    with stack.user() as user, stack.user("slow") as slow:
        assert user.go(stack.url("/private")).status_code == 200
        assert user.navigate(stack.url("/oauth2/nothing")).status_code == 404
        assert httpx.get(stack.url("/private"), trust_env=False).status_code == 401
        callback = slow.navigate(slow.navigate(stack.url("/private")).headers["location"]).headers[
            "location"
        ]
        with stack.provider.holding("/token"):
            assert slow.navigate(callback).status_code == 504
    return {
        ("none", "app", "login_started"): 2,
        ("callback", "app", "signed_in"): 1,
        ("none", "app", "no_such_endpoint"): 1,
        ("none", "app", "login_required"): 1,
        ("callback", "app", "provider_timeout"): 1,
    }


def exemplars_lead_to_traces(stack: Stack, numbers: Numbers) -> None:
    for name in (
        "extproc_decision_duration_seconds_bucket",
        "extproc_provider_call_duration_seconds_bucket",
    ):
        found = [
            sample.exemplar for sample in numbers.samples if sample.name == name and sample.exemplar
        ]
        assert found, name
        trace = found[-1].labels["trace_id"]
        url = f"{stack.admin}/traces/{trace}.json"
        wait_until(lambda url=url: httpx.get(url, trust_env=False).status_code == 200, 60)


def every_metric_is_documented(numbers: Numbers) -> None:
    """The scrape and the catalogue have the same metrics, except those of a supervisor."""
    families = {
        family.name for family in numbers.families if not family.name.startswith("process_")
    }
    documented = {instrument.family for instrument in CATALOGUE}
    assert families <= documented
    assert documented - families <= {
        i.family for i in (WORKERS, WORKERS_WANTED, RELOADS, REFRESHES, WOULD_REFUSE)
    }


def hostile(stack: Stack) -> None:
    """Send paths, hosts, headers and methods that an attacker chooses."""
    with httpx.Client(trust_env=False) as client:
        for n in range(HOSTILE):
            headers = {
                "x-extproc-application": f"evil{n}",
                "x-request-id": f"evil{n}",
                "traceparent": f"evil{n}",
            }
            if n % 2:
                headers["host"] = f"evil{n}.example"
            answer = client.request(METHODS[n % 4], stack.url(f"/evil{n}?evil{n}"), headers=headers)
            assert answer.status_code in (401, 421), answer.status_code
    body = httpx.get(f"{stack.admin}/metrics", trust_env=False).text
    assert "evil" not in body.lower()
