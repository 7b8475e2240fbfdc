"""Which pages may send what, by the routes that refuse the others."""

from typing import Any

import pytest
from harness.envoy_config import OPEN, app_listener, routes, simple

from extproc.core.http import Request
from extproc.envoyconfig.csrf import FOREIGN
from extproc.explain.route import choose


def refused_by(route: str) -> str:
    rule = route.rpartition(":")[2]
    return rule if rule in FOREIGN else ""


def chosen(change: dict[str, Any], method: str = "GET", **headers: str) -> str:
    """The rule that refuses a request to an application with this change, or ''."""
    listener = app_listener(public_paths=["/public/"], **change)
    found = {
        refused_by(route.name)
        for path in ("/x", "/public/x")
        if (
            route := choose(
                listener,
                Request(
                    "",
                    False,
                    method,
                    path,
                    "localhost:8080",
                    tuple((name.replace("_", "-"), value) for name, value in headers.items()),
                ),
            )
        )
    }
    (rule,) = found
    return rule


OWN, FOREIGN_PAGE = "http://localhost:8080", "http://localhost:8081"
BOTH = {"hosts": ["localhost", "127.0.0.1"]}
PORTAL = {"allowed_origins": [FOREIGN_PAGE]}


@pytest.mark.parametrize(
    ("change", "origin", "rule"),
    [
        ({}, OWN, ""),
        ({}, None, ""),
        ({}, FOREIGN_PAGE, "foreign-upgrade"),
        ({}, "https://localhost:8080", "foreign-upgrade"),
        ({}, "http://localhost:8080.evil.test", "foreign-upgrade"),
        ({}, f"{OWN},{OWN}", "foreign-upgrade"),
        ({}, "null", "foreign-upgrade"),
        ({}, "http://127.0.0.1:8080", "foreign-upgrade"),
        (BOTH, "http://127.0.0.1:8080", ""),
        (PORTAL, FOREIGN_PAGE, ""),
        ({"csrf": "off"}, FOREIGN_PAGE, ""),
    ],
)
def test_an_upgrade_is_refused_to_a_page_of_another_origin(
    change: dict[str, Any], origin: str | None, rule: str
) -> None:
    headers = {"origin": origin} if origin is not None else {}
    for csrf in ("websockets", "same_origin"):
        assert chosen({"csrf": csrf, **change}, upgrade="websocket", **headers) == rule
    assert chosen(change, **headers) == "", "a request that is no upgrade passes"


@pytest.mark.parametrize(
    ("change", "headers", "rule"),
    [
        ({}, {}, ""),
        ({}, {"origin": OWN}, ""),
        ({}, {"origin": OWN, "sec_fetch_site": "same-origin"}, ""),
        ({}, {"sec_fetch_site": "none"}, ""),
        ({}, {"origin": FOREIGN_PAGE}, "foreign-origin"),
        ({}, {"origin": FOREIGN_PAGE, "sec_fetch_site": "same-site"}, "foreign-site"),
        ({}, {"sec_fetch_site": "same-site"}, "foreign-site"),
        ({}, {"sec_fetch_site": "cross-site"}, "foreign-site"),
        ({}, {"origin": OWN, "sec_fetch_site": "cross-site"}, "foreign-site"),
        ({}, {"origin": "null"}, "null-origin"),
        ({}, {"origin": "null", "sec_fetch_site": "same-origin"}, ""),
        ({}, {"origin": "null", "sec_fetch_site": "cross-site"}, "foreign-site"),
        (BOTH, {"origin": "http://127.0.0.1:8080", "sec_fetch_site": "same-site"}, ""),
        (BOTH, {"origin": FOREIGN_PAGE, "sec_fetch_site": "same-site"}, "foreign-site"),
        (BOTH, {"sec_fetch_site": "same-site"}, "foreign-site"),
        (PORTAL, {"origin": FOREIGN_PAGE, "sec_fetch_site": "same-site"}, ""),
        (PORTAL, {"sec_fetch_site": "same-site"}, "foreign-site"),
    ],
)
def test_same_origin_refuses_unsafe_methods_to_pages_of_other_origins(
    change: dict[str, Any], headers: dict[str, str], rule: str
) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "PROPFIND", "post"):
        assert chosen({"csrf": "same_origin", **change}, method, **headers) == rule, method
    for method in ("GET", "HEAD", "OPTIONS"):
        assert chosen({"csrf": "same_origin", **change}, method, **headers) == ""
    assert chosen(change, "POST", **headers) == "", "websockets is the default"


def test_an_excluded_application_gets_what_is_sent() -> None:
    assert not [name for name in routes(simple(applications={"open": OPEN})) if refused_by(name)]
