"""Clients that Envoy refuses whoever their user is."""

from ipaddress import ip_address

import pytest
from harness.ruled import ALICE, certified, ruled

from extproc.explain.client_certificate import Certificate
from extproc.explain.outcome import Judge, User
from extproc.explain.peer import Peer
from extproc.explain.sample import SampleRequest

NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("path", "address", "expected"),
    [
        ("/hooks/x", "10.1.2.3", "allow"),
        ("/hooks/x", "::1", "allow"),
        ("/hooks/x", "11.1.2.3", 403),
        ("/inside/x", "10.1.2.3", "login"),
        ("/inside/x", "::1", 403),
    ],
)
def test_networks_are_compared_before_the_user(
    path: str, address: str, expected: str | int
) -> None:
    peer = Peer(ip_address(address))
    got = Judge(ruled(), NOW).outcome(SampleRequest("GET", path), None, peer)
    assert expected in (got.word, got.status) and not got.fault and not got.identity
    if expected == 403:
        assert got.why[0].startswith(f"rules.{got.rule}.networks does not hold (10.0.0.0/8")


def test_without_an_address_a_rule_with_networks_has_no_outcome() -> None:
    got = Judge(ruled(), NOW).outcome(SampleRequest("GET", "/hooks/x"))
    assert (got.word, got.status) == (None, None)
    assert got.fault == "the rule hooks has networks: give the test an address"


ASKED = {"subjects": ["CN=a"], "sans": ["a.example"]}
CERTIFIED = certified(
    *(
        {"name": login, "paths": [f"/{login}/"], "login": login, "client_certificate": ASKED}
        for login in ("required", "optional", "none")
    ),
    {
        "name": "inside",
        "paths": ["/inside/"],
        "networks": ["10.0.0.0/8"],
        "client_certificate": ASKED,
    },
)
SHOWN = Certificate("CN=a", ("b.example", "a.example"))


@pytest.mark.parametrize(
    ("path", "user", "expected"),
    [
        ("/required/", None, "login"),
        ("/required/", User(ALICE), "allow"),
        ("/optional/", None, "allow"),
        ("/none/", None, "allow"),
    ],
)
def test_certificates_are_compared_before_the_user(
    path: str, user: User | None, expected: str
) -> None:
    judge, sample = Judge(CERTIFIED, NOW), SampleRequest("GET", path)
    got = judge.outcome(sample, user, Peer(certificate=SHOWN))
    assert (got.word, got.fault) == (expected, "")
    for other in (None, Certificate("CN=a"), Certificate("CN=b", ("a.example",))):
        refused = judge.outcome(sample, user, Peer(certificate=other))
        assert (refused.status, refused.rule, refused.fault) == (403, path.strip("/"), "")
        assert refused.why[0].startswith(f"rules.{refused.rule}.client_certificate.")
        assert not refused.identity


def test_every_condition_of_a_client_is_named() -> None:
    outside = Peer(ip_address("192.0.2.1"))
    got = Judge(CERTIFIED, NOW).outcome(SampleRequest("GET", "/inside/"), None, outside)
    assert got.why == (
        "rules.inside.networks does not hold (10.0.0.0/8)",
        "rules.inside.client_certificate.subjects does not hold (CN=a)",
        "rules.inside.client_certificate.sans does not hold (a.example)",
    )
