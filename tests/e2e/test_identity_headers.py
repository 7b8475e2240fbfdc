"""An application reads its users by names of its own, whoever decides: the processor or Envoy."""

from collections.abc import Iterator

import pytest
from harness.fake_provider import FakeProvider
from harness.gateway import Stack

OURS = (
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-preferred-username",
    "x-forwarded-groups",
    "x-team",
)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    def settings(stack: Stack) -> dict[str, object]:
        identity = {
            "preset": "oauth2-proxy",
            "headers": {
                "x-team": "team",
                "x-forwarded-groups": None,
                "x-forwarded-preferred-username": {
                    "claim": "preferred_username",
                    "encoding": "raw",
                },
            },
        }
        return {"applications": {"app": {"identity": identity}}}

    with Stack(FakeProvider(), settings=settings) as stack:
        yield stack


@pytest.mark.attack("HDR-02")
def test_the_processor_and_envoy_write_the_same_names(stack: Stack) -> None:
    stack.provider.claims.update(team="Zoë, A", preferred_username="Zoë", groups=["staff"])
    with stack.user() as user:
        by_processor = user.go(stack.url("/private"))
        by_envoy = user.navigate(stack.url("/again"))
        for page in (by_processor, by_envoy):
            sent = page.json()["headers"]
            assert [value for name, value in sent if name in OURS] == [
                stack.provider.user,
                "alice@example.com",
                "ZoÃ«",
                "Zo%C3%AB%2C A",
            ]
            assert not [name for name, _ in sent if name.startswith("x-auth-")]
