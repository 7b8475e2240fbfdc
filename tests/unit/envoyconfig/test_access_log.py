"""The access log: where it is written, and that it holds no query."""

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
    (manager,) = typed(simple(gateway={"access_log": path}), "HttpConnectionManager")
    (log,) = manager["access_log"]
    config = log["typed_config"]
    assert config["@type"].endswith("." + logger)
    assert config.get("path") == (path if logger == "FileAccessLog" else None)
    assert config["log_format"]["json_format"] == FIELDS


def test_no_field_contains_a_query() -> None:
    assert FIELDS["path"] == "%PATH(NQ)%"
    assert not [value for value in FIELDS.values() if "REQ(:PATH" in value or "ORIGINAL" in value]
