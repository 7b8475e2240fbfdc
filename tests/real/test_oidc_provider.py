"""npm oidc-provider, a certified provider, behind the same Envoy with one worker."""

import pytest
from rig.downloads import found
from rig.journey import whole_journey
from rig.oidc_provider import OidcProvider
from rig.stack import Stack

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


def test_signs_in_and_out_on_the_oldest_envoy() -> None:
    with Stack(OidcProvider(), envoy=found("EXTPROC_ENVOY_OLDEST", "the oldest Envoy")) as stack:
        whole_journey(stack, GROUPS)


def test_calls_the_provider_through_the_same_envoy() -> None:
    with Stack(OidcProvider()) as stack, stack.user() as user:
        user.go(stack.url("/private"))
        for path in ("/.well-known/openid-configuration", "/jwks", "/token", "/me"):
            (line,) = stack.access_log(lambda line, path=path: line["path"] == path)
            assert (line["route"], line["status"]) == ("idp", 200)
