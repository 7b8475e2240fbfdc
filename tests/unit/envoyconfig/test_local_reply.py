"""Envoy's own answers."""

from typing import Any

from harness.envoy_config import simple, typed


def mappers(**changes: Any) -> list[dict[str, Any]]:
    (manager,) = typed(simple(**changes), "HttpConnectionManager")
    return list(manager["local_reply_config"]["mappers"])


def headers(mapper: dict[str, Any]) -> dict[str, str]:
    return {each["header"]["key"]: each["header"]["value"] for each in mapper["headers_to_add"]}


def test_no_cache_keeps_an_answer_and_each_has_its_request_id() -> None:
    for mapper in mappers():
        assert headers(mapper)["cache-control"] == "no-store"
        assert headers(mapper)["x-request-id"] == "%REQ(X-REQUEST-ID)%"


def test_only_an_answer_without_a_processor_asks_the_client_to_try_again() -> None:
    first, *others = mappers()
    assert headers(first)["retry-after"] == "2"
    assert not [other for other in others if "retry-after" in headers(other)]
    _, reason, decision = first["filter"]["and_filter"]["filters"]
    keys = [each["metadata_filter"]["matcher"]["path"][0]["key"] for each in (reason, decision)]
    assert keys == ["reason", "decision"]


def test_the_last_mapper_leaves_the_body_as_it_is() -> None:
    *replaced, last = mappers()
    assert all("body_format_override" in each for each in replaced)
    assert "body_format_override" not in last


def test_hsts_is_on_envoys_own_answers_too() -> None:
    tls = {"certificate": "c", "key": "k"}
    gateway = {"url": "https://localhost", "tls": tls, "hsts": 60}
    for mapper in mappers(gateway=gateway):
        assert headers(mapper)["strict-transport-security"] == "max-age=60"
    assert "strict-transport-security" not in headers(mappers()[0])
