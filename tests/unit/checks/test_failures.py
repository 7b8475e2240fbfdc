"""Why a request got no response, in words."""

import httpx

from extproc.checks.failures import failure


def test_a_failure_is_named_even_where_it_has_no_text() -> None:
    assert failure(httpx.ReadTimeout("x")) == "no answer in time"
    assert failure(httpx.ConnectError("refused")) == "refused"
    assert failure(httpx.ConnectError("")) == "ConnectError"
    assert failure(httpx.ConnectError("[Errno 111] Connection refused")) == "Connection refused"
    assert failure(httpx.ConnectError("[Errno -2] Name or service not known")) == (
        "Name or service not known"
    )


def test_a_server_that_speaks_the_other_protocol_is_named_so() -> None:
    no_tls = httpx.ConnectError("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)")
    assert failure(no_tls) == "it speaks http, not TLS"
    for scheme, said in (("http", "perhaps it speaks TLS"), ("https", "illegal status line")):
        request = httpx.Request("GET", f"{scheme}://host")
        problem = httpx.RemoteProtocolError("illegal status line", request=request)
        assert said in failure(problem)
    assert failure(httpx.RemoteProtocolError("illegal status line")) == "illegal status line"
