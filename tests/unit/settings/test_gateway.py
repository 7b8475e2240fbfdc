"""Settings of Envoy."""

import pytest


@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        ({"tls": {"certificate": "a", "key": "b"}}, "tls is set, so url begins with https://"),
        ({"url": "http://localhost/x"}, "url has no path"),
        (
            {"redirect_listen": "0.0.0.0:80"},
            "redirect_listen needs a url that begins with https://",
        ),
        ({"listen": "unix:/x.sock"}, "listen is host:port"),
        ({"kept_headers": ["x-auth-sub"]}, "'x-auth-sub' is no header that Envoy removes from cli"),
        ({"kept_headers": ["X-Real-IP"]}, "'X-Real-IP' is no header that Envoy removes from clie"),
        ({"kept_headers": ["x-forwarded-for"]}, "kept_headers: 'x-forwarded-for' is no header"),
        ({"kept_headers": ["x-forwarded-"]}, "kept_headers: 'x-forwarded-' is no header that"),
        ({"url": "HTTPS://localhost"}, "url begins with https:// in lower case"),
        ({"url": "hTTp://localhost"}, "url begins with http:// in lower case"),
        ({"hsts": 0.5}, "hsts is a duration of whole seconds"),
        ({"hsts": "1500ms"}, "hsts is a duration of whole seconds"),
        ({"max_request_headers_kb": 8157}, ": gateway.max_request_headers_kb: "),
        ({"trusted_hops": 17}, ": gateway.trusted_hops: "),
        ({"rate_limit": {"exempt": ["10.0.0.1/8"]}}, ": gateway.rate_limit.exempt[0]: a network"),
    ],
)
def test_a_wrong_gateway_is_explained_in_one_line(fault, change, explanation):
    assert explanation in fault({"gateway": change})


def test_headers_that_envoy_removes_may_be_kept(read):
    kept = ["x-http-method-override", "x-forwarded-prefix", "forwarded"]
    assert read({"gateway": {"kept_headers": kept}}).gateway.kept_headers == tuple(kept)


def test_a_gateway_with_tls_has_an_https_url(read):
    tls = {"certificate": "a.pem", "key": "b.pem"}
    gateway = read({"gateway": {"url": "https://localhost", "tls": tls}}).gateway
    assert str(gateway.tls.key) == "b.pem"
