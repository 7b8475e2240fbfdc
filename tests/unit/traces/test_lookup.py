"""A trace by the id of a request."""

from dataclasses import replace

import pytest

from extproc.traces import Span, Trace
from extproc.traces.lookup import is_of_request

UUID = "0A1b2c3d-0000-4000-8000-00000000000f"
HEX = "0a1b2c3d00004000800000000000000f"
SPAN = Span("a" * 32, "b" * 16, "", "GET /", "server", "envoy", 0, 1)


@pytest.mark.parametrize(
    ("attributes", "found"),
    [((("guid:x-request-id", UUID),), True), ((("x", UUID),), False), ((), False)],
)
def test_envoy_s_span_has_the_id(attributes: tuple[tuple[str, str], ...], found: bool) -> None:
    trace = Trace("a" * 32, (SPAN, replace(SPAN, attributes=attributes)))
    assert is_of_request(trace, HEX) is found
