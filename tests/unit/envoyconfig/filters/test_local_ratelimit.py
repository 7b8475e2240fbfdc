"""Which addresses have a limit, and which buckets they take tokens from."""

from typing import Any

import pytest
from harness.envoy_config import OPEN, simple, typed

from extproc.envoyconfig.filters.local_ratelimit import exempt, limited


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"gateway": {"rate_limit": {"per_second": 0, "burst": 1}}}, False),
        ({"applications": {"app": OPEN}}, False),
    ],
)
def test_there_is_a_limit_where_users_sign_in(changes: dict[str, Any], expected: bool) -> None:
    assert limited(simple(**changes)) is expected


@pytest.mark.parametrize(
    ("gateway", "more"),
    [
        ({}, ()),
        ({"rate_limit": {"exempt": ["10.0.0.0/8"]}}, ("10.0.0.0/8",)),
        ({"processors": ["192.0.2.1:9500"]}, ("192.0.2.1/32",)),
        ({"processors": ["[2001:db8::1]:9500"]}, ("2001:db8::1/128",)),
        ({"processors": ["extproc:9500", "unix:/run/x.sock"]}, ()),
    ],
)
def test_loopback_and_the_processor_s_machines_have_no_limit(
    gateway: dict[str, Any], more: tuple[str, ...]
) -> None:
    assert exempt(simple(gateway=gateway)) == ("127.0.0.0/8", "::1/128", *more)


def test_only_ipv6_has_a_bucket_for_its_network() -> None:
    made = simple(gateway={"rate_limit": {"per_second": 3, "burst": 9}})
    (limit,) = typed(made, "LocalRateLimit")
    buckets = {
        (each["entries"][0]["key"], each["entries"][0].get("value", "")): each["token_bucket"]
        for each in limit["descriptors"]
    }
    real = {"max_tokens": 9, "tokens_per_fill": 3, "fill_interval": "1s"}
    assert buckets["remote_address", ""] == real == buckets["masked_remote_address", ""]
    for network in ("0.0.0.0/0", "::/64"):
        assert buckets["masked_remote_address", network]["max_tokens"] == 2**32 - 1
