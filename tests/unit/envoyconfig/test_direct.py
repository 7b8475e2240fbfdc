"""Routes with an answer of Envoy's own."""

from typing import Any

import pytest
from harness.envoy_config import APP, OPEN, routes, simple, typed


def test_the_processor_is_not_called_where_envoy_answers() -> None:
    for name in (":no-trace", ":odd-host", ":escaped-slash", ":dot-segments", ":connect", ":none"):
        route = routes(simple())[name]
        config = route["typed_per_filter_config"]
        assert "direct_response" in route and config["decide"]["disabled"] is True, name
        assert set(config) == {"limit", "decide", "gate"}, name


@pytest.mark.parametrize(
    ("application", "redirect"),
    [
        (
            {**APP, "path_prefix": "/wiki/"},
            {
                "scheme_redirect": "http",
                "host_redirect": "localhost",
                "port_redirect": 8080,
                "path_redirect": "/wiki/",
            },
        ),
        ({**OPEN, "path_prefix": "/wiki/"}, {"path_redirect": "/wiki/"}),
    ],
)
def test_a_prefix_without_its_slash_is_redirected_to_the_url_of_the_application(
    application: dict[str, Any], redirect: dict[str, Any]
) -> None:
    made = simple(applications={"app": APP, "wiki": application})
    found = routes(made)
    first, other = found["wiki:slash"], found["wiki:slash:308"]
    assert first["match"]["path"] == other["match"]["path"] == "/wiki"
    assert [each["name"] for each in first["match"]["headers"]] == [":method"]
    assert first["redirect"] == redirect
    assert other["redirect"] == {**redirect, "response_code": "PERMANENT_REDIRECT"}


def test_the_first_route_of_every_host_refuses_methods_that_show_headers() -> None:
    made = simple(applications={"app": APP, "open": {**OPEN, "hosts": ["open.test"]}})
    (manager,) = typed(made, "HttpConnectionManager")
    hosts = manager["route_config"]["virtual_hosts"]
    assert {host["routes"][0]["name"] for host in hosts} == {":no-trace"}
    assert len(hosts) == 3


def test_an_application_that_keeps_escaped_slashes_makes_the_others_refuse_them() -> None:
    keeping = {**APP, "path_prefix": "/git/", "escaped_slashes": "keep"}
    names = list(routes(simple(applications={"app": APP, "git": keeping})))
    assert "app:escaped-slash" in names and not {":escaped-slash", "git:escaped-slash"} & set(names)
    assert [name for name in routes(simple()) if "escaped-slash" in name] == [":escaped-slash"]


def test_dot_segments_are_refused_by_one_route_where_all_applications_reject_them() -> None:
    keeping = {**APP, "path_prefix": "/git/", "dot_segments": "keep"}
    names = list(routes(simple(applications={"app": APP, "git": keeping})))
    assert "app:dot-segments" in names and not {":dot-segments", "git:dot-segments"} & set(names)


def test_readings_of_another_application_are_refused_unless_the_upstream_is_exact() -> None:
    inner = {**APP, "path_prefix": "/payroll/", "acr_values": ["mfa"]}
    for exact in (False, True):
        outer = {**APP, "upstream_paths": "exact"} if exact else APP
        found = routes(simple(applications={"app": outer, "payroll": inner}))
        assert ("app:reads-as:payroll" in found) is not exact
