"""Settings of traces, metrics and the log."""

import pytest


@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        ({"tracing": {"endpoint": "collector:4318"}}, ": tracing: endpoint is an address"),
        ({"metrics": {"endpoint": "http://c:4318?x"}}, ": metrics: endpoint is an address"),
        ({"tracing": {"sample": 1.5}}, ": tracing.sample: "),
        ({"tracing": {"slow": 0}}, ": tracing.slow: "),
        ({"log": {"level": "debug"}}, ": log.level: "),
        ({"log": {"format": "xml"}}, ": log.format: "),
    ],
)
def test_wrong_settings_of_telemetry_are_explained_in_one_line(fault, change, explanation):
    assert explanation in fault(change)


def test_spans_and_metrics_may_go_to_a_collector_below_a_path(read):
    endpoint = "http://collector:4318/otlp"
    settings = read({"tracing": {"endpoint": endpoint}, "metrics": {"endpoint": endpoint}})
    assert settings.tracing.endpoint == settings.metrics.endpoint == endpoint
