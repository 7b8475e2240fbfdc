"""A login at a real Keycloak is one trace with Keycloak's spans, at an OTLP receiver.

Its services are envoy, extproc, keycloak, and app on the page.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from harness.keycloak import Keycloak
from harness.traced import Receiver, traced

from extproc.traces import Span

WAY = ("keycloak", "envoy", "extproc", "extproc", "envoy", "envoy")


def up(span: Span, by_id: dict[str, Span]) -> Iterator[Span]:
    """A span and its ancestors."""
    yield span
    while (parent := by_id.get(span.parent_id)) is not None:
        span = parent
        yield span


def ways_to(spans: tuple[Span, ...]) -> list[tuple[Span, ...]]:
    """The path from each request that Keycloak received up to the root."""
    ways = [
        tuple(up(span, {span.span_id: span for span in spans}))
        for span in spans
        if span.service == "keycloak"
    ]
    return [way for way in ways if len(way) == 1 or way[1].service != "keycloak"]


def calls(ways: list[tuple[Span, ...]]) -> set[str]:
    """The processor's requests to Keycloak."""
    return {way[2].name.rpartition("/")[2] for way in ways if len(way) > 2}


def test_a_login_at_keycloak_is_one_tree_with_keycloak_s_own_spans(
    keycloak: Keycloak, tmp_path: Path
) -> None:
    with Receiver(tmp_path, keycloak.otlp_port) as receiver:
        to = {"tracing": {"endpoint": receiver.url, "sample": 1}}
        with traced(keycloak, to, f"{receiver.url}/v1/traces") as stack, stack.user() as user:
            user.go(stack.url("/private"))
            page = next(
                hop.response
                for hop in user.hops
                if hop.url == stack.url("/private") and hop.status == 200
            )
            callback = next(hop for hop in user.hops if "/oauth2/callback?" in hop.url)
            ways = ways_to(
                receiver.spans(
                    callback.response.headers["x-trace-id"],
                    lambda s: {"token", "userinfo"} <= calls(ways_to(s)),
                )
            )
            # Keycloak's own span, Envoy's before it, the processor's call, the stream, Envoy's call
            # of the processor, the callback.
            assert {tuple(span.service for span in way) for way in ways} == {WAY}
            assert {(way[3].name.rpartition("/")[2], way[5].name) for way in ways} == {
                ("Process", "app:own")
            }
            shown = re.search(r"/traces/([0-9a-f]{32})", page.text)
            assert shown is not None
            receiver.spans(shown[1], lambda s: {span.service for span in s} == {"envoy", "app"})
