"""A request as the operator describes it."""

from harness.envoy_config import APP, simple
from harness.ruled import ruled

from extproc.envoyconfig.snapshot import generated
from extproc.explain.route import choose
from extproc.explain.sample import NAVIGATION, SampleRequest, routed


def test_a_request_that_does_not_say_what_it_is_counts_as_a_navigation() -> None:
    plain = SampleRequest("GET", "/", (("x-a", "1"),))
    assert plain.as_navigation().headers == (*NAVIGATION, ("x-a", "1"))
    for name in ("accept", "sec-fetch-mode"):
        script = SampleRequest("GET", "/", ((name, "x"),))
        assert script.as_navigation() is script


def test_a_path_is_on_the_gateway_s_address_and_read_as_envoy_reads_it() -> None:
    made = simple(
        gateway={"url": "https://gate.test:8443"},
        applications={"app": {**APP, "hosts": ["gate.test"]}},
    )
    request = SampleRequest("GET", "/a/../%62//c?q=%62").received(made)
    assert (request.authority, request.target) == ("gate.test:8443", "/b/c?q=%62")
    other = SampleRequest("GET", "https://user@Other.test").received(made)
    assert (other.host, other.target) == ("other.test", "/")


def test_the_processor_gets_what_the_route_says_and_the_headers_that_envoy_forwards() -> None:
    made = ruled()
    headers = (("accept", "a"), ("x-own", "b"), (":path", "/evil"))
    request = SampleRequest("GET", "/docs/old/", headers).received(made)
    route = choose(generated(made).listeners[0], request)
    assert route is not None
    got = routed(request, route)
    assert (got.application, got.public, got.rule, got.shadow) == ("app", True, "docs", "tried")
    assert got.access == route.access != "" and got.headers == (("accept", "a"),)
