"""Settings of one OpenID Provider."""

import pytest


@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        ({"issuer": "http://idp.example"}, ": providers.main: issuer begins with https://"),
        ({"issuer": "https://u@idp.example"}, ": providers.main: issuer is an address"),
        ({"backchannel_url": "idp:8443"}, ": providers.main: backchannel_url is an address"),
        ({"client_id": 5}, ": providers.main.client_id: input should be a valid string"),
        (
            {"client_secret": None, "token_endpoint_auth_method": "client_secret_post"},
            "token_endpoint_auth_method client_secret_post needs client_secret",
        ),
        (
            {"token_endpoint_auth_method": "none"},
            "token_endpoint_auth_method none is a public client",
        ),
        ({"client_secret": ""}, "client_secret is empty; leave it out for a public client"),
        ({"client_secret_file": "x"}, "client_secret or client_secret_file, not both"),
        ({"scopes": ["email"]}, "scopes must contain openid"),
        ({"scopes": ["openid", "a b"]}, "scopes is a list"),
        ({"userinfo": "often"}, ": providers.main.userinfo: "),
        (
            {"metadata_url": "idp.example/x"},
            ": providers.main: metadata_url does not begin with https:// or http://; it is the "
            "whole address of a document",
        ),
        (
            {"metadata_url": "http://idp.example/x"},
            ": providers.main: metadata_url begins with https://",
        ),
        (
            {"metadata_url": "http://other/x", "backchannel_url": "http://idp"},
            ": providers.main: metadata_url begins with https://",
        ),
        ({"endpoint_hosts": ["https://idp.example"]}, "providers.main.endpoint_hosts"),
        ({"endpoint_hosts": "idp.example"}, "providers.main.endpoint_hosts"),
        ({"claims_at_refresh": "drop"}, ": providers.main.claims_at_refresh: "),
        ({"trust_email": "yes"}, ": providers.main.trust_email: "),
        ({"trusted_audiences": [""]}, "trusted_audiences is a list of audiences beside client_id"),
        ({"trusted_audiences": "x"}, ": providers.main.trusted_audiences: "),
    ],
)
def test_a_wrong_provider_is_explained_in_one_line(fault, change, explanation):
    assert explanation in fault({"providers": {"main": change}})


@pytest.mark.parametrize(
    ("change", "method"),
    [
        ({}, "client_secret_basic"),
        ({"client_secret": None}, "none"),
        ({"token_endpoint_auth_method": "client_secret_post"}, "client_secret_post"),
    ],
)
def test_a_client_authenticates_with_its_secret_if_it_has_one(read, change, method):
    assert read({"providers": {"main": change}}).providers["main"].auth_method == method


def test_http_is_possible_on_loopback(read):
    provider = {"main": {"issuer": "http://127.0.0.1:8080/realms/demo"}}
    assert read({"providers": provider}).providers["main"].issuer.startswith("http://")


@pytest.mark.parametrize(
    ("change", "url"),
    [
        ({}, "https://idp.example/.well-known/openid-configuration"),
        (
            {"issuer": "https://idp.example/"},
            "https://idp.example/.well-known/openid-configuration",
        ),
        (
            {"backchannel_url": "http://idp:8080/a/"},
            "http://idp:8080/a/.well-known/openid-configuration",
        ),
        ({"metadata_url": "https://idp.example/x?y"}, "https://idp.example/x?y"),
        ({"metadata_url": "http://127.0.0.1:1/x"}, "http://127.0.0.1:1/x"),
        (
            {"metadata_url": "http://idp:8080/x", "backchannel_url": "http://idp:8080/a"},
            "http://idp:8080/x",
        ),
    ],
)
def test_where_the_metadata_is(read, change, url):
    made = read({"providers": {"main": change}})
    assert made.providers["main"].discovery_url == url
    assert made.providers["main"].places(made.own_listeners).listeners == made.own_listeners


@pytest.mark.attack("KEYS-03")
@pytest.mark.parametrize(
    ("processor", "url"),
    [
        ("extproc:9500", "https://extproc:9500/token"),
        ("Extproc.example.:9500", "https://EXTPROC.example:9500/token"),
        ("10.0.0.2:9500", "https://10.0.0.2:9500/token"),
        ("[fd00::2]:9500", "https://[fd00:0::2]:9500/token"),
    ],
)
def test_no_provider_s_metadata_may_lead_to_a_processor_of_another_machine(read, processor, url):
    made = read({"gateway": {"processors": [processor]}})
    places = made.providers["main"].places(made.own_listeners)
    for browser in (True, False):
        fault = places.fault(url, browser=browser)
        assert fault == "leads to a listener of the processor, or to Envoy's admin"
    assert places.fault(url.replace("9500", "9443"), browser=False) is None
