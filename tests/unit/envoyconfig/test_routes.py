"""The routes of an application, and what they tell the filters."""

from typing import Any

from harness.envoy_config import APP, cluster, routes, simple, typed

from extproc.contract import LIVE
from extproc.settings import Settings


def test_live_streams_have_routes_of_their_own_where_they_end_with_their_session() -> None:
    def made(**more: Any) -> Settings:
        return simple(
            applications={"app": {**APP, **more}, "other": {**APP, "path_prefix": "/other/"}}
        )

    ended = made(end_streams=["websocket", "event_stream", "grpc"])
    found = {name: route for name, route in routes(ended).items() if "route" in route}
    assert list(found) == [
        "other",
        "app:live:websocket",
        "app:live:event_stream",
        "app:live:grpc",
        "app",
    ]
    for name, route in found.items():
        config = route["typed_per_filter_config"]
        said = config["decide"]["overrides"]
        live = {"key": LIVE, "value": "1"} in said["grpc_initial_metadata"]
        assert live == (":live:" in name)
        assert ("assertion" in config) == (not live)  # so that the processor is asked
        assert said.get("processing_mode", {}).get("response_trailer_mode") == (
            "SEND" if live else None
        )
    plain, more = (processor_breaker(each)["max_requests"] for each in (made(), ended))
    assert more - plain == ended.limits.live


def processor_breaker(made: Settings) -> dict[str, Any]:
    (limit,) = cluster(made, "processor")["circuit_breakers"]["thresholds"]
    return dict(limit)


def test_our_own_endpoints_always_have_a_trace_and_other_requests_a_share() -> None:
    (manager,) = typed(simple(), "HttpConnectionManager")
    assert manager["tracing"]["random_sampling"] == {"value": 1.0}
    found = routes(simple())
    own = {name for name in found if name.endswith((":own", ":backchannel-logout"))}
    assert own == {name for name, route in found.items() if route.get("tracing")} != set()


def test_the_body_of_a_logout_by_the_provider_is_read_and_of_no_other_request() -> None:
    found = routes(simple())
    modes = {
        name: mode
        for name, route in found.items()
        if (
            mode := route["typed_per_filter_config"]
            .get("decide", {})
            .get("overrides", {})
            .get("processing_mode")
        )
    }
    head = {"request_header_mode": "SEND", "response_header_mode": "SKIP"}
    assert modes == {"app:backchannel-logout": {**head, "request_body_mode": "BUFFERED"}}
    assert found["app:backchannel-logout"]["match"] == {"path": "/oauth2/backchannel-logout"}
    assert list(found).index("app:backchannel-logout") < list(found).index("app:own")
    off = {
        "main": {
            "issuer": "https://idp.example",
            "client_id": "gateway",
            "backchannel_logout": False,
        }
    }
    assert "app:backchannel-logout" not in routes(simple(providers=off))
