"""A real Keycloak behind the same Envoy with one worker."""

from harness.gateway import Stack
from harness.journey import whole_journey
from harness.keycloak import Keycloak

GROUPS = {"admins", "dev"}


def test_signs_in_and_out_through_the_same_envoy(keycloak: Keycloak) -> None:
    with Stack(keycloak) as stack:
        whole_journey(stack, GROUPS)
        calls = stack.access_log(
            lambda line: line["path"].endswith("/protocol/openid-connect/token")
        )
        assert {line["status"] for line in calls} == {200}


def test_signs_in_and_out_with_a_split_horizon(keycloak: Keycloak) -> None:
    """The browser goes through Envoy. The processor calls Keycloak at internal addresses."""
    with Stack(
        keycloak,
        settings={"providers": {"main": {"backchannel_url": f"{keycloak.upstream}/realms/demo"}}},
    ) as stack:
        whole_journey(stack, GROUPS)
        assert not [
            line
            for line in stack.access_log()
            if line["path"].endswith("/protocol/openid-connect/token")
        ]
