"""A request in Envoy's access log."""

import json
from pathlib import Path
from typing import Any

import pytest

from extproc.explain.access_log import logged_request

UUID = "0a1b2c3d-0000-4000-8000-00000000000f"
HEX = UUID.replace("-", "")


def line(**changes: Any) -> str:
    entry = {
        "time": "2026-11-28T10:00:00.000Z",
        "application": "app",
        "method": "GET",
        "authority": "app.test",
        "path": "/x",
        "status": 503,
        "details": "upstream_reset_before_response_started{connection_failure}",
        "flags": "UF",
        "route": "app",
        "request_id": UUID,
        "trace_id": None,
    }
    return json.dumps({**entry, **changes}) + "\n"


@pytest.mark.parametrize(
    ("details", "what"),
    [
        ("upstream_reset_before_response_started{x}", "the application's server refused"),
        ("ext_proc_error_gRPC_error_14{x}", "the processor did not answer"),
        ("rbac_access_denied_matched_policy[none]", "the gate refused it"),
        ("rbac_access_denied_matched_policy[none]", "its address is in none of them"),
        ("local_rate_limited", "too many requests"),
        ("direct_response", "Envoy's route app refuses it"),
        ("something_new", "Envoy's response code details: something_new"),
    ],
)
def test_envoy_s_details_are_said_in_words(tmp_path: Path, details: str, what: str) -> None:
    log = tmp_path / "access.log"
    log.write_text(line(request_id="x") + line(details=details) + line(request_id=None))
    found = logged_request(log, HEX)
    assert found is not None and what in found.what
    assert found.request == "GET app.test/x, application app" and found.answer.startswith("503 at ")


@pytest.mark.parametrize(
    "text",
    ["", "\n", UUID + "\n", f'"{UUID}"\n', "[" * 5000 + UUID, line(path=UUID, request_id="")],
)
def test_lines_that_are_not_the_request_s_are_passed_over(tmp_path: Path, text: str) -> None:
    log = tmp_path / "access.log"
    log.write_text(text)
    assert logged_request(log, HEX) is None


def test_the_newest_line_counts_and_blocks_do_not_split_lines(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    filler = line(request_id="y", path="/" + "a" * 1000)
    log.write_text(line(status=500) + filler * 2500 + line(status=504) + filler * 900)
    found = logged_request(log, HEX)
    assert found is not None and found.answer.startswith("504")
