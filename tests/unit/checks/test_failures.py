"""Why a request got no response, in words."""

import httpx

from extproc.checks.failures import failure


def test_a_failure_is_named_even_where_it_has_no_text() -> None:
    assert failure(httpx.ReadTimeout("x")) == "no answer in time"
    assert failure(httpx.ConnectError("refused")) == "refused"
    assert failure(httpx.ConnectError("")) == "ConnectError"
