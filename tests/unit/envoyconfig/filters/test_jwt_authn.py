"""Which assertions Envoy verifies, and where it gets the keys."""

from harness.envoy_config import addresses, cluster, simple, typed
from harness.envoy_parts import settings

from extproc.envoyconfig import to_yaml


def test_an_application_that_wants_the_access_token_always_asks_the_processor() -> None:
    app = {"hosts": ["localhost"], "provider": "main", "upstream": "http://127.0.0.1:1"}
    api = {**app, "path_prefix": "/api/", "forward_access_token": True}
    (verified,) = typed(settings(applications={"app": app, "api": api}), "JwtAuthentication")
    assert (list(verified["providers"]), list(verified["requirement_map"])) == (["app"], ["app"])
    routes = typed(settings(applications={"app": app, "api": api}), "jwt_authn.v3.PerRouteConfig")
    assert {route["requirement_name"] for route in routes} == {"app"}
    assert typed(settings(applications={"api": api}), "JwtAuthentication") == []


def test_envoy_gets_the_keys_from_every_admin_ahead_of_their_end() -> None:
    keys = ["10.0.0.1:9490", "10.0.0.2:9490"]
    made = simple(
        gateway={"keys": keys}, identity={"keys_refresh": 20}, allow_plaintext=["gateway.keys"]
    )
    assert addresses(cluster(made, "keys")) == keys
    text = to_yaml(made)
    assert (
        "uri: http://10.0.0.1:9490/.well-known/jwks.json" in text and "cache_duration: 25s" in text
    )
    assert "local_jwks" not in text


def test_without_assertions_envoy_asks_for_no_keys() -> None:
    text = to_yaml(simple(identity={"assertion_lifetime": 0}))
    assert "jwks" not in text
