"""Settings of one application."""

import pytest


@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        ({"provider": None}, ": applications.app: provider is missing"),
        ({"hosts": "localhost"}, ": applications.app.hosts: input should be a valid array"),
        ({"hosts": []}, ": applications.app.hosts: "),
        ({"hosts": ["localhost:80"]}, "is not a host name in lower case without a port"),
        ({"hosts": ["a..b"]}, "'a..b' is not a host name in lower case without a port"),
        ({"hosts": ["127.1"]}, "'127.1' is not a host name in lower case without a port"),
        ({"hosts": ["[0:0::1]"]}, "'[0:0::1]' is an address that clients write as [::1]"),
        ({"hosts": ["[:::]"]}, "'[:::]' is no IPv6 address in brackets"),
        ({"upstream": "localhost:9600"}, "it does not begin with https:// or http://"),
        ({"upstream": "127.0.0.1:9600"}, "upstream is an address"),
        ({"upstream": "ftp://127.0.0.1"}, "upstream is an address"),
        ({"upstream": "http://127.0.0.1:x"}, ": applications.app: "),
        ({"path_prefix": "/a"}, "path_prefix begins and ends with /"),
        ({"path_prefix": "/a/../"}, "path_prefix begins and ends with /"),
        (
            {"path_prefix": "/wiki/", "url": "http://localhost:8080/"},
            ": applications.app: url has the path '/', and path_prefix is /wiki/; they are the same",
        ),
        ({"url": "http://localhost:8080/sso/"}, "url has the path '/sso/', and path_prefix is /;"),
        ({"url": "http://localhost:8080"}, "url has the path '', and path_prefix is /; they are"),
        ({"url": "http://localhost:8080//"}, "url has the path '//', and path_prefix is /; they"),
        (
            {"path_prefix": "/wiki/", "url": "http://localhost:8080/sso/wiki/"},
            "url has the path '/sso/wiki/', and path_prefix is /wiki/; they are the same",
        ),
        (
            {"exclude": True, "provider": None, "url": "http://localhost:8080/x/"},
            "url has the path '/x/', and path_prefix is /; they are the same",
        ),
        ({"public_paths": ["public"]}, "is not a plain path"),
        ({"public_paths": ["/a/../b"]}, "is not a plain path"),
        (
            {"path_prefix": "/wiki/", "public_paths": ["/other/"]},
            "'/other/' is not a plain path below path_prefix /wiki/",
        ),
        ({"public_paths": ["/oauth2/x"]}, "is where the processor's own endpoints are"),
        ({"public_paths": ["/oauth2"]}, "is where the processor's own endpoints are"),
        ({"public_paths": ["/oauth2/"]}, "is where the processor's own endpoints are"),
        ({"upstream": "http://127.0.0.1:0"}, "upstream is an address"),
        ({"upstream": "http://a b"}, "upstream is an address"),
        ({"url": "http://localhost:8080/?"}, "url is an address"),
        (
            {"public_pahts": ["/a"]},
            ": applications.app.public_pahts: there is no such key; did you mean public_paths?",
        ),
        ({"exclude": "yes"}, ": applications.app.exclude: input should be a valid boolean"),
        (
            {"exclude": True, "provider": None, "forward_access_token": True},
            "exclude: true goes with none of provider, public_paths, forward_access_token",
        ),
        (
            {"preflight": "refuse"},
            ": applications.app.preflight: input should be 'decide' or 'pass'",
        ),
        (
            {"preflight": "pass", "cors": {"origins": ["https://a.test"]}},
            ": preflight: pass lets the application answer preflights, and with cors Envoy",
        ),
        (
            {"exclude": True, "provider": None, "cors": {"origins": ["https://a.test"]}},
            "cors, preflight: pass: Envoy passes requests and responses on as they are",
        ),
        (
            {"exclude": True, "provider": None, "preflight": "pass"},
            "cors, preflight: pass: Envoy passes requests and responses on as they are",
        ),
        ({"csrf": "none"}, ": applications.app.csrf: input should be 'websockets', 'same_origin'"),
        (
            {"exclude": True, "provider": None, "csrf": "same_origin"},
            "exclude: true goes with none of csrf: same_origin, allowed_origins, cache_control: no-st",
        ),
        (
            {"csrf": False, "allowed_origins": ["https://a.test"]},
            ": applications.app: allowed_origins: csrf: off allows every origin",
        ),
        ({"cache_control": "private"}, ".cache_control: input should be 'no-cache', 'no-store'"),
        (
            {"exclude": True, "provider": None, "cache_control": "no-store"},
            "exclude: true goes with none of csrf: same_origin, allowed_origins, cache_control",
        ),
        ({"allowed_origins": ["https://A.test"]}, "an origin is scheme://host or scheme://host:po"),
        ({"allowed_origins": ["https://a.test/"]}, ".allowed_origins[0]: an origin is scheme://"),
        ({"allowed_origins": ["https://a.test:99999"]}, ".allowed_origins[0]: an origin is scheme"),
        ({"allowed_origins": ["*"]}, ".allowed_origins[0]: an origin is scheme://host"),
        ({"allowed_origins": ["null"]}, ".allowed_origins[0]: an origin is scheme://host"),
    ],
)
@pytest.mark.attack("HDR-16")
def test_a_wrong_application_is_explained_in_one_line(fault, change, explanation):
    assert explanation in fault({"applications": {"app": change}})


@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        (
            {"exclude": True, "provider": None, "stream_lifetime": "1h"},
            ": exclude: true has no sessions, so none of session, stream_lifetime and end_streams can go",
        ),
        (
            {"exclude": True, "provider": None, "end_streams": ["websocket"]},
            ": exclude: true has no sessions, so none of session, stream_lifetime and end_streams can go",
        ),
        (
            {"stream_lifetime": 0},
            ".stream_lifetime: input should be greater than or equal to 1",
        ),
        (
            {"end_streams": ["sockets"]},
            ".end_streams[0]: input should be 'websocket', 'event_stream' or 'grpc'",
        ),
        (
            {"end_streams": ["websocket"], "upstream_http2": True},
            ": end_streams: a WebSocket needs HTTP/1.1 to the application; leave out websocket or "
            "upstream_http2",
        ),
    ],
)
def test_wrong_settings_of_streams_are_explained_in_one_line(fault, change, explanation):
    assert f": applications.app{explanation}" in fault({"applications": {"app": change}})


def test_an_application_may_be_any_host_or_an_ipv6_address(read):
    hosts = ["*", "[::1]", "wiki.example", "127.0.0.1"]
    assert read({"applications": {"app": {"hosts": hosts}}}).applications["app"].hosts == tuple(
        hosts
    )


def test_a_public_path_may_only_begin_like_the_processor_s_endpoints(read):
    paths = ["/oauth2x", "/oauth2-docs/"]
    settings = read({"applications": {"app": {"public_paths": paths}}})
    assert list(settings.applications["app"].public_paths) == paths
