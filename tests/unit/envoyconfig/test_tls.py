"""TLS to applications and to the processor."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from harness.envoy_config import APP, cluster, simple

from extproc.envoyconfig.tls import is_ip, upstream_tls
from extproc.settings import Settings


def context(made: Settings, name: str = "application-app") -> dict[str, Any]:
    config = cluster(made, name)["transport_socket"]["typed_config"]
    return dict(config)


@pytest.mark.parametrize(
    ("upstream", "kind", "sni"),
    [("https://app.example", "DNS", "app.example"), ("https://10.0.0.1", "IP_ADDRESS", None)],
)
def test_the_name_of_an_upstream_is_verified(upstream: str, kind: str, sni: str | None) -> None:
    application = {**APP, "upstream": upstream, "upstream_ca_file": "ca.pem"}
    config = context(simple(applications={"app": application}))
    validation = config["common_tls_context"]["combined_validation_context"]
    (name,) = validation["default_validation_context"]["match_typed_subject_alt_names"]
    authorities = validation["validation_context_sds_secret_config"]
    assert authorities["name"] == "application-app-authorities"
    assert name == {"san_type": kind, "matcher": {"exact": urlsplit(upstream).hostname}}
    assert config.get("sni") == sni


def test_a_secret_has_a_file_of_its_own_and_its_directory_is_watched() -> None:
    application = {**APP, "upstream": "https://app.example"}
    made = simple(applications={"app": application}, gateway={"sds_directory": "/etc/sds"})
    validation = context(made)["common_tls_context"]["combined_validation_context"]
    source = validation["validation_context_sds_secret_config"]["sds_config"]["path_config_source"]
    assert source == {
        "path": "/etc/sds/application-app-authorities.yaml",
        "watched_directory": {"path": "/etc/sds"},
    }


def test_the_processor_is_verified_by_its_name_and_sees_a_certificate_of_envoy() -> None:
    files = dict.fromkeys(("ca", "certificate", "key", "envoy_certificate", "envoy_key"), "x.pem")
    made = simple(listen_tls=files)
    common = context(made, "processor")["common_tls_context"]
    assert common["tls_certificate_sds_secret_configs"][0]["name"] == "to-processor"
    validation = common["combined_validation_context"]
    assert validation["validation_context_sds_secret_config"]["name"] == "processor-authorities"
    (name,) = validation["default_validation_context"]["match_typed_subject_alt_names"]
    assert name["matcher"] == {"exact": "extproc"}


def test_the_protocol_is_negotiated_as_the_cluster_speaks_it() -> None:
    made, url = simple(), urlsplit("https://app.example")
    one, two = (bytes(upstream_tls(made, url, "x", http2=http2)) for http2 in (False, True))
    assert b"http/1.1" in one and b"http/1.1" not in two


def test_an_http_upstream_has_no_tls() -> None:
    assert "transport_socket" not in cluster(simple(), "application-app")


@pytest.mark.parametrize(("host", "ip"), [("::1", True), ("10.0.0.1", True), ("app", False)])
def test_addresses_are_distinguished_from_names(host: str, ip: bool) -> None:
    assert is_ip(host) is ip
