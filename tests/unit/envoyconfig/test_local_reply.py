"""Envoy's own answers."""

from typing import Any

import pytest
from harness.envoy_config import simple, typed

from extproc.pages.gateway import CONTENT_SECURITY_POLICY


def mappers(**changes: Any) -> list[dict[str, Any]]:
    (manager,) = typed(simple(**changes), "HttpConnectionManager")
    return list(manager["local_reply_config"]["mappers"])


def headers(mapper: dict[str, Any]) -> dict[str, str]:
    return {each["header"]["key"]: each["header"]["value"] for each in mapper["headers_to_add"]}


def body(mapper: dict[str, Any]) -> dict[str, Any]:
    return dict(mapper.get("body_format_override", {}))


def pages() -> list[dict[str, Any]]:
    return [
        each
        for each in mappers()
        if body(each).get("content_type", "") == "text/html; charset=utf-8"
    ]


def documents() -> list[dict[str, Any]]:
    return [each for each in mappers() if "json_format" in body(each)]


def test_no_cache_keeps_an_answer_and_each_has_its_request_id() -> None:
    for mapper in mappers():
        assert headers(mapper)["cache-control"] == "no-store"
        assert headers(mapper)["x-request-id"] == "%REQ(X-REQUEST-ID)%"


def test_redirects_and_refusals_of_the_processor_keep_their_bodies() -> None:
    success, refused, *others = mappers()
    assert success["filter"]["status_code_filter"]["comparison"]["op"] == "LE"
    reason, decision = (
        each["metadata_filter"] for each in refused["filter"]["and_filter"]["filters"]
    )
    assert reason["matcher"]["path"] == [{"key": "reason"}]
    assert reason["match_if_key_not_found"] is False
    assert decision["matcher"]["path"] == [{"key": "decision"}]
    assert decision["match_if_key_not_found"] is True
    assert not body(success) and not body(refused) and all(map(body, others))


def test_grpc_clients_get_no_markup() -> None:
    grpc = mappers()[2]
    assert grpc["filter"]["header_filter"]["header"]["name"] == "content-type"
    assert "<" not in body(grpc)["text_format_source"]["inline_string"]


def test_every_kind_of_error_has_a_page_and_then_a_document() -> None:
    rest = mappers()[3:]
    assert len(pages()) == len(documents()) == len(rest) / 2
    assert rest[0::2] == pages() and rest[1::2] == documents()
    for document in documents():
        assert body(document)["content_type"] == "application/problem+json"
        assert headers(document)["x-content-type-options"] == "nosniff"
        assert set(body(document)["json_format"]) == {
            "type",
            "title",
            "status",
            "detail",
            "request_id",
        }


@pytest.mark.threat("own-words")
def test_a_page_has_no_script_and_nothing_but_the_status_and_the_id_varies() -> None:
    for page in pages():
        template = body(page)["text_format_source"]["inline_string"]
        plain = template.replace("%%", "")
        varying = plain.split("%")[1::2]
        assert varying == ["RESPONSE_CODE", "REQ(X-REQUEST-ID)"]
        assert "<script" not in template and "http" not in template
        assert headers(page)["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert headers(page)["x-content-type-options"] == "nosniff"


def test_only_an_unavailable_part_asks_the_client_to_try_again() -> None:
    again = [each for each in mappers() if "retry-after" in headers(each)]
    titles = {each["title"] for each in (body(one).get("json_format", {}) for one in again) if each}
    assert titles == {"The application does not answer", "Signing in is not possible right now"}


def test_hsts_is_on_envoys_own_answers_too() -> None:
    tls = {"certificate": "c", "key": "k"}
    gateway = {"url": "https://localhost", "tls": tls, "hsts": 60}
    for mapper in mappers(gateway=gateway):
        assert headers(mapper)["strict-transport-security"] == "max-age=60"
    assert "strict-transport-security" not in headers(mappers()[0])
