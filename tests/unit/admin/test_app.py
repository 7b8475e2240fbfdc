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
def test_a_name_that_a_strangers_dns_may_have_is_not_served_traces(client, host, known):
    assert known_host(host, ("admin.example.com",)) is known
    if host and " " not in host:
        assert client.get("/traces", headers={"host": host}).status_code == (200 if known else 421)
        assert client.get("/livez", headers={"host": host}).status_code == 200


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
