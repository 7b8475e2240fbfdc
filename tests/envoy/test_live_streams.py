"""Which requests Envoy takes for live streams, which go to the processor beside an assertion."""

from collections.abc import Iterator

import pytest
from harness.envoy_parts import Asked
from harness.envoy_world import Gateway, World, application


@pytest.fixture(scope="module")
def gateway(world: World) -> Iterator[Gateway]:
    applications: dict[str, object] = {
        "main": application(world.upstream.url, end_streams=["event_stream"])
    }
    with world.gateway("live-streams", applications) as made:
        yield made


@pytest.mark.threat("ended-session")
@pytest.mark.parametrize(
    ("accept", "is_live"),
    [
        ("text/event-stream", True),
        ("*/*, TEXT/Event-Stream;q=0.5", True),
        # Bytes that are not UTF-8 hide nothing from Envoy 1.36 either.
        ("\xff, text/event-stream", True),
        ("text/event-stream;x=\xff", True),
        ("text/html\r\naccept: text/event-stream", True),
        ("text/html", False),
        ("text/event", False),
    ],
)
def test_what_accepts_an_event_stream_is_live(
    gateway: Gateway, asked: list[Asked], accept: str, is_live: bool
) -> None:
    cookie = gateway.cookie("main")
    reply = gateway.client.get("/x?stub=continue", f"accept: {accept}", cookie=cookie)
    assert reply.status == 200
    assert bool(asked) is is_live
