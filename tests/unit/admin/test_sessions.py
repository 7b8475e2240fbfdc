"""`/sessions`: who may use it, what may be asked for, and what is in the log."""

import pytest
from starlette.testclient import TestClient

from extproc.admin.app import application
from extproc.admin.session_admin import SessionAdmin
from extproc.admin.sessions import HEADER
from extproc.traces import TraceStore

OPERATOR = {HEADER: "1"}
ID = "0123456789abcdef"


async def nothing_missing():
    return ()


def client_of(admin: SessionAdmin | None, address: str = "127.0.0.1") -> TestClient:
    app = application(readiness=nothing_missing, jwks="{}", traces=TraceStore(), operators=admin)
    return TestClient(
        app, base_url="http://127.0.0.1:9490", client=(address, 50_000), backend="trio"
    )


@pytest.fixture
def admin(in_a_file):
    return SessionAdmin(in_a_file)


def test_without_an_administration_of_sessions_there_is_none():
    assert client_of(None).get("/sessions?all=1", headers=OPERATOR).status_code == 404


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", OPERATOR, 200),
        ("::1", OPERATOR, 200),
        ("192.0.2.1", OPERATOR, 403),
        ("testclient", OPERATOR, 403),
        ("127.0.0.1", {}, 403),
        ("127.0.0.1", {HEADER: "yes"}, 403),
        ("127.0.0.1", {**OPERATOR, "origin": "http://127.0.0.1:9490"}, 403),
        ("127.0.0.1", {**OPERATOR, "x-forwarded-for": "127.0.0.1"}, 403),
        ("127.0.0.1", {**OPERATOR, "forwarded": "for=127.0.0.1"}, 403),
        ("127.0.0.1", {**OPERATOR, "host": "evil.example"}, 421),
    ],
)
def test_only_a_process_of_this_machine_that_is_no_page_and_no_proxy_may(
    admin, address, headers, status
):
    for method in ("GET", "DELETE"):
        answer = client_of(admin, address).request(method, "/sessions?all=1", headers=headers)
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (OPERATOR, 200),
        ({}, 403),
        ({**OPERATOR, "x-forwarded-for": "192.0.2.1"}, 403),
        ({**OPERATOR, "origin": "null"}, 403),
    ],
)
def test_a_client_of_a_unix_socket_is_on_this_machine_unless_a_proxy_speaks_for_it(
    admin, headers, status
):
    app = application(
        readiness=nothing_missing,
        jwks="{}",
        traces=TraceStore(),
        operators=admin,
        unix_socket=True,
    )
    client = TestClient(app, base_url="http://localhost", client=None, backend="trio")
    assert client.get("/sessions?all=1", headers=headers).status_code == status


@pytest.mark.parametrize(
    "query",
    [
        "",
        "user=",
        "user=alice&all=1",
        f"id={ID}&user=alice",
        f"id={ID}&sid=s1",
        "id=0123",
        f"id={ID.upper()}",
        f"id={ID * 5}",
        f"id={ID}%0A",
    ],
)
def test_a_selector_that_is_unclear_ends_nothing_and_is_explained(admin, query):
    answer = client_of(admin).delete(f"/sessions?{query}", headers=OPERATOR)
    assert answer.status_code == 400 and answer.json()["error"]


def test_what_is_listed_and_ended_is_counted_and_logged_with_the_address(admin, caplog):
    caplog.set_level("INFO", "extproc")
    client = client_of(admin)
    assert client.get("/sessions?all=1", headers=OPERATOR).json() == {"sessions": []}
    assert client.delete("/sessions?user=alice", headers=OPERATOR).json() == {"ended": 0}
    lines = [line for line in caplog.records if line.name.startswith("extproc")]
    assert [line.message for line in lines] == ["sessions_listed", "sessions_ended"]
    text = str([line.__dict__ for line in lines])
    assert "user=alice" in text and "127.0.0.1" in text


def test_what_the_kind_of_store_cannot_do_is_a_conflict_with_its_reason(in_cookies):
    answer = client_of(SessionAdmin(in_cookies)).get("/sessions?all=1", headers=OPERATOR)
    assert answer.status_code == 409 and "in cookies" in answer.json()["error"]


def test_a_store_that_is_away_is_503_and_its_reason_only_in_the_log(admin, in_a_file, caplog):
    assert in_a_file.store.kind == "sqlite"
    in_a_file.store.path.write_bytes(b"no database " * 100)
    answer = client_of(admin).get("/sessions?all=1", headers=OPERATOR)
    assert answer.status_code == 503 and str(in_a_file.store.path) not in answer.text
    assert "refused" in [line.message for line in caplog.records]
