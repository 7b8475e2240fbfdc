"""The same numbers as OTLP."""

import pytest
from harness.metrics import KEPT, TRACE
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.resources import Resource

from extproc.metrics import Metrics, Reading
from extproc.metrics import catalogue as metric
from extproc.metrics.otlp import exporter, interval, metrics_data


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
