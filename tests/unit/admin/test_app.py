"""The admin application: probes, keys, gauges, metrics, and which Host may see what."""

import pytest
from harness import spans
from starlette.testclient import TestClient

from extproc.admin.app import application, known_host
from extproc.metrics.exposition import Page
from extproc.traces import TraceStore


async def nothing_missing():
    return ()


def test_livez_is_always_green(client):
    assert client.get("/livez").status_code == 200


def test_readyz_says_what_is_missing():
    missing = [("provider main", "cannot be reached")]

    async def lacking():
        return tuple(missing)

    app = application(readiness=lacking, jwks="{}", traces=TraceStore())
    with TestClient(app) as client:
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json() == {
            "ready": False,
            "missing": [{"part": "provider main", "reason": "cannot be reached"}],
        }
        missing.clear()
        assert client.get("/readyz").json() == {"ready": True}


def test_the_fingerprints_are_as_given_for_known_hosts_alone():
    marks = {"app": "0123456789abcdef"}
    app = application(readiness=nothing_missing, jwks="{}", traces=TraceStore(), fingerprints=marks)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.get("/fingerprints").json() == marks
        refused = client.get("/fingerprints", headers={"host": "evil.example.com"})
        assert refused.status_code == 421


def test_the_key_set_is_as_given(client):
    answer = client.get("/.well-known/jwks.json")
    assert (answer.text, answer.headers["content-type"]) == ('{"keys": []}', "application/json")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/livez",
        "/readyz",
        "/traces",
        f"/traces/{spans.TRACE}",
        "/traces/x",
        "/nothing",
        "/v1/traces",
    ],
)
def test_every_answer_is_neither_kept_nor_guessed_at(client, path):
    answer = client.get(path)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:9490", True), ("[::1]:9490", True), ("localhost", True), ("app.localhost:1", True),
        ("10.1.2.3:9490", True),
        ("extproc:9490", True), ("admin.example.com", True), ("ADMIN.example.com.:9490", True),
        ("evil.example.com", False), ("127.0.0.1.evil.com", False), ("", False), ("a b", False),
        ("localhost.evil.com:9490", False),
    ],
)  # fmt: skip
def test_a_name_that_a_strangers_dns_may_have_is_served_only_what_all_may_know(client, host, known):
    assert known_host(host, ("admin.example.com",)) is known
    if not host or " " in host:
        return
    for path, status in (
        *(("/traces", 200), ("/traces.json", 200), ("/metrics", 200), ("/gauges", 200)),
        *(("/readyz", 200), ("/sessions", 404), ("/v1/traces", 405), ("/", 303), ("/new", 404)),
    ):
        answer = client.get(path, headers={"host": host}, follow_redirects=False)
        assert answer.status_code == (status if known else 421), path
        assert answer.headers["cache-control"] == "no-store"
    for path in ("/livez", "/.well-known/jwks.json"):
        assert client.get(path, headers={"host": host}).status_code == 200


def test_spans_of_a_page_with_a_name_of_its_own_are_refused(client):
    for host, status in (("evil.example", 421), ("127.0.0.1:9490", 415)):
        assert client.post("/v1/traces", headers={"host": host}).status_code == status


async def test_one_unknown_host_of_several_is_enough_and_a_probe_may_have_none():
    app = application(readiness=nothing_missing, jwks="{}", traces=TraceStore())
    for hosts, status in (
        ([], 200),
        (["127.0.0.1"], 200),
        (["127.0.0.1", "evil.example"], 421),
        (["evil.example", "127.0.0.1"], 421),
    ):
        messages = []

        async def send(message, messages=messages):
            messages.append(message)

        async def receive():
            return {"type": "http.request"}

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/readyz",
            "query_string": b"",
            "headers": [(b"host", host.encode()) for host in hosts],
        }
        await app(scope, receive, send)
        assert messages[0]["status"] == status, hosts


def test_metrics_are_exposed_by_the_accept_header_and_gauges_as_json():
    asked = []

    async def gauges():
        return (("held", 3),)

    async def metrics(accept: str) -> Page:
        asked.append(accept)
        return Page("text/plain", b"up 1\n")

    app = application(
        readiness=nothing_missing, jwks="{}", traces=TraceStore(), gauges=gauges, metrics=metrics
    )
    with TestClient(app) as client:
        answer = client.get("/metrics", headers={"accept": "text/plain"})
        assert (answer.text, asked) == ("up 1\n", ["text/plain"])
        assert answer.headers["content-type"] == "text/plain"
        assert client.get("/gauges").json() == {"held": 3}
