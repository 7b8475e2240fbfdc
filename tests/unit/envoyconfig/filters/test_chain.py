"""Which filters there are, and in which order."""

from typing import Any

import pytest
from harness.envoy_config import APP, OPEN, simple

from extproc.envoyconfig.filters.chain import filters


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, ["cookies", "assertion", "limit", "decide", "gate", "router"]),
        ({"identity": {"assertion_lifetime": 0}}, ["cookies", "limit", "decide", "gate", "router"]),
        (
            {"gateway": {"rate_limit": {"per_second": 0, "burst": 1}}},
            ["cookies", "assertion", "decide", "gate", "router"],
        ),
        (
            {"applications": {"app": {**APP, "forward_access_token": True}}},
            ["cookies", "limit", "decide", "gate", "router"],
        ),
        (
            {"applications": {"app": {**APP, "upstream_http2": True}}},
            ["cookies", "assertion", "limit", "decide", "gate", "trailers", "router"],
        ),
        (
            {"applications": {"app": {**APP, "cors": {"origins": ["https://a.test"]}}}},
            ["cors", "cookies", "assertion", "limit", "decide", "gate", "router"],
        ),
        ({"applications": {"app": OPEN}, "providers": {}}, ["cookies", "decide", "gate", "router"]),
    ],
)
def test_the_gate_is_the_last_filter_that_decides(
    changes: dict[str, Any], names: list[str]
) -> None:
    assert [each.name for each in filters(simple(**changes))] == names
