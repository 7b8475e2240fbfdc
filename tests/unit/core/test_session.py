"""A session's id, its limits, and everything that it is revoked by."""

import pytest
from harness.refusals import raised

from extproc.core.session import SessionId


@pytest.mark.parametrize(
    ("call", "detail"),
    [
        (lambda: SessionId.of(b"short"), "a session id is 32 random bytes"),
    ],
)
def test_a_session_id_is_made_of_32_bytes(call, detail):
    assert raised(call) == (ValueError, detail)


@pytest.mark.attack("COOK-22")
@pytest.mark.parametrize(
    "cookie",
    ["x", "x" * 44, "a b", "../" + "x" * 40, "*" * 43, "x" * 1_000_000, "\r\n" + "x" * 41, ""],
)
def test_what_cannot_be_an_id_is_never_looked_up(cookie):
    assert SessionId.parse(cookie) is None
