"""Which preflights are refused, and what counts as one."""

from typing import Any

import pytest
from harness.envoy_config import APP, app_listener, routes, simple

from extproc.core.http import Request
from extproc.explain.route import choose

PORTAL, EVIL = "https://portal.test", "https://evil.test"


def route_of(change: dict[str, Any], method: str = "OPTIONS", **headers: str) -> str:
    """The name of the route of a request to an application with this change."""
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    request = Request("", False, method, "/public/x", "localhost:8080", named)
    route = choose(app_listener(public_paths=["/public/"], **change), request)
    assert route is not None
    return route.name


ASKS = {"access_control_request_method": "PUT"}
LISTED = {"cors": {"origins": [PORTAL]}}


@pytest.mark.parametrize(
    ("change", "headers", "route"),
    [
        (LISTED, {"origin": PORTAL, **ASKS}, "app:public:/public/"),
        (LISTED, {"origin": EVIL, **ASKS}, "app:foreign-preflight"),
        (LISTED, {"origin": "null", **ASKS}, "app:foreign-preflight"),
        (LISTED, {"origin": f"{PORTAL},{EVIL}", **ASKS}, "app:foreign-preflight"),
        (LISTED, {"origin": EVIL}, "app:public:/public/"),
        (LISTED, ASKS, "app:public:/public/"),
        ({"cors": {"origins": ["*"]}}, {"origin": EVIL, **ASKS}, "app:public:/public/"),
        ({}, {"origin": EVIL, **ASKS}, "app:public:/public/"),
        ({"preflight": "pass"}, {"origin": EVIL, **ASKS}, "app:preflight"),
        ({"preflight": "pass"}, {"origin": "null", "content_length": "0", **ASKS}, "app:preflight"),
        ({"preflight": "pass"}, {"origin": EVIL}, "app:public:/public/"),
        ({"preflight": "pass"}, ASKS, "app:public:/public/"),
        ({"preflight": "pass"}, {"origin": EVIL, "cookie": "a=b", **ASKS}, "app:public:/public/"),
        (
            {"preflight": "pass"},
            {"origin": EVIL, "authorization": "Bearer x", **ASKS},
            "app:public:/public/",
        ),
        (
            {"preflight": "pass"},
            {"origin": EVIL, "content_length": "10", **ASKS},
            "app:public:/public/",
        ),
    ],
)
def test_a_preflight_is_known_by_its_method_and_headers(
    change: dict[str, Any], headers: dict[str, str], route: str
) -> None:
    assert route_of(change, **headers) == route
    assert route_of(change, "POST", **headers) == "app:public:/public/"


def test_a_preflight_that_passes_meets_no_filter_that_decides() -> None:
    made = simple(applications={"app": {**APP, "preflight": "pass", "strip_cookies": False}})
    config = routes(made)["app:preflight"]["typed_per_filter_config"]
    assert config["decide"]["disabled"] and config["cookies"]["name"] == "bodiless"
    assert "assertion" not in config and "rules" not in config["gate"].get("rbac", {})


def test_the_refusal_of_a_preflight_has_no_cors_policy() -> None:
    made = simple(applications={"app": {**APP, **LISTED}})
    found = routes(made)
    assert "cors" not in found["app:foreign-preflight"]["typed_per_filter_config"]
    assert not any(name.endswith(":own") and "cors" in str(found[name]) for name in found)
    assert "cors" in found["app"]["typed_per_filter_config"]
