"""What Envoy and the processor have to agree on about an application."""

from typing import Any

import pytest
from harness.envoy_config import APP, simple

from extproc.settings.domain import applications
from extproc.settings.fingerprint import fingerprint


def of(name: str = "app", **changes: Any) -> str:
    return fingerprint(simple(applications={name: {**APP, **changes}}), name)


@pytest.mark.parametrize(
    "changes",
    [
        {"hosts": ["localhost", "other.example"]},
        {"path_prefix": "/app/"},
        {"url": "https://localhost/"},
        {"public_paths": ["/public/"]},
        {"acr_values": ["mfa"]},
        {"max_age": "5m"},
        {"prompt": "login"},
        {"authorization_params": {"kc_idp_hint": "x"}},
        {"forward_access_token": True},
        {"end_streams": ["websocket"]},
    ],
)
def test_what_envoy_s_routes_are_made_of_counts(changes: dict[str, Any]) -> None:
    assert of(**changes) != of() == of()


def test_names_that_are_swapped_count() -> None:
    assert of("app") != of("wiki")


@pytest.mark.parametrize(
    "changes",
    [{"upstream": "http://127.0.0.1:9999"}, {"hosts": ["localhost"]}, {"stream_lifetime": "1h"}],
)
def test_what_only_one_side_reads_does_not_count(changes: dict[str, Any]) -> None:
    assert of(**changes) == of()


def test_the_order_of_hosts_does_not_count() -> None:
    assert of(hosts=["localhost", "b"]) == of(hosts=["b", "localhost"])


def test_the_core_has_the_same_one() -> None:
    made = simple()
    assert applications(made, made.key_ring())["app"].fingerprint == fingerprint(made, "app")
