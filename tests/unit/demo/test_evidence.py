"""What the demo's check can look at beside the browser."""

import dataclasses
import json

import httpx
import pytest
from harness.fake_provider import FakeProvider

from extproc.demo.evidence import is_logged, json_of, streams
from extproc.demo.layout import lay_out


@pytest.fixture
def layout(tmp_path):
    return lay_out(tmp_path, None)


def test_a_request_is_found_in_the_access_log_whatever_its_query_is(layout):
    assert not is_logged(layout, "POST", "/token")
    lines = ["no json", json.dumps({"method": "POST", "path": "/token?a=b"}), json.dumps({})]
    layout.access_log.write_text("\n".join(lines))
    assert is_logged(layout, "POST", "/token")
    assert not is_logged(layout, "GET", "/token") and not is_logged(layout, "POST", "/tok")


def test_the_streams_of_all_listeners_are_added_up(layout):
    envoy = FakeProvider(behind=False)
    envoy.start()
    try:
        port = int(envoy.url.rpartition(":")[2])
        stats = b"a.ext_proc.streams_started: 3\nb.ext_proc.streams_started: 4\n"
        envoy.answers["/stats"] = lambda asked: (200, {}, stats)
        assert streams(dataclasses.replace(layout, envoy_admin_port=port)) == 7
    finally:
        envoy.close()


@pytest.mark.parametrize(
    ("body", "document"), [('{"a": 1}', {"a": 1}), ("[1]", {}), ("<html>", {}), ("", {})]
)
def test_an_answer_without_a_json_object_is_an_empty_one(body, document):
    assert json_of(httpx.Response(200, text=body)) == document
