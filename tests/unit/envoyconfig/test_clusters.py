"""Where Envoy sends requests, and within which limits."""

from typing import Any

import pytest
from harness.envoy_config import APP, addresses, cluster, simple, tree


def test_idle_connections_to_what_speaks_http_1_are_closed_by_envoy_before_the_other_side_does() -> (
    None
):
    found = {}
    for each in tree(simple())["static_resources"]["clusters"]:
        (options,) = each["typed_extension_protocol_options"].values()
        if "http_protocol_options" in options["explicit_http_config"]:
            found[each["name"]] = options["common_http_protocol_options"]["idle_timeout"]
    assert found.keys() == {"application-app", "keys", "tracing"}, (
        "the processor's is HTTP/2, with pings"
    )
    assert set(found.values()) == {"1.500s"}  # hypercorn, at the admin listener, waits 5 s


@pytest.mark.parametrize(
    ("streams", "processors", "requests"),
    [(77, 1, 1154), (20_000, 1, 41_000), (20_000, 3, 123_000), (1_000_000, 2, 4_002_000)],
)
def test_envoy_s_limits_leave_room_for_the_processor_s_own_answer(
    streams: int, processors: int, requests: int
) -> None:
    places = [f"127.0.0.1:{9500 + n}" for n in range(processors)]
    made = simple(limits={"streams": streams}, gateway={"processors": places})
    processor = cluster(made, "processor")
    (limit,) = processor["circuit_breakers"]["thresholds"]
    assert (limit["max_requests"], limit["max_pending_requests"]) == (requests, requests)
    options = processor["typed_extension_protocol_options"][
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    ]
    each = options["explicit_http_config"]["http2_protocol_options"]["max_concurrent_streams"]
    assert limit["max_connections"] * each >= requests


@pytest.mark.parametrize(
    ("changes", "listed"),
    [
        ({}, ["127.0.0.1:9500"]),
        ({"workers": 1, "listen": "unix:/run/x.sock"}, ["/run/x.sock"]),
        ({"workers": 3}, ["127.0.0.1:9500", "127.0.0.1:9501", "127.0.0.1:9502"]),
        (
            {"workers": 2, "listen": "0.0.0.0:9500", "allow_plaintext": ["listen"]},
            ["127.0.0.1:9500", "127.0.0.1:9501"],
        ),
        ({"workers": 2, "listen": "[::1]:9500"}, ["::1:9500", "::1:9501"]),
        ({"workers": 2, "listen": "unix:/run/x.sock"}, ["/run/x.1.sock", "/run/x.2.sock"]),
        ({"workers": 2, "listen": "unix:/run.d/x"}, ["/run.d/x.1", "/run.d/x.2"]),
        (
            {
                "workers": 2,
                "gateway": {"processors": ["10.0.0.1:9500", "10.0.0.1:9501", "10.0.0.2:9500"]},
            },
            ["10.0.0.1:9500", "10.0.0.1:9501", "10.0.0.2:9500"],
        ),
    ],
)
def test_envoy_knows_every_worker_and_checks_the_health_of_several(
    changes: Any, listed: list[str]
) -> None:
    """With one there is nobody else to call, and it is called again as soon as it is back."""
    processor = cluster(simple(**changes), "processor")
    assert addresses(processor) == listed
    assert ("health_checks" in processor) == (len(listed) > 1)
    # Envoy merges what its checks find within 1 s by default: a worker's NOT_SERVING would come too
    # late
    assert (processor["common_lb_config"].get("update_merge_window") == "0s") == (len(listed) > 1)


def test_names_are_resolved_and_addresses_are_not() -> None:
    kinds = {}
    for upstream in (
        "http://127.0.0.1:1",
        "http://[::1]:1",
        "http://localhost:1",
        "http://app:1",
        "https://app.example",
    ):
        made = simple(applications={"app": {**APP, "upstream": upstream}})
        application = cluster(made, "application-app")
        (endpoint,) = application["load_assignment"]["endpoints"][0]["lb_endpoints"]
        address = endpoint["endpoint"]["address"]["socket_address"]
        kinds[upstream] = (application["type"], address["address"], address["port_value"])
    assert kinds == {
        "http://127.0.0.1:1": ("STATIC", "127.0.0.1", 1),
        "http://[::1]:1": ("STATIC", "::1", 1),
        "http://localhost:1": ("STATIC", "127.0.0.1", 1),
        "http://app:1": ("STRICT_DNS", "app", 1),
        "https://app.example": ("STRICT_DNS", "app.example", 443),
    }
