"""The listeners: one reading of paths and headers, TLS, and the redirect to https."""

import json
from typing import Any

from harness.envoy_config import APP, simple, tree, typed

TLS = {"certificate": "cert.pem", "key": "key.pem"}
HTTPS = {"listen": "0.0.0.0:8443", "url": "https://localhost:8443", "tls": TLS}


def listeners(**gateway: Any) -> dict[str, Any]:
    made = tree(simple(gateway=gateway))
    return {each["name"]: each for each in made["static_resources"]["listeners"]}


def test_every_listener_reads_paths_and_headers_in_one_way() -> None:
    made = simple(gateway={**HTTPS, "redirect_listen": "0.0.0.0:8080"})
    managers = typed(made, "HttpConnectionManager")
    assert [each["stat_prefix"] for each in managers] == ["gateway", "redirect"]
    for manager in managers:
        assert manager["normalize_path"] and manager["merge_slashes"], manager["stat_prefix"]
        assert manager["use_remote_address"]
        options = manager["common_http_protocol_options"]
        assert options["headers_with_underscores_action"] == "REJECT_REQUEST"


def test_a_connection_that_says_nothing_is_closed_soon_and_an_idle_one_is_not_kept_for_long() -> (
    None
):
    plain, secure = listeners()["gateway"], listeners(**HTTPS)["gateway"]
    assert plain["listener_filters"][0]["name"] == "envoy.filters.listener.http_inspector"
    assert plain["listener_filters_timeout"] == "10s"
    assert secure["filter_chains"][0]["transport_socket_connect_timeout"] == "10s"
    for hops, idle in ((0, "75s"), (1, "900s")):
        (manager,) = typed(simple(gateway={"trusted_hops": hops}), "HttpConnectionManager")
        assert manager["common_http_protocol_options"]["idle_timeout"] == idle


def test_escaped_slashes_come_as_far_as_the_routes_which_refuse_them_with_an_id() -> None:
    (manager,) = typed(simple(), "HttpConnectionManager")
    assert manager["path_with_escaped_slashes_action"] == "KEEP_UNCHANGED"


def test_tls_is_1_2_or_later_and_http_has_none() -> None:
    (chain,) = listeners(**HTTPS)["gateway"]["filter_chains"]
    context = chain["transport_socket"]["typed_config"]["common_tls_context"]
    assert context["tls_params"] == {"tls_minimum_protocol_version": "TLSv1_2"}
    assert context["tls_certificate_sds_secret_configs"][0]["name"] == "gateway"
    (chain,) = listeners()["gateway"]["filter_chains"]
    assert "transport_socket" not in chain


def test_where_clients_are_asked_for_certificates_no_session_is_resumed_or_endless() -> None:
    asking = {**HTTPS, "tls": {**TLS, "client_ca_file": "ca.pem"}}
    for gateway, asks in ((HTTPS, False), (asking, True)):
        (chain,) = listeners(**gateway)["gateway"]["filter_chains"]
        config = chain["transport_socket"]["typed_config"]
        assert config["require_client_certificate"] is False
        assert ("disable_stateless_session_resumption" in config) is asks
        assert ("disable_stateful_session_resumption" in config) is asks
        authorities = config["common_tls_context"].get("validation_context_sds_secret_config")
        assert (authorities["name"] if authorities else None) == (
            "client-authorities" if asks else None
        )
        (manager,) = typed(simple(gateway=gateway), "HttpConnectionManager")
        duration = manager["common_http_protocol_options"].get("max_connection_duration")
        assert duration == ("3600s" if asks else None)


def test_the_redirect_leads_an_unlisted_host_to_the_url_of_the_gateway() -> None:
    made = simple(gateway={**HTTPS, "redirect_listen": "0.0.0.0:8080", "hsts": 60})
    gateway, redirect = typed(made, "HttpConnectionManager")
    hosts = {each["name"]: each for each in redirect["route_config"]["virtual_hosts"]}
    assert hosts[":canonical"]["domains"] == ["*"]
    trace, redirected, refused = hosts[":canonical"]["routes"]
    assert trace["name"] == ":no-trace" and refused["direct_response"]["status"] == 403
    assert redirected["redirect"] == {
        "https_redirect": True,
        "host_redirect": "localhost",
        "port_redirect": 8443,
    }
    assert hosts[":listed"]["domains"] == ["localhost"]
    assert "host_redirect" not in hosts[":listed"]["routes"][1]["redirect"]
    for host in hosts.values():
        assert all(route["name"].startswith(":") for route in host["routes"]), host["name"]
    sent = "strict-transport-security"
    assert sent in json.dumps(gateway["local_reply_config"])
    assert sent not in json.dumps(redirect), "RFC 6797 section 7.2: never over plain http"


def test_envoy_accepts_the_largest_bound_of_a_head() -> None:
    made = simple(gateway={"max_request_headers_kb": 8156})
    (manager,) = typed(made, "HttpConnectionManager")
    assert manager["max_request_headers_kb"] == 8192


def test_the_redirect_writes_an_ipv6_address_as_a_url_has_it() -> None:
    gateway = {**HTTPS, "url": "https://[::1]:8443", "redirect_listen": "0.0.0.0:8080"}
    made = simple(applications={"app": {**APP, "hosts": ["[::1]"]}}, gateway=gateway)
    _, redirect = typed(made, "HttpConnectionManager")
    (canonical, _) = redirect["route_config"]["virtual_hosts"]
    assert canonical["routes"][1]["redirect"]["host_redirect"] == "[::1]"


def test_the_scheme_of_a_request_is_the_gateway_s() -> None:
    made = simple(gateway={**HTTPS, "redirect_listen": "0.0.0.0:8080"})
    found = [each["scheme_header_transformation"] for each in typed(made, "HttpConnectionManager")]
    assert found == [{"scheme_to_overwrite": "https"}, {"scheme_to_overwrite": "http"}]


def test_an_application_on_every_host_makes_the_redirect_keep_the_host() -> None:
    every = {**APP, "hosts": ["*"], "url": "https://localhost:8443/"}
    gateway = {**HTTPS, "redirect_listen": "0.0.0.0:8080"}
    made = simple(applications={"app": every}, gateway=gateway)
    _, redirect = typed(made, "HttpConnectionManager")
    (host,) = redirect["route_config"]["virtual_hosts"]
    assert (host["name"], host["domains"]) == (":listed", ["*"])
