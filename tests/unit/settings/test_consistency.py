"""Rules that span several settings."""

import pytest

TLS = dict.fromkeys(("ca", "certificate", "key", "envoy_certificate", "envoy_key"), "x.pem")
EXCLUDED = {"hosts": ["localhost"], "upstream": "http://x", "exclude": True}


@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        (
            {"workers": 2, "admin": "127.0.0.1:9501"},
            "admin: 127.0.0.1:9501 is the address of worker 2 of workers: 2",
        ),
        (
            {"workers": 2, "gateway": {"listen": "0.0.0.0:9501"}},
            "gateway.listen: 0.0.0.0:9501 is the address of worker 2",
        ),
        (
            {"workers": 3, "gateway": {"admin": "localhost:9502"}},
            "gateway.admin: localhost:9502 is the address of worker 3",
        ),
        (
            {"admin": "127.0.0.1:9500"},
            "admin: 127.0.0.1:9500 is the address of listen, too; choose another port for admin "
            "or listen",
        ),
        (
            {"gateway": {"admin": "localhost:8080"}},
            "gateway.admin: localhost:8080 is the address of gateway.listen, too",
        ),
        (
            {"admin": "127.0.0.1:8080"},
            "gateway.listen: 127.0.0.1:8080 is the address of admin, too; choose another port for "
            "gateway.listen or admin",
        ),
        (
            {
                "gateway": {
                    "url": "https://localhost",
                    "redirect_listen": "0.0.0.0:9901",
                    "admin": "127.0.0.1:9901",
                    "processors": ["192.0.2.1:9500"],
                }
            },
            "gateway.admin: 127.0.0.1:9901 is the address of gateway.redirect_listen, too",
        ),
        (
            {"admin": "127.0.0.1:9500", "gateway": {"processors": ["192.0.2.1:9500"]}},
            "admin: 127.0.0.1:9500 is the address of listen, too",
        ),
        (
            {"listen": "unix:/run/x.sock", "gateway": {"admin": "unix:/run//x.sock"}},
            "gateway.admin: unix:/run//x.sock is the address of listen, too; choose another path",
        ),
        (
            {"workers": 2, "gateway": {"processors": ["127.0.0.1:9500"]}},
            "gateway.processors lists 1 of the 2 addresses of workers",
        ),
    ],
)
def test_two_listeners_at_one_address_are_a_fault(fault, change, explanation):
    assert explanation in fault(change)


def test_envoy_may_have_a_worker_s_port_on_another_machine(read):
    gateway = {"listen": "0.0.0.0:9500", "processors": ["127.0.0.1:9500"]}
    assert read({"gateway": gateway}).gateway.listen.port == 9500


@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        (
            {"listen": "0.0.0.0:9500"},
            "listen: 0.0.0.0:9500 is not on loopback, and callers there are not authenticated; "
            "set listen_tls",
        ),
        (
            {"admin": "extproc:9490", "allow_plaintext": ["listen"]},
            "admin: extproc:9490 is not on loopback",
        ),
        ({"gateway": {"admin": "[::]:9901"}}, "gateway.admin: [::]:9901 is not on loopback"),
        (
            {"gateway": {"keys": ["10.0.0.1:9490"]}},
            "gateway.keys: 10.0.0.1:9490 is not on loopback",
        ),
        (
            {"listen": "unix:/x.sock", "listen_tls": TLS},
            "listen_tls: listen is a unix socket; listen_mode determines who may open it",
        ),
    ],
)
def test_plain_tcp_off_loopback_is_a_fault(fault, change, explanation):
    assert explanation in fault(change)


@pytest.mark.parametrize(
    "change",
    [
        {"listen": "0.0.0.0:9500", "allow_plaintext": ["listen"]},
        {"listen": "0.0.0.0:9500", "listen_tls": TLS},
        {"listen": "unix:/x.sock"},
        {"admin": "extproc:9490", "allow_plaintext": ["admin"]},
    ],
    ids=["allowed", "mutual TLS", "a unix socket", "the admin allowed"],
)
def test_plain_tcp_off_loopback_is_possible_where_it_is_allowed_or_not_needed(read, change):
    assert str(read(change).listen) == change.get("listen", "127.0.0.1:9500")


@pytest.mark.parametrize(
    ("applications", "explanation"),
    [
        (
            {"app": {"provider": "other"}},
            ": applications.app.provider: there is no provider 'other'; there are: main",
        ),
        (
            {"extproc-assertion-a": {**EXCLUDED, "hosts": ["a"]}},
            "looks like one of the processor's cookies",
        ),
        ({"app": {"hosts": ["other.example"]}}, "which is not among its hosts"),
        ({"two": EXCLUDED}, "app has the host localhost with path_prefix / already"),
        (
            {"two": {**EXCLUDED, "path_prefix": "/oauth2/x/"}},
            "lies among the endpoints of app",
        ),
        (
            {"two": {**EXCLUDED, "hosts": ["*"], "path_prefix": "/oauth2/x/"}},
            "lies among the endpoints of app",
        ),
    ],
)
def test_applications_that_do_not_fit_the_rest_are_a_fault(fault, applications, explanation):
    assert explanation in fault({"applications": applications})


@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        (
            {"workers": 2, "store": {"kind": "cookie"}},
            "workers: with store.kind cookie, several workers need store.tombstones",
        ),
        (
            {"store": {"kind": "cookie"}},
            "providers.main.backchannel_logout: sessions are in cookies, so a provider can end "
            "them only where a store remembers it: set store.tombstones, or "
            "backchannel_logout: false",
        ),
        (
            {
                "session": {"per_user": 100},
                "store": {"kind": "cookie", "tombstones": {"path": "over"}},
            },
            "session.per_user: with store.kind cookie sessions cannot be counted",
        ),
        (
            {
                "session": {"per_user": 2},
                "store": {"kind": "cookie", "tombstones": {"path": "over"}},
            },
            "session.per_user: with store.kind cookie sessions cannot be counted; leave it out, "
            "or choose store.kind sqlite or redis",
        ),
        (
            {
                "gateway": {"max_request_headers_kb": 47},
                "store": {"kind": "cookie", "tombstones": {"path": "over"}},
            },
            "gateway.max_request_headers_kb: with store.kind cookie 48 or more are needed",
        ),
    ],
)
@pytest.mark.attack("LOGO-19")
def test_what_sessions_in_cookies_cannot_do_is_a_fault(fault, change, explanation):
    assert explanation in fault(change)
