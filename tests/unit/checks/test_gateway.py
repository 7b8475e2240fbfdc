"""What answers at Envoy's listeners, and what its answers say about the configuration."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from harness.envoy_config import APP, OPEN, simple
from harness.static_server import Answer, StaticServer

from extproc.checks.findings import Finding
from extproc.checks.gateway import check_gateway

PATH = "/oauth2/check"
TRACE = (("content-type", "application/problem+json"), ("x-trace-id", "a" * 32))


def of_processor(reason: str, status: int) -> Answer:
    return Answer(status, f'{{"reason": "{reason}"}}', TRACE)


AGREES = of_processor("no_such_endpoint", 404)
DIFFERS = of_processor("misdirected_request", 421)


@pytest.fixture
def envoy() -> Iterator[StaticServer]:
    """An Envoy whose processor has the settings of its routes."""
    with StaticServer() as server:
        server.answers[PATH] = AGREES
        yield server


def found(listen: str, **changes: Any) -> list[Finding]:
    gateway = {"listen": listen, **changes.pop("gateway", {})}
    return list(check_gateway(simple(gateway=gateway, **changes)))


def test_envoy_and_a_processor_of_the_same_settings_agree(envoy: StaticServer) -> None:
    (finding,) = found(envoy.address)
    assert (finding.level, finding.part) == ("ok", "gateway.listen")
    assert "agree about app" in finding.what
    (request,) = envoy.received
    assert (request.path, request.headers["host"]) == (PATH, "localhost:8080")
    assert "cookie" not in request.headers


@pytest.mark.parametrize(
    ("answer", "level", "part", "what"),
    [
        (DIFFERS, "error", "gateway.listen", "different settings of app"),
        (
            Answer.json({"request_id": "x"}, 421),
            "error",
            "gateway.listen",
            "does not know app at its address",
        ),
        (
            Answer.json({"request_id": "x"}, 404),
            "error",
            "gateway.listen",
            "does not know app at its address",
        ),
        (Answer.json({"request_id": "x"}, 503), "error", "listen", "does not reach the processor"),
        (of_processor("too_many_requests", 503), "ok", "gateway.listen", "agree about app"),
        (Answer.json({"reason": "x"}, 404), "warning", "gateway.listen", "answers 404"),
        (Answer.json([1], 200), "warning", "gateway.listen", "answers 200"),
        (Answer(200, "[" * 70_000), "warning", "gateway.listen", "answers 200"),
        (Answer(200, "x" * 1_000_000), "warning", "gateway.listen", "answers 200"),
    ],
)
def test_what_answers_is_told_by_the_answer(
    envoy: StaticServer, answer: Answer, level: str, part: str, what: str
) -> None:
    envoy.answers[PATH] = answer
    (finding,) = found(envoy.address)
    assert (finding.level, finding.part) == (level, part)
    assert what in finding.what and (finding.remedy or level == "ok")


def test_each_application_is_asked_at_its_own_address(envoy: StaticServer) -> None:
    envoy.answers["/wiki/oauth2/check"] = DIFFERS
    wiki = {
        **APP,
        "path_prefix": "/wiki/",
        "hosts": ["wiki.example"],
        "url": "http://wiki.example/wiki/",
    }
    levels = {
        each.level: each.what
        for each in found(
            envoy.address,
            applications={"app": APP, "wiki": wiki, "open": {**OPEN, "path_prefix": "/open/"}},
        )
    }
    assert set(levels) == {"ok", "error"} and "of wiki:" in levels["error"]
    assert [each.headers["host"] for each in envoy.received] == ["localhost:8080", "wiki.example"]


def test_without_a_login_a_connection_is_all_that_is_looked_at(envoy: StaticServer) -> None:
    (finding,) = found(envoy.address, applications={"open": OPEN})
    assert (finding.level, envoy.received) == ("ok", [])


def test_a_program_that_speaks_no_http_is_named_as_taking_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"

        def answer() -> None:
            # The connection that only looks, and the one with the request.
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    connection.sendall(b"SSH-2.0-x\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        (finding,) = found(address)
        thread.join()
    assert (finding.level, finding.part) == ("warning", "gateway.listen")
    assert f"{address} is taken by a program (" in finding.what


def test_an_address_that_is_bound_without_listening_is_taken() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        (finding,) = found(f"127.0.0.1:{bound.getsockname()[1]}")
    assert finding.level == "warning" and "accepts no connection" in finding.what


def test_a_free_address_was_not_looked_at_and_one_of_another_machine_is_a_warning() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    (free,) = found(f"127.0.0.1:{port}")
    assert (free.level, free.part) == ("skipped", "gateway.listen")
    assert found("127.0.0.1:0") == []
    # TEST-NET-1 of RFC 5737 is no machine's.
    (elsewhere,) = found("192.0.2.1:8080")
    assert elsewhere.level == "warning" and "no network interface" in elsewhere.what


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (Answer(301, "", (("location", "https://localhost:8443/"),)), "ok"),
        (Answer(301, "", (("location", "http://localhost/"),)), "warning"),
        (Answer(200), "warning"),
    ],
)
def test_the_listener_that_redirects_is_told_from_another_program(
    envoy: StaticServer, answer: Answer, level: str
) -> None:
    envoy.answers["/"] = answer
    gateway = {"url": "https://localhost:8443", "redirect_listen": envoy.address}
    findings = found("127.0.0.1:0", gateway=gateway)
    assert [(each.level, each.part) for each in findings] == [(level, "gateway.redirect_listen")]
