"""The upstreams of the applications, as far as a connection shows whether they are there."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.envoy_config import APP, simple
from harness.static_server import StaticServer

from extproc.checks.findings import Finding
from extproc.checks.upstreams import check_upstreams


def found(upstream: str, **more: str) -> list[Finding]:
    apps = {"app": {**APP, "upstream": upstream}}
    for name, other in more.items():
        apps[name] = {**APP, "path_prefix": f"/{name}/", "upstream": other}
    return list(check_upstreams(simple(applications=apps)))


@contextmanager
def nothing_listens() -> Iterator[str]:
    """An address that is taken, and where nothing accepts a connection."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host, port = taken.getsockname()
        yield f"{host}:{port}"


def test_an_application_that_is_down_is_a_warning_and_one_that_is_up_is_not() -> None:
    with StaticServer() as up, nothing_listens() as down:
        one, two = found(up.url, wiki=f"http://{down}")
    assert (one.level, one.part) == ("ok", "applications.app.upstream")
    assert (two.level, two.part) == ("warning", "applications.wiki.upstream")
    assert f"http://{down} cannot be connected to" in two.what and "503" in two.what


def test_each_application_of_one_upstream_has_its_finding() -> None:
    with nothing_listens() as down:
        assert [each.level for each in found(f"http://{down}", wiki=f"http://{down}")] == [
            "warning",
            "warning",
        ]


def test_an_https_upstream_that_speaks_http_is_named_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answers() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answers)
        thread.start()
        host, port = server.getsockname()
        (only,) = found(f"https://{host}:{port}")
        thread.join()
    assert only.level == "warning" and "speaks http, not TLS" in only.what


def test_a_name_that_does_not_exist_is_a_warning() -> None:
    (only,) = found("http://no-such-host.invalid:80")
    assert only.level == "warning" and "cannot be connected to" in only.what


@pytest.mark.parametrize("name", ["gone", "text", "pipe"])
def test_an_authority_that_cannot_be_used_is_not_the_application_s_fault(
    tmp_path: Path, name: str
) -> None:
    """`certificates` names the file."""
    (tmp_path / "text").write_text("no PEM")
    os.mkfifo(tmp_path / "pipe")
    with nothing_listens() as down:
        app = {**APP, "upstream": f"https://{down}", "upstream_ca_file": str(tmp_path / name)}
        wiki = {**APP, "path_prefix": "/wiki/", "upstream": f"http://{down}"}
        findings = check_upstreams(simple(applications={"app": app, "wiki": wiki}))
        assert [each.part for each in findings] == ["applications.wiki.upstream"]
