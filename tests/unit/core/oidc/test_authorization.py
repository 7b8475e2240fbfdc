"""What travels in the sealed login cookie."""

import json
import zlib
from dataclasses import replace

import pytest
from harness.refusals import raised
from harness.tokens import NOW, pending

from extproc.core.encoding import b64encode
from extproc.core.errors import InvalidCallback
from extproc.core.oidc.authorization import AuthorizationResponse, PendingAuthorization

TRACE = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"


def traced(traceparent):
    return PendingAuthorization(
        b"s" * 32, "https://idp.example", 1_780_000_000, "/a?b=1", traceparent
    )


@pytest.mark.parametrize("flags", ["00", "01"])
def test_the_redirect_s_trace_travels_in_24_bytes(flags):
    without, data = traced("").to_bytes(), traced(f"00-{TRACE}-{flags}").to_bytes()
    assert len(data) - len(without) == 32
    assert PendingAuthorization.from_bytes(data) == traced(f"00-{TRACE}-00")


@pytest.mark.parametrize("traceparent", ["", "nonsense", "00-xyz", f"ff-{TRACE}-01"])
def test_what_is_no_trace_does_not_travel(traceparent):
    assert PendingAuthorization.from_bytes(traced(traceparent).to_bytes()) == traced("")


def test_a_login_that_an_older_release_started_goes_on():
    fields = json.loads(traced("").to_bytes())
    old = json.dumps([*fields[:4], f"00-{TRACE}-01"]).encode()
    assert PendingAuthorization.from_bytes(old) == traced("")


@pytest.mark.parametrize("length", [0, 255, 256, 257, 8000])
@pytest.mark.parametrize("restarted", [False, True])
def test_an_attempt_is_read_as_it_was_written(length, restarted):
    attempt = replace(traced(""), return_to="/" + "\n" * length, restarted=restarted)
    assert PendingAuthorization.from_bytes(attempt.to_bytes()) == attempt


def test_what_is_written_is_what_every_release_reads():
    """A browser may bring a login's cookie to an older or a newer processor."""
    secret, start = b64encode(b"s" * 32), ["https://idp.example", 1_780_000_000]
    assert json.loads(traced("").to_bytes()) == [secret, *start, "/a?b=1", ""]
    assert json.loads(replace(traced(""), restarted=True).to_bytes())[5:] == [1]
    head, mark, compressed = replace(traced(""), return_to="/" * 257).to_bytes().partition(b"\n")
    assert json.loads(head) == [secret, *start, "", ""]
    assert mark and zlib.decompress(compressed, wbits=-15) == b"/" * 257


@pytest.mark.parametrize("fraction", [0, 0.004, 0.25, 0.5, 0.995, 0.9999])
def test_a_login_knows_when_it_was_started_to_a_few_milliseconds(fraction):
    moment = 1_780_000_000 + fraction
    attempt = replace(traced(""), secret=PendingAuthorization.secret_of(moment, b"s" * 31))
    assert len(attempt.secret) == 32
    assert 0 <= attempt.begun - int(moment * 1000) <= 4 and attempt.begun // 1000 == attempt.created


def test_the_length_of_an_attempt_depends_on_its_return_target_alone():
    """A target that repeats the secret is no shorter than any other of its kind."""
    lengths = {
        len(
            replace(
                traced(""), secret=bytes([n]) * 32, return_to="/" + b64encode(b"s" * 32) * 9
            ).to_bytes()
        )
        for n in range(99, 130)
    }
    assert len(lengths) == 1


@pytest.mark.parametrize(
    ("query", "expired"),
    [
        ("error=temporarily_unavailable&error_description=authentication_expired", True),
        ("error_description=authentication_expired&error=temporarily_unavailable&", True),
        ("error=temporarily_unavailable", False),
        ("error=temporarily_unavailable&error_description=busy", False),
        ("error=access_denied&error_description=authentication_expired", False),
        ("code=a&error_description=authentication_expired", False),
        ("error=temporarily_unavailable&error_description=authentication_expired&error_description=", False),
    ],
)  # fmt: skip
def test_a_login_that_expired_at_the_provider_is_known_by_error_and_description(query, expired):
    assert AuthorizationResponse.parse(f"state=s&{query}").authentication_expired is expired


def test_the_parameters_of_a_callback_are_read_whole():
    read = AuthorizationResponse.parse
    assert read("state=s&code=c&iss=i&session_state=x&empty=") == AuthorizationResponse(
        "s", "c", None, "i"
    )
    assert read("state=s&error=access_denied&error_description=x") == AuthorizationResponse(
        "s", None, "access_denied", None
    )
    longest = "state=s&code=" + "a" * 8192
    assert (
        read(longest).code == "a" * 8192
        and raised(lambda: read(longest + "a"))[0] is InvalidCallback
    )
    assert read("state=s&code=c&pad=" + "a" * (16_384 - 19)).code == "c"
    assert (
        raised(lambda: read("state=s&code=c&pad=" + "a" * (16_385 - 19)))[1]
        == "the query is longer than 16 kB"
    )


@pytest.mark.parametrize(
    ("after", "expired"), [(-61, True), (-60, False), (0, False), (1799, False), (1800, True)]
)
def test_an_attempt_lasts_half_an_hour_and_a_clock_may_be_a_minute_off(after, expired):
    assert pending().expired(NOW + after) is expired
