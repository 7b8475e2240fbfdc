"""Types of values in the settings."""

import ipaddress

import pytest
from pydantic import TypeAdapter, ValidationError

from extproc.settings.types import Duration, Network, Workers, base_address, called_address


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(5, 5), ("500ms", 0.5), ("90s", 90), ("1.5m", 90), ("12h", 43_200), ("7d", 604_800)],
)
def test_a_duration_is_seconds_or_text_with_a_unit(text, seconds):
    assert TypeAdapter(Duration).validate_python(text) == seconds


@pytest.mark.parametrize("value", ["5", "5 minutes", "-1s", True, None, "366d", -1])
def test_anything_else_is_no_duration(value):
    with pytest.raises(ValidationError):
        TypeAdapter(Duration).validate_python(value)


def test_a_network_has_no_host_bits():
    adapter = TypeAdapter(Network)
    assert adapter.validate_python("10.0.0.0/8") == ipaddress.ip_network("10.0.0.0/8")
    for wrong in ("10.0.0.1/8", "example", 10):
        with pytest.raises(ValidationError, match="without host bits"):
            adapter.validate_python(wrong)


@pytest.mark.parametrize("value", [1, "auto", 256])
def test_workers_are_a_number_or_auto(value):
    assert TypeAdapter(Workers).validate_python(value) == value


@pytest.mark.parametrize("value", [0, 257, "many", True])
def test_anything_else_is_no_number_of_workers(fault, value):
    assert fault({"workers": value}) == ": workers: a number of processes, 1 to 256, or auto"


@pytest.mark.parametrize(
    "address",
    [
        "host",
        "ftp://host",
        "https://",
        "https://u@host",
        "https://host?q",
        "https://host#f",
        "https://host?",
        "https://host#",
        "https://host/?",
        "https://host:0",
        "https://host:99999",
        "https://ho st",
        "http://a b",
        "https://host ",
        " https://host",
        "https://ho\tst",
        "https://host\n",
        "https://host\\",
        "https://host\\path",
        "https:\\\\host",
        "https://host:٨٠",
        "https://[a]",
        "https://[1]",
        "https://a..b",
        "https://999.1.1.1",
    ],
)
def test_a_base_address_is_scheme_and_host(address):
    with pytest.raises(ValueError, match="url is an address such as https://host"):
        base_address(address, "url", path=True)


@pytest.mark.parametrize("address", ["HTTPS://host", "Http://host/x"])
def test_the_scheme_of_an_address_is_in_lower_case(address):
    """Envoy's routes, cookies and origins are made by comparing it with https://."""
    for check in (base_address, called_address):
        with pytest.raises(ValueError, match=r"issuer .*in lower case"):
            check(address, "issuer", **({"path": True} if check is base_address else {}))


def test_a_base_address_has_a_path_only_where_one_is_allowed():
    assert base_address("https://host/x", "url", path=True) == "https://host/x"
    assert base_address("https://host/", "url") == "https://host/"
    with pytest.raises(ValueError, match="url has no path"):
        base_address("https://host/x", "url")


def test_a_called_address_is_one_that_an_http_client_can_call():
    assert called_address("https://host:8443/x", "issuer") == "https://host:8443/x"
    with pytest.raises(
        ValueError, match=r"^issuer is an address such as https://host/path.* has a blank"
    ):
        called_address("https://host/a b", "issuer")
