"""Metrics: bounded whatever comes, the same numbers for Prometheus and OTLP, every one of them
documented and none invented.
"""

import json
import re
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml
from metrics_reference import reference
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from unit.ext_proc.test_servicer import FakeStore

from extproc.core.decisions import Lane
from extproc.core.errors import (
    InvalidAnswer,
    ProviderTimeout,
    ProviderUnreachable,
    StoreUnavailable,
)
from extproc.core.reasons import REASONS
from extproc.ext_proc.admission import Admission
from extproc.metrics import NO_STEP, OTHER, STEPS, Metrics, ProcessMetrics, Reading
from extproc.metrics import catalogue as metric
from extproc.metrics.catalogue import CATALOGUE
from extproc.metrics.exposition import from_text, merged, page, to_text
from extproc.metrics.otlp import exporter, interval, metrics_data
from extproc.provider.metrics import Call
from extproc.sessions.instrumented import InstrumentedStore
from extproc.settings import Limits

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "envoy" / "prometheus" / "alerts.yaml"
DASHBOARD = ROOT / "envoy" / "grafana" / "extproc.json"
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
TRACE, SPAN = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7
NOBODY = NonRecordingSpan(SpanContext(TRACE, SPAN, is_remote=True))


class Recorded(NonRecordingSpan):
    """A span that somebody keeps."""

    def is_recording(self) -> bool:
        return True


