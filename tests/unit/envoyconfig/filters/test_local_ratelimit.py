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


def buckets(**figures: int) -> dict[tuple[str, str], int]:
    """How many requests at once each kind of bucket allows, by bits of IPv6 and value."""
    limit = {"per_second": 3, "burst": 9, **figures}
    (made,) = typed(simple(gateway={"rate_limit": limit}), "LocalRateLimit")
    found = {}
    for each in made["descriptors"]:
        values = [entry.get("value", "") for entry in each["entries"]]
        key = ("", values[0]) if len(values) == 1 else (values[0], values[1])
        found[key] = each["token_bucket"]["max_tokens"]
    return found


def test_without_networks_only_ipv6_has_a_bucket_besides_that_of_the_address() -> None:
    never = 2**32 - 1
    assert buckets(network_factor=0) == {
        ("", ""): 9,
        ("64", ""): 9,
        ("64", "0.0.0.0/0"): never,
        ("64", "::/64"): never,
    }


def test_networks_have_larger_buckets_and_ipv4_one_for_a_24() -> None:
    found = buckets(network_factor=8)
    assert (found["56", ""], found["48", ""]) == (72, 288)
    assert ("56", "0.0.0.0/0") not in found and ("48", "0.0.0.0/0") in found


def test_the_largest_bucket_fits_into_envoy_s_number() -> None:
    assert max(buckets(burst=1_000_000, network_factor=1000).values()) < 2**32
