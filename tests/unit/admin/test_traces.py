"""The trace pages, as HTML and as JSON, and the spans that other programs send."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest
from harness import spans
from starlette.testclient import TestClient

from extproc.admin.app import application
from extproc.admin.traces import BODY
from extproc.traces import Link, TraceStore

PROTOBUF = {"content-type": "application/x-protobuf"}
EVIL = "<script>alert(1)</script>&'\""


async def nothing_missing():
    return ()


def test_the_list_has_the_latest_first(client):
    page = client.get("/traces").text
    assert page.index("localhost:8080/reports") < page.index("localhost:8080/oauth2/callback")
    listed = client.get("/traces", headers={"accept": "application/json"}).json()["traces"]
    assert [trace["span_count"] for trace in listed] == [3, 14]
    assert client.get("/traces.json").json()["traces"] == listed


def test_a_trace_is_a_waterfall(client):
    page = client.get(f"/traces/{spans.TRACE}").text
    assert page.count("<summary") == page.count("<rect") == 14
    for shown in (
        "signed_in",
        "timeout",
        "ExternalProcessor.Process",
        "43.1 ms",
        "httpx.ReadTimeout",
        "provider",
    ):
        assert shown in page


def test_a_trace_as_json(client):
    for answer in (
        client.get(f"/traces/{spans.TRACE}.json"),
        client.get(f"/traces/{spans.TRACE}", headers={"accept": "application/json"}),
    ):
        trace = answer.json()
        assert trace["services"] == ["extproc", "gateway", "provider"]
        assert trace["spans"][0]["attributes"]["http.status_code"] == "303"


def test_a_trace_that_is_not_here_is_404(client):
    for path in (
        "/traces/" + "0" * 32,
        "/traces/zz",
        f"/traces/{spans.TRACE.upper()}0",
        "/traces/" + "0" * 32 + ".json",
    ):
        assert client.get(path).status_code == 404


class Markup(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]


def test_what_is_in_a_span_is_no_markup():
    store = TraceStore()
    store.add(
        (
            spans.span(
                1,
                0,
                EVIL,
                EVIL,
                0,
                1,
                status="error",
                status_text=EVIL,
                attributes=(
                    (EVIL, EVIL),
                    ("http.method", EVIL),
                    ("http.url", EVIL),
                    ("extproc.reason", EVIL),
                ),
            ),
        )
    )
    with TestClient(
        application(readiness=nothing_missing, jwks="{}", traces=store), base_url="http://localhost"
    ) as client:
        for path in ("/traces", f"/traces/{spans.TRACE}"):
            answer = client.get(path)
            markup = Markup()
            markup.feed(answer.text)
            assert "script" not in markup.tags
            assert "style" not in markup.attributes
            assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_spans_are_taken(client, store):
    answer = client.post(
        "/v1/traces",
        content=spans.export((spans.span(1, 0, "app", "new", 0, 1, trace_id="a" * 32),)),
        headers=PROTOBUF,
    )
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (
        200,
        b"",
        "application/x-protobuf",
    )
    assert store.trace("a" * 32) is not None


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content-type": "application/json"}, b"{}", 415),
        ({**PROTOBUF, "origin": "http://evil.example.com"}, b"", 403),
        ({**PROTOBUF, "sec-fetch-site": "same-origin"}, b"", 403),
        (PROTOBUF, b"\xff\xff", 400),
        ({**PROTOBUF, "content-encoding": "gzip"}, b"no", 400),
        (PROTOBUF, b"\0" * (BODY + 1), 413),
    ],
)
def test_what_is_no_export_is_refused(client, headers, body, status):
    assert client.post("/v1/traces", content=body, headers=headers).status_code == status


@pytest.mark.parametrize(
    ("pasted", "found"),
    [
        (spans.TRACE, True),
        (spans.TRACE.upper(), True),
        (f"  Trace id: {spans.TRACE}.\n", True),
        (" ".join(spans.TRACE[i : i + 4] for i in range(0, 32, 4)), True),
        ("-".join(spans.TRACE[i : i + 8] for i in range(0, 32, 8)), True),
        ("trace " + "\u2011".join((spans.TRACE[:16], spans.TRACE[16:])), True),
        (f"00-{spans.TRACE}-00f067aa0ba902b7-01", True),
        (spans.TRACE[:31], False),
        (spans.TRACE + "0", False),
        ("cafe", False),
    ],
)
def test_a_trace_is_found_by_its_id_however_it_is_pasted(client, pasted, found):
    answer = client.get("/traces", params={"id": pasted})
    assert answer.status_code == 303
    assert (answer.headers["location"] == f"/traces/{spans.TRACE}") is found
    assert client.get(answer.headers["location"]).status_code == (200 if found else 404)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", [3, 14]),
        ("reason=signed_in", [14]),
        ("reason=nothing", []),
        ("application=app", [14]),
        ("application=other", []),
        ("errors=1", [14]),
        ("errors=1&reason=signed_in&application=app", [14]),
    ],
)
def test_the_list_can_be_narrowed(client, query, shown):
    assert [
        trace["span_count"] for trace in client.get(f"/traces.json?{query}").json()["traces"]
    ] == shown
    page = client.get(f"/traces?{query}").text
    assert page.count("<th scope=row>") == len(shown)
    assert "<option value='signed_in'" in page


def test_what_is_chosen_is_no_markup(client):
    markup = Markup()
    markup.feed(client.get("/traces", params={"reason": EVIL, "application": EVIL}).text)
    assert "script" not in markup.tags


def test_a_login_is_shown_as_one_story(client, store):
    first = spans.span(1, 0, "envoy", "app", -900, -890, kind="server", trace_id="1" * 32)
    linked = replace(spans.callback()[2], links=(Link("1" * 32, first.span_id),))
    store.add((first, linked))
    for trace_id in (spans.TRACE, "1" * 32):
        page = client.get(f"/traces/{trace_id}").text
        assert "This login" in page
        assert page.index("Redirect to the provider") < page.index("Callback")
        steps = client.get(f"/traces/{trace_id}.json").json()["story"]
        assert [(step["role"], step["here"]) for step in steps] == [
            ("redirect", True),
            ("callback", True),
        ]
        assert steps[1]["reason"] == "signed_in"
    assert "This login" not in client.get("/traces/5bf92f3577b34da6a3ce929d0e0e4737").text
