"""TLS to applications and to the processor."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from harness.envoy_config import APP, cluster, simple

from extproc.envoyconfig.tls import is_ip, upstream_tls


@pytest.mark.parametrize(
    ("upstream", "kind", "sni"),
    [("https://app.example", "DNS", "app.example"), ("https://10.0.0.1", "IP_ADDRESS", None)],
)
def test_the_name_of_an_upstream_is_verified(upstream: str, kind: str, sni: str | None) -> None:
    application = {**APP, "upstream": upstream, "upstream_ca_file": "ca.pem"}
    made = simple(applications={"app": application})
    config = cluster(made, "application-app")["transport_socket"]["typed_config"]
    validation = config["common_tls_context"]["validation_context"]
    (name,) = validation["match_typed_subject_alt_names"]
    assert validation["trusted_ca"] == {"filename": "ca.pem"}
    assert name == {"san_type": kind, "matcher": {"exact": urlsplit(upstream).hostname}}
    assert config.get("sni") == sni


def test_an_upstream_without_a_ca_file_has_the_authorities_of_the_system() -> None:
    application = {**APP, "upstream": "https://app.example"}
    made = simple(applications={"app": application})
    config = cluster(made, "application-app")["transport_socket"]["typed_config"]
    trusted = config["common_tls_context"]["validation_context"]["trusted_ca"]
    assert Path(trusted["filename"]).is_absolute()


def test_the_protocol_is_negotiated_as_the_cluster_speaks_it() -> None:
    url = urlsplit("https://app.example")
    one, two = (bytes(upstream_tls(url, None, http2=http2)) for http2 in (False, True))
    assert b"http/1.1" in one and b"http/1.1" not in two


def test_an_http_upstream_has_no_tls() -> None:
    assert "transport_socket" not in cluster(simple(), "application-app")


@pytest.mark.parametrize(("host", "ip"), [("::1", True), ("10.0.0.1", True), ("app", False)])
def test_addresses_are_distinguished_from_names(host: str, ip: bool) -> None:
    assert is_ip(host) is ip
