"""Envoy's spans: where they go, how many requests have one, and that none has a query."""

import pytest
from harness.envoy_config import cluster, simple, typed


def tracing(**changes: object) -> dict[str, object]:
    (manager,) = typed(simple(**changes), "HttpConnectionManager")
    return dict(manager["tracing"])


def test_the_share_of_requests_is_that_of_the_settings() -> None:
    assert tracing(tracing={"sample": 0.5})["random_sampling"] == {"value": 50.0}


def test_the_span_has_no_url_and_its_only_tag_is_the_reason() -> None:
    found = tracing()
    assert found["max_path_tag_length"] == 0
    assert [tag["tag"] for tag in found["custom_tags"]] == ["extproc.reason"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("endpoint", "uri", "tls"),
    [
        (None, "http://127.0.0.1:9490/v1/traces", False),
        ("http://collector:4318", "http://collector:4318/v1/traces", False),
        ("https://collector/", "https://collector/v1/traces", True),
    ],
)
def test_spans_go_to_the_receiver_of_the_settings_or_to_the_processor(
    endpoint: str | None, uri: str, tls: bool
) -> None:
    made = simple(tracing={"endpoint": endpoint} if endpoint else {})
    (config,) = typed(made, "OpenTelemetryConfig")
    assert config["http_service"]["http_uri"]["uri"] == uri
    assert config["http_service"]["http_uri"]["cluster"] == "tracing"
    assert ("transport_socket" in cluster(made, "tracing")) is tls
