"""What travels in the sealed login cookie."""

import json

import pytest

from extproc.core.oidc.authorization import PendingAuthorization

TRACE = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"


def pending(traceparent):
    return PendingAuthorization(
        b"s" * 32, "https://idp.example", 1_780_000_000, "/a?b=1", traceparent
    )


@pytest.mark.parametrize("flags", ["00", "01"])
def test_the_redirect_s_trace_travels_in_24_bytes(flags):
    without, data = pending("").to_bytes(), pending(f"00-{TRACE}-{flags}").to_bytes()
    assert len(data) - len(without) == 32
    assert PendingAuthorization.from_bytes(data) == pending(f"00-{TRACE}-00")


@pytest.mark.parametrize("traceparent", ["", "nonsense", "00-xyz", f"ff-{TRACE}-01"])
def test_what_is_no_trace_does_not_travel(traceparent):
    assert PendingAuthorization.from_bytes(pending(traceparent).to_bytes()) == pending("")


def test_a_login_that_an_older_release_started_goes_on():
    fields = json.loads(pending("").to_bytes())
    old = json.dumps([*fields[:4], f"00-{TRACE}-01"]).encode()
    assert PendingAuthorization.from_bytes(old) == pending("")
