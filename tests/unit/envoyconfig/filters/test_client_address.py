"""Which listeners understand addresses with a port."""

import pytest
from harness.envoy_config import simple, typed

from extproc.envoyconfig.filters.client_address import client_address

HTTPS = {
    "url": "https://localhost:8443",
    "tls": {"certificate": "cert.pem", "key": "key.pem"},
    "redirect_listen": "0.0.0.0:8081",
}


def test_no_header_counts_without_a_proxy_in_front() -> None:
    assert client_address(simple()) == []


@pytest.mark.parametrize("hops", [1, 16])
def test_every_listener_behind_a_proxy_understands_addresses_with_a_port(hops: int) -> None:
    made = simple(gateway={**HTTPS, "trusted_hops": hops})
    for manager in typed(made, "HttpConnectionManager"):
        first = manager["early_header_mutation_extensions"][0]
        assert first["name"] == "client_address", manager["stat_prefix"]
        (mutation,) = first["typed_config"]["mutations"]
        assert mutation["append"]["header"]["key"] == "x-forwarded-for"
        assert mutation["append"]["append_action"] == "OVERWRITE_IF_EXISTS"
        assert f"{{{hops - 1}}}" in mutation["append"]["header"]["value"]