KEPT: Span = Recorded(
    SpanContext(TRACE, SPAN, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
)


def samples(metrics: ProcessMetrics, name: str) -> dict[tuple[str, ...], float]:
    """What a metric says, by the values of its labels."""
    found = (sample for family in metrics.families() for sample in family.samples)
    return {tuple(sample.labels.values()): sample.value for sample in found if sample.name == name}


# -- bounded


def test_ten_thousand_hostile_names_are_one_series() -> None:
    metrics = Metrics(["app"], ["login_required"])
    metrics.answered("none", "app", "login_required", 0.001, NOBODY)
    before = sum(len(family.samples) for family in metrics.families())
    for n in range(10_000):
        metrics.answered("none", f'../{n}\n"evil"', "login_required", 0.001, NOBODY)
        metrics.answered("none", "app", f"reason {n}", 0.001, NOBODY)
    assert samples(metrics, "extproc_requests_total") == {
        ("none", "app", "login_required"): 1,
        ("none", OTHER, "login_required"): 10_000,
        ("none", "app", OTHER): 10_000,
    }
    after = sum(len(family.samples) for family in metrics.families())
    assert after <= before + 4 and len(metrics._by_request) == 3, (
        "and memory does not grow by what clients say"
    )


def test_the_lanes_of_the_limits_are_those_of_the_metrics() -> None:
    assert (NO_STEP, *Lane) == STEPS


# -- Prometheus


def test_a_scraper_that_asks_for_openmetrics_gets_it_with_exemplars_of_kept_traces_and_others_get_text() -> (
    None
):
    metrics = Metrics(["app"], ["signed_in"])
    metrics.answered("callback", "app", "signed_in", 0.3, KEPT)
    metrics.answered("none", "app", "signed_in", 0.3, NOBODY)
    families = merged([("1", metrics.families())])
    asked, plain = page(families, OPENMETRICS), page(families, "*/*")
    assert asked.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert plain.content_type.startswith("text/plain; version=0.0.4")
    found = text_string_to_metric_families(asked.body.decode())
    exemplars = [
        (sample.labels["step"], sample.labels["le"], sample.exemplar)
        for family in found
        for sample in family.samples
        if sample.exemplar is not None
    ]
    assert [(lane, le) for lane, le, _ in exemplars] == [("callback", "0.5")]
    assert exemplars[0][2].labels == {"trace_id": f"{TRACE:032x}", "span_id": f"{SPAN:016x}"}
    assert b"# EOF" not in plain.body and b"trace_id" not in plain.body


def test_what_workers_say_becomes_one_page_and_each_sample_says_whose_it_is() -> None:
    said = []
    for worker in ("1", "2"):
        metrics = Metrics(["app"], ["signed_in"])
        for _ in range(int(worker)):
            metrics.answered("callback", "app", "signed_in", 0.3, KEPT)
        said.append((worker, from_text(to_text(metrics.families()))))
    body = page(
        merged([("supervisor", ProcessMetrics().families()), *said]), OPENMETRICS
    ).body.decode()
    found = {
        sample.labels["worker"]: sample
        for family in text_string_to_metric_families(body)
        for sample in family.samples
        if sample.name == "extproc_requests_total"
    }
    assert {worker: sample.value for worker, sample in found.items()} == {"1": 1, "2": 2}
    assert body.count("# TYPE extproc_requests counter") == 1 and "_created" not in body
    assert body.count('trace_id="4bf92f') == 2, "exemplars come through"


# -- OTLP


def test_otlp_has_the_same_numbers_with_opentelemetry_s_names_and_units() -> None:
    metrics = Metrics(["app"], ["signed_in"])
    metrics.watch(lambda: [Reading(metric.HELD, 3, ("callback",))])
    for seconds in (0.0004, 0.3, 99):
        metrics.answered("callback", "app", "signed_in", seconds, KEPT)
    data = metrics_data(
        metrics.families(), Resource({"service.name": "extproc"}), "2", 1000.0, 1060.0
    )
    sent = {
        metric.name: metric
        for metric in encode_metrics(data).resource_metrics[0].scope_metrics[0].metrics
    }
    (requests,) = sent["extproc.requests"].sum.data_points
    assert {pair.key: pair.value.string_value for pair in requests.attributes} == {
        "step": "callback", "application": "app", "reason": "signed_in", "worker": "2",
    }  # fmt: skip
    assert sent["extproc.requests"].sum.is_monotonic and requests.as_double == 3
    assert (requests.start_time_unix_nano, requests.time_unix_nano) == (
        1_000 * 10**9,
        1_060 * 10**9,
    )
    decisions = sent["extproc.decision.duration"]
    point = next(p for p in decisions.histogram.data_points if p.count)
    assert decisions.unit == "s" and point.sum == pytest.approx(99.3004) and point.count == 3
    assert list(point.explicit_bounds) == list(metric.DECISIONS.buckets)
    assert (
        point.bucket_counts[0],
        point.bucket_counts[9],
        point.bucket_counts[-1],
        sum(point.bucket_counts),
    ) == (
        1,
        1,
        1,
        3,
    )
    assert {exemplar.trace_id.hex() for exemplar in point.exemplars} == {f"{TRACE:032x}"}
    assert not point.HasField("min"), "it is not known"
    assert sent["extproc.held"].gauge.data_points[0].as_double == 3


@pytest.mark.parametrize(
    ("endpoint", "environment", "where"),
    [
        (None, {}, None),
        ("http://c:4318/", {}, "http://c:4318/v1/metrics"),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "http://c:4318/v1/metrics"),
        (None, {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c/m"}, "http://c/m"),
        (None, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/t"}, None),
        (
            None,
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_METRICS_EXPORTER": "none"},
            None,
        ),
    ],
)
def test_metrics_are_pushed_where_the_settings_or_the_standard_variables_say(
    endpoint: str | None,
    environment: dict[str, str],
    where: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    made = exporter(endpoint)
    assert (made._endpoint if made is not None else None) == where


@pytest.mark.parametrize(("said", "seconds"), [("", 60), ("300", 0.3), ("often", 60), ("-5", 60)])
def test_the_interval_is_the_standard_variable_s(
    said: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", said)
    assert interval() == seconds


# -- what is measured


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (200, None, "success"),
        (204, None, "success"),
        (302, None, "failed"),
        (400, None, "refused"),
        (401, None, "refused"),
        (429, None, "failed"),
        (503, None, "failed"),
        (None, ProviderTimeout(), "timeout"),
        (None, ProviderUnreachable(), "unreachable"),
        (None, InvalidAnswer(), "invalid"),
        (None, KeyError(), "failed"),
        (None, KeyboardInterrupt(), "cancelled"),
    ],
)
def test_a_call_to_a_provider_ends_in_one_word(
    status: int | None, error: BaseException | None, outcome: str
) -> None:
    metrics = Metrics()
    with (
        pytest.raises(type(error)) if error is not None else nullcontext(),
        Call(metrics, "main", "token", NOBODY) as call,
    ):
        if error is not None:
            raise error
        call.answered(status or 0)
    assert samples(metrics, "extproc_provider_calls_total") == {("main", "token", outcome): 1}
    assert samples(metrics, "extproc_provider_call_duration_seconds_count") == {
        ("main", "token"): 1
    }


async def test_an_operation_of_the_store_is_measured_and_its_failure_counted() -> None:
    metrics = Metrics()
    assert await InstrumentedStore(FakeStore(), "redis", metrics).get(b"key", 0) is None
    with pytest.raises(StoreUnavailable):
        await InstrumentedStore(FakeStore(error=StoreUnavailable()), "redis", metrics).get(
            b"key", 0
        )
    assert samples(metrics, "extproc_store_operation_duration_seconds_count") == {
        ("redis", "get"): 2
    }
    assert samples(metrics, "extproc_store_errors_total") == {("redis", "get"): 1}


def test_the_oldest_that_is_held_is_the_first_that_came_and_has_not_left() -> None:
    now = [100.0]
    admission = Admission(Limits(), lambda: now[0])
    assert admission.oldest(Lane.CALLBACK) == 0
    first = admission.acquire(Lane.CALLBACK, "main")
    now[0] = 103
    second = admission.acquire(Lane.CALLBACK, "main")
    now[0] = 110
    assert (
        admission.held(Lane.CALLBACK),
        admission.oldest(Lane.CALLBACK),
        admission.oldest(Lane.REFRESH),
    ) == (2, 10, 0)
    first.release()
    assert (admission.held(Lane.CALLBACK), admission.oldest(Lane.CALLBACK)) == (1, 7)
    second.release()
    assert admission.oldest(Lane.CALLBACK) == 0


# -- documented, and used by no name that is not there

NAMES = {instrument.exposed for instrument in CATALOGUE} | {
    sample.name for family in ProcessMetrics().families() for sample in family.samples
}
NAMES |= {
    f"{i.family}_{part}"
    for i in CATALOGUE
    if i.kind == "histogram"
    for part in ("bucket", "sum", "count")
}
LABELS = {label for instrument in CATALOGUE for label in instrument.labels} | {
    "worker",
    "instance",
    "job",
    "le",
}


def test_the_metrics_reference_is_fresh() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == reference()


@pytest.mark.parametrize("instrument", CATALOGUE, ids=lambda instrument: instrument.name)
def test_names_follow_the_conventions(instrument: metric.Instrument) -> None:
    assert re.fullmatch(r"extproc(\.[a-z]+(_[a-z]+)*)+", instrument.name)
    assert not re.search(
        r"_(total|seconds|bytes|count|sum|bucket|created)$", instrument.name.replace(".", "_")
    )
    assert instrument.text.endswith(".") and bool(instrument.buckets) == (
        instrument.kind == "histogram"
    )
    assert len({other.exposed for other in CATALOGUE}) == len(CATALOGUE)


def rules() -> list[dict[str, object]]:
    return [
        rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
    ]


def panels() -> list[dict[str, object]]:
    return json.loads(DASHBOARD.read_text())["panels"]


def queries() -> Iterator[str]:
    """Every PromQL expression that we ship; Grafana's variables as what they stand for."""
    yield from (str(rule["expr"]) for rule in rules())
    shown = [target["expr"] for panel in panels() for target in panel.get("targets", ())]
    shown += [one["expr"] for one in json.loads(DASHBOARD.read_text())["annotations"]["list"]]
    for query in shown:
        yield re.sub(r"\$__(rate_interval|range)", "5m", query).replace("$instance", ".+")


@pytest.mark.parametrize("query", list(queries()))
def test_a_query_of_the_dashboard_or_an_alert_uses_names_that_exist(query: str) -> None:
    code = re.sub(r'"[^"]*"', '""', query)
    used = set(re.findall(r"\b(?:extproc|process|up)(?:_[a-z_]+)?\b", code)) - {"up"}
    assert used <= NAMES, used - NAMES
    matched = {
        name
        for group in re.findall(r"\{([^}]*)\}", code)
        for name in re.findall(r"([a-z_]+)\s*(?:=|!)", group)
    }
    by = {
        name.strip() for group in re.findall(r"\bby \(([^)]*)\)", code) for name in group.split(",")
    }
    assert matched | by <= LABELS
    for reason in re.findall(r'reason!?="([a-z_]+)"', query):
        assert reason in REASONS


def test_each_alert_says_what_is_and_what_to_do() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        annotations = rule["annotations"]
        assert annotations.keys() == {"summary", "remedy"} and len(annotations["remedy"]) > 60, (
            rule["alert"]
        )
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        grid = panel["gridPos"]
        cells = {(grid["x"] + x, grid["y"] + y) for x in range(grid["w"]) for y in range(grid["h"])}
        assert not cells & taken and grid["x"] + grid["w"] <= 24, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())
