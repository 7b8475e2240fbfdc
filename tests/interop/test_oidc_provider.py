"""npm oidc-provider, a certified provider, behind the same Envoy with one worker."""

from typing import Any

import pytest
from harness.downloads import found
from harness.gateway import Stack
from harness.journey import whole_journey
from harness.oidc_provider import OidcProvider
from harness.redis import Servers

GROUPS = {"admins", "dev"}


@pytest.mark.parametrize("client", ["gateway", "gateway-post", "gateway-public"])
def test_signs_in_and_out_with_every_client_authentication(client: str) -> None:
    with Stack(OidcProvider(client)) as stack:
        whole_journey(stack, GROUPS)


def test_claims_that_only_userinfo_has_reach_the_application() -> None:
    with Stack(OidcProvider(ID_TOKEN_CLAIMS="0")) as stack:
        whole_journey(stack, GROUPS)


def test_signs_in_and_out_over_tls() -> None:
    with Stack(OidcProvider(), tls=True) as stack:
        whole_journey(stack, GROUPS)


def test_signs_in_and_out_at_a_provider_that_is_not_behind_this_envoy() -> None:
    with Stack(OidcProvider(direct=True)) as stack, stack.user() as user:
        assert user.go(stack.url("/private")).json()["target"] == "/private"


@pytest.mark.parametrize(
    ("kind", "tls"),
    [("sqlite", True), ("redis", False), ("cookie, sqlite", False), ("cookie, redis", True)],
)
def test_a_logout_at_the_provider_itself_ends_the_session_here(
    kind: str, tls: bool, redis_servers: Servers
) -> None:
    def settings(stack: Stack) -> dict[str, Any]:
        redis = {
            "kind": "redis",
            "servers": [redis_servers.redis.address],
            "key_prefix": f"{stack.port}:",
        }
        over = redis if "redis" in kind else {"path": str(stack.directory / "over.sqlite3")}
        cookie = {"kind": "cookie", "path": None, "tombstones": over}
        return {"store": {"sqlite": {}, "redis": {"path": None, **redis}}.get(kind, cookie)}

    with (
        Stack(OidcProvider(), settings=settings, tls=tls) as stack,
        stack.user() as user,
        stack.user() as other,
    ):
        for browser in (user, other):
            assert browser.go(stack.url("/private")).status_code == 200
        user.go(f"{stack.place.origin}/session/end")
        (line,) = stack.access_log(lambda line: line["path"] == "/oauth2/backchannel-logout")
        assert (line["status"], line["route"], line["reason"]) == (
            200,
            "app:backchannel-logout",
            "backchannel_logout",
        )
        # By sid: the other browser has another session.
        for browser, status in ((user, 303), (other, 200)):
            for cookie in browser.cookies.named(
                "__Host-extproc-assertion-"
            ) + browser.cookies.named("extproc-assertion-"):
                browser.cookies.drop(cookie.name)
            assert browser.navigate(stack.url("/private")).status_code == status


def test_signs_in_and_out_on_the_oldest_envoy() -> None:
    with Stack(OidcProvider(), envoy=found("EXTPROC_ENVOY_OLDEST", "the oldest Envoy")) as stack:
        whole_journey(stack, GROUPS)
        (line,) = stack.access_log(lambda line: line["path"] == "/oauth2/backchannel-logout")
        # The provider notifies every client, also the one that began the logout.
        assert line["status"] == 200


def test_calls_the_provider_through_the_same_envoy() -> None:
    with Stack(OidcProvider()) as stack, stack.user() as user:
        user.go(stack.url("/private"))
        for path in ("/.well-known/openid-configuration", "/jwks", "/token", "/me"):
            (line,) = stack.access_log(lambda line, path=path: line["path"] == path)
            assert (line["route"], line["status"]) == ("idp", 200)
