"""Routes, listeners and TCP proxies by which an application is reached without a login."""

from typing import Any

import pytest
from harness.envoy_config import APP, OPEN, simple, tree

from extproc.checks.envoy_bypasses import bypasses
from extproc.checks.findings import Finding
from extproc.envoyconfig.snapshot import generated, read

OTHER = "http://127.0.0.1:9700"
MADE = simple(
    applications={
        "app": APP,
        "idp": {**OPEN, "hosts": ["idp.example"], "upstream": OTHER},
    }
)
HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def found(route: dict[str, Any] | None = None, **clusters: str) -> list[Finding]:
    """Findings where a second listener has this route, and there are these clusters besides."""
    made = tree(MADE)
    static = made["static_resources"]
    if route is not None:
        host = {"name": "side", "domains": ["*"], "routes": [route]}
        manager = {"@type": HCM, "route_config": {"virtual_hosts": [host]}, "http_filters": []}
        chain = {"filters": [{"name": "x", "typed_config": manager}]}
        static["listeners"].append({"name": "side", "filter_chains": [chain]})
    for name, like in clusters.items():
        (copied,) = (each for each in static["clusters"] if each["name"] == like)
        static["clusters"].append({**copied, "name": name})
    wanted, actual = generated(MADE), read(made)
    return list(bypasses(MADE, wanted, actual, [actual.listeners[0]], "envoy.yaml"))


def to(cluster: str, **more: Any) -> dict[str, Any]:
    return {"name": "r", "match": {"prefix": "/"}, "route": {"cluster": cluster}, **more}


def test_the_generated_configuration_has_no_way_around() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("route", "clusters"),
    [
        (to("application-app"), {}),
        (to("innocent"), {"innocent": "application-app"}),
        (
            {
                **to(""),
                "route": {"weighted_clusters": {"clusters": [{"name": "application-app"}]}},
            },
            {},
        ),
    ],
)
def test_a_route_to_a_protected_application_is_an_error_under_any_cluster_s_name(
    route: dict[str, Any], clusters: dict[str, str]
) -> None:
    (only,) = found(route, **clusters)
    assert only.level == "error" and "leads to the application app, so requests reach" in only.what
    assert only.part == "envoy.yaml, listener side, route r on *"


@pytest.mark.parametrize("cluster", ["application-idp", "elsewhere"])
def test_a_route_elsewhere_is_a_warning(cluster: str) -> None:
    (only,) = found(to(cluster))
    assert (only.level, only.what) == ("warning", "is not one of the generated routes")
