"""The trace pages, as HTML and as JSON, and that one bad trace hides no other."""

import threading
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import httpx
import pytest
import trio
from harness import spans
from harness.admin import served
from starlette.testclient import TestClient

from extproc.admin.app import application
from extproc.traces import Link, TraceStore
from extproc.traces.values import LazySpan

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
        application(readiness=nothing_missing, jwks="{}", traces=store),
        base_url="http://localhost",
        backend="trio",
    ) as client:
        for path in ("/traces", f"/traces/{spans.TRACE}"):
            answer = client.get(path)
            markup = Markup()
            markup.feed(answer.text)
            assert "script" not in markup.tags
            assert "style" not in markup.attributes
            assert "default-src 'none'" in answer.headers["content-security-policy"]


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


HOSTILE = (
    "http://localhost:[/oauth2/login",
    "http://[v1.a]/",
    "http://a:99999/",
    "http://[::1/x",
    "http://\u2100/",
    "://",
    "http://",
    "\x00",
)


@pytest.mark.threat("foreign-input")
@pytest.mark.parametrize("url", HOSTILE)
def test_whatever_a_client_calls_as_host_hides_no_trace(client, store, url):
    attributes = (
        ("http.method", "GET"),
        ("http.url", url),
        ("peer.address", "192.0.2.1"),
        ("user_agent", "curl"),
    )
    store.add(
        (
            spans.span(
                1, 0, "envoy", "in", 0, 1, kind="server", trace_id="c" * 32, attributes=attributes
            ),
        )
    )
    for trace_id in ("c" * 32, spans.TRACE):
        assert client.get(f"/traces/{trace_id}").status_code == 200
        assert client.get(f"/traces/{trace_id}.json").json()["trace_id"] == trace_id
    assert len(client.get("/traces.json").json()["traces"]) == 3


@pytest.mark.threat("foreign-input")
def test_a_trace_that_cannot_be_read_hides_no_other(client, store, caplog):
    def load():
        raise LookupError("SECRET")

    store.take([LazySpan("d" * 32, f"{1:016x}", 1, False, (), 100, load)])
    assert len(client.get("/traces.json").json()["traces"]) == 2
    assert client.get("/traces").status_code == 200
    assert client.get(f"/traces/{spans.TRACE}").status_code == 200
    assert {record.getMessage() for record in caplog.records if record.name == "extproc"} == {
        "trace_unreadable"
    }


class Slow(TraceStore):
    """A store that reads and decodes until `go_on` is set."""

    def __init__(self):
        super().__init__()
        self.began, self.go_on = threading.Event(), threading.Event()

    def load(self):
        self.began.set()
        assert self.go_on.wait(60)
        return spans.callback()[0]

    def add_otlp(self, *more, **by_name):
        self.began.set()
        assert self.go_on.wait(60)
        return super().add_otlp(*more, **by_name)


@pytest.mark.threat("bounds")
@pytest.mark.parametrize("path", ["/traces", f"/traces/{spans.TRACE}", "/v1/traces"])
async def test_other_requests_are_answered_while_spans_are_decoded(path):
    store = Slow()
    store.take([LazySpan(spans.TRACE, f"{1:016x}", 1, False, (), 100, store.load)])
    answers = []

    async def ask(client, base):
        if path == "/v1/traces":
            headers = {"content-type": "application/x-protobuf"}
            body = spans.export(spans.fast_path())
            answers.append(await client.post(base + path, content=body, headers=headers))
        else:
            answers.append(await client.get(base + path))

    async with (
        served(store) as base,
        httpx.AsyncClient(timeout=60) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(ask, client, base)
        await trio.to_thread.run_sync(store.began.wait, 60)
        assert (await client.get(f"{base}/livez")).status_code == 200
        assert answers == []
        store.go_on.set()
        while not answers:
            await trio.sleep(0.01)
    assert [answer.status_code for answer in answers] == [200]


@pytest.mark.parametrize("by", ["trace", "request"])
def test_a_span_of_the_store_is_decoded_once_for_a_page_and_those_of_its_trace_twice(by):
    decoded = Counter()
    found = replace(
        spans.span(1, 0, "envoy", "ingress", 0, 1, trace_id="b" * 32),
        attributes=(("guid:x-request-id", "c" * 32),),
    )
    store = TraceStore()
    for span in (found, replace(found, trace_id="d" * 32, attributes=())):

        def load(span=span):
            decoded[span.trace_id] += 1
            return span

        store.take([LazySpan(span.trace_id, span.span_id, 1, False, (), 100, load)])
    wanted = ("b" if by == "trace" else "c") * 32
    app = application(readiness=nothing_missing, jwks="{}", traces=store)
    with TestClient(app, base_url="http://localhost", backend="trio") as listener:
        answer = listener.get(f"/traces/{wanted}.json")
    assert answer.json()["trace_id"] == "b" * 32
    assert decoded == {"b" * 32: 2, "d" * 32: 1}
