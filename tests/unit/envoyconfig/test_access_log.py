"""The access log: where it is written, and that it holds no query."""

from typing import Any

import pytest
from harness.envoy_config import simple, typed

from extproc.envoyconfig.access_log import FIELDS


@pytest.mark.parametrize(
    ("path", "logger"),
    [
        ("/dev/stdout", "StdoutAccessLog"),
        ("/dev/stderr", "StderrAccessLog"),
        ("/var/log/envoy/access.log", "FileAccessLog"),
    ],
)
def test_the_standard_streams_have_loggers_of_their_own(path: str, logger: str) -> None:
    for log in _logs("none", path) + _logs("sub", path):
        config = log["typed_config"]
        assert config["@type"].endswith("." + logger)
        assert config.get("path") == (path if logger == "FileAccessLog" else None)


def test_without_users_there_is_one_logger_and_no_user() -> None:
    (log,) = _logs("none", "/dev/stdout")
    assert log["typed_config"]["log_format"]["json_format"] == FIELDS
    assert "user" not in FIELDS and not log.get("filter")


def test_no_header_of_a_client_is_the_source_of_a_user() -> None:
    formats = [log["typed_config"]["log_format"]["json_format"] for log in _logs("email", "/x")]
    assert [{**one, "user": ""} for one in formats] == [{**FIELDS, "user": ""}] * 2
    assert [one["user"].partition(":")[0] for one in formats] == [
        "%DYNAMIC_METADATA(envoy.filters.http.ext_proc",
        "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn",
    ]


def _logs(users: str, path: str) -> list[dict[str, Any]]:
    made = simple(gateway={"access_log": path}, log={"users": users})
    (manager,) = typed(made, "HttpConnectionManager")
    logs: list[dict[str, Any]] = manager["access_log"]
    return logs


def test_no_field_contains_a_query() -> None:
    assert FIELDS["path"] == "%PATH(NQ)%"
    assert not [value for value in FIELDS.values() if "REQ(:PATH" in value or "ORIGINAL" in value]
