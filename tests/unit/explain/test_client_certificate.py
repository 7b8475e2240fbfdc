"""What a route asks of the client's certificate."""

from collections.abc import Sequence

import pytest
from harness.ruled import certified

from extproc.core.http import Request
from extproc.envoyconfig.snapshot import generated
from extproc.explain.client_certificate import Certificate, CertificateDemand
from extproc.explain.route import choose

SANS = ["a-b.example", "spiffe://c/x,y", "a@b.example", "10.0.0.1"]
SUBJECTS = [r"CN=x\,y,O=Org", "CN=z"]
LISTENER = generated(
    certified(
        {"name": "sans", "paths": ["/sans/"], "client_certificate": {"sans": SANS}},
        {"name": "subjects", "paths": ["/subjects/"], "client_certificate": {"subjects": SUBJECTS}},
        {
            "name": "both",
            "paths": ["/both/"],
            "client_certificate": {"sans": SANS, "subjects": SUBJECTS},
        },
    )
).listeners[0]


def demand(path: str) -> CertificateDemand | None:
    route = choose(LISTENER, Request("app", True, "GET", path, "localhost"))
    assert route is not None
    return route.certificate


def test_it_is_read_from_the_routes_as_it_stands_in_the_settings() -> None:
    sans, subjects = tuple(SANS), tuple(SUBJECTS)
    assert demand("/sans/") == CertificateDemand(None, sans)
    assert demand("/subjects/") == CertificateDemand(subjects, None)
    assert demand("/both/") == CertificateDemand(subjects, sans)
    assert demand("/") is None


@pytest.mark.parametrize(
    ("path", "shown", "missing"),
    [
        ("/sans/", None, ["sans"]),
        ("/sans/", Certificate("CN=z"), ["sans"]),
        ("/sans/", Certificate("", ("x", "a-b.example")), []),
        ("/subjects/", None, ["subjects"]),
        ("/subjects/", Certificate("CN=z"), []),
        ("/subjects/", Certificate("", ("CN=z",)), ["subjects"]),
        ("/both/", None, ["subjects", "sans"]),
        ("/both/", Certificate("CN=z"), ["sans"]),
        ("/both/", Certificate("CN=y", ("10.0.0.1",)), ["subjects"]),
        ("/both/", Certificate("CN=z", ("10.0.0.1",)), []),
    ],
)
def test_of_each_key_one_value_has_to_hold(
    path: str, shown: Certificate | None, missing: Sequence[str]
) -> None:
    asked = demand(path)
    assert asked is not None
    assert [key for key, _ in asked.missing(shown)] == missing
