"""How often each client address may have a thing done."""

import pytest

from extproc.core.errors import Overloaded
from extproc.relying_party.address_limit import ADDRESSES, MORE, WINDOW, AddressLimit, networks_of

FULL = Overloaded("full")


@pytest.fixture
def now():
    return [1000.0]


@pytest.fixture
def limit(now):
    return AddressLimit(2, lambda: now[0])


def test_an_address_has_so_many_uses_in_a_window_and_others_their_own(limit, now):
    limit.take("192.0.2.1", FULL)
    now[0] += WINDOW - 1
    limit.take("192.0.2.1", FULL)
    with pytest.raises(Overloaded):
        limit.take("192.0.2.1", FULL)
    limit.take("192.0.2.2", FULL)
    now[0] += 1
    limit.take("192.0.2.1", FULL)
    limit.take("192.0.2.1", FULL)
    with pytest.raises(Overloaded):
        limit.take("192.0.2.1", FULL)


def test_a_use_that_is_given_back_does_not_count(limit, now):
    for _ in range(10):
        limit.take("192.0.2.1", FULL)
        limit.give_back("192.0.2.1")
    limit.give_back("192.0.2.1")
    limit.give_back("192.0.2.9")
    limit.take("192.0.2.1", FULL)
    limit.take("192.0.2.1", FULL)
    with pytest.raises(Overloaded):
        limit.take("192.0.2.1", FULL)


def test_the_address_that_was_counted_first_is_forgotten_first(limit):
    for number in range(ADDRESSES):
        limit.take(f"10.0.{number // 256}.{number % 256}", FULL)
    assert len(limit) == ADDRESSES
    limit.take("10.0.0.1", FULL)
    limit.take("192.0.2.1", FULL)
    assert len(limit) == ADDRESSES
    limit.take("10.0.0.0", FULL)
    limit.take("10.0.0.0", FULL)
    # The next that came after it was forgotten for it.
    limit.take("10.0.0.1", FULL)


def test_an_ipv6_client_with_very_many_subnets_has_a_few_times_as_much(limit):
    for number in range(2 * MORE):
        limit.take(f"2001:db8:1:{number:x}::1", FULL)
    with pytest.raises(Overloaded):
        limit.take("2001:db8:1:ffff::1", FULL)
    limit.take("2001:db8:2::1", FULL)
    limit.give_back("2001:db8:1:1::1")
    # What was refused was not counted.
    limit.take("2001:db8:1:ffff::1", FULL)
    with pytest.raises(Overloaded):
        limit.take("2001:db8:1:ffff::1", FULL)


@pytest.mark.parametrize(
    ("address", "networks"),
    [
        ("192.0.2.1", ["192.0.2.1"]),
        ("::ffff:192.0.2.1", ["192.0.2.1"]),
        ("2001:db8:1:2:3:4:5:6", ["2001:db8:1:2::/64", "2001:db8:1::/48"]),
        ("2001:db8:1:2::", ["2001:db8:1:2::/64", "2001:db8:1::/48"]),
        ("::1", ["::/64", "::/48"]),
        ("", [""]),
        ("unknown", [""]),
        ("192.0.2.1, 192.0.2.2", [""]),
    ],
)
def test_an_ipv6_client_counts_by_its_subnets(address, networks):
    assert [network for network, _ in networks_of(address)] == networks
