"""The names and ports by which users reach the applications."""

import socket
from typing import Any

import pytest
from harness.envoy_config import APP, OPEN, simple

from extproc.checks.findings import Finding
from extproc.checks.hosts import check_hosts, lint_hosts
from extproc.settings import Settings

NOWHERE = "app.invalid"


def looked_up(made: Settings) -> list[Finding]:
    """The findings where DNS knows every name but those of .invalid (RFC 6761 section 6.4)."""

    def look_up(host: str, *_: object, **__: object) -> list[object]:
        if host.endswith(".invalid"):
            raise socket.gaierror(-2, "Name or service not known")
        return [host]

    return list(check_hosts(made, look_up))


def linted(gateway: dict[str, Any], **changes: Any) -> list[Finding]:
    return list(lint_hosts(simple(gateway=gateway, **changes)))


def test_a_host_without_an_address_is_named_with_its_application() -> None:
    app = {**APP, "hosts": ["localhost", NOWHERE, "127.0.0.1", "[::1]", "*"]}
    (finding,) = looked_up(simple(applications={"app": app}))
    assert (finding.level, finding.part) == ("warning", "applications.app.hosts")
    assert finding.what.startswith(f"{NOWHERE} has no address")


def test_names_that_dns_knows_are_right() -> None:
    app = {**APP, "hosts": ["localhost", "a.example", "b.example", "c.example", "d.example"]}
    (finding,) = looked_up(simple(applications={"app": app}))
    assert finding.level == "ok"
    assert finding.what.startswith("a.example, b.example, c.example and 1 more: DNS has")


def test_the_host_of_a_url_is_looked_up_as_well() -> None:
    app = {**APP, "hosts": ["*"], "url": f"http://{NOWHERE}/"}
    levels = [each.level for each in looked_up(simple(applications={"app": app}))]
    assert levels == ["warning"]


def test_names_of_the_loopback_and_addresses_are_not_looked_up() -> None:
    hosts = ["localhost", "app.localhost", "10.1.2.3", "[2001:db8::1]"]
    assert list(looked_up(simple(applications={"app": {**APP, "hosts": hosts}}))) == []


def test_of_very_many_hosts_the_rest_is_not_looked_at() -> None:
    hosts = ["localhost", *(f"{number}.app.invalid" for number in range(70))]
    warned, left = looked_up(simple(applications={"app": {**APP, "hosts": hosts}}))
    assert (warned.level, left.level) == ("warning", "skipped")
    assert "the other 6 hosts" in left.what


@pytest.mark.parametrize(
    ("gateway", "what"),
    [
        ({"listen": "127.0.0.1:8081"}, "leads to port 8080, and gateway.listen is 127.0.0.1:8081"),
        ({"url": "http://localhost"}, "leads to port 80, and gateway.listen is 127.0.0.1:8080"),
        (
            {
                "url": "https://localhost",
                "tls": {"certificate": "c", "key": "k"},
                "listen": "127.0.0.1:8443",
            },
            "leads to port 443",
        ),
    ],
)
def test_a_url_that_leads_to_another_port_than_envoy_s_is_warned_of(
    gateway: dict[str, Any], what: str
) -> None:
    (finding,) = linted(gateway)
    assert (finding.level, finding.part) == ("warning", "gateway.url")
    assert what in finding.what


def test_a_url_for_other_machines_needs_a_listener_that_they_reach() -> None:
    app = {**APP, "hosts": ["app.example"], "url": "http://app.example:8080/"}
    (finding,) = linted({}, applications={"app": app})
    assert (finding.level, finding.part) == ("warning", "applications.app.url")
    assert "is on loopback" in finding.what
    assert linted({"listen": "0.0.0.0:8080"}, applications={"app": app}) == []


def test_a_url_of_another_scheme_than_the_gateway_s_is_warned_of() -> None:
    app = {**APP, "hosts": ["app.example"], "url": "http://app.example/"}
    tls = {"certificate": "c", "key": "k"}
    made = {"url": "https://app.example", "tls": tls, "listen": "0.0.0.0:443"}
    (finding,) = linted(made, applications={"app": app})
    assert finding.part == "applications.app.url" and "speaks TLS" in finding.what


@pytest.mark.parametrize(
    "gateway",
    [
        {},
        {"listen": "127.0.0.1:0"},
        {"listen": "0.0.0.0:8443"},
        {"listen": "127.0.0.1:9000", "trusted_hops": 1},
        # lint.py warns of it
        {"url": "https://localhost", "listen": "127.0.0.1:9000"},
    ],
)
def test_what_may_be_meant_is_left_alone(gateway: dict[str, Any]) -> None:
    assert linted(gateway, applications={"app": APP, "open": {**OPEN, "path_prefix": "/o/"}}) == []
