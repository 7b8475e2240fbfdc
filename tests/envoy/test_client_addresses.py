"""Whom Envoy takes for the client behind proxies that write a port beside the address. On the real
Envoy.
"""

import time
from collections.abc import Iterator

import pytest
from harness.envoy_parts import Asked
from harness.envoy_world import Gateway, World, application

PROXY = "127.0.0.1"
# What the last of the trusted proxies wrote, whom Envoy takes for the client, and what is left.
ENTRIES = [
    ("203.0.113.7:51812", "203.0.113.7", "203.0.113.7"),
    ("[2001:db8::7]:51812", "2001:db8::7", "2001:db8::7"),
    ("[2001:db8::7]", "2001:db8::7", "2001:db8::7"),
    ("[::ffff:203.0.113.7]:1", "::ffff:203.0.113.7", "::ffff:203.0.113.7"),
    ("[::1]:99", "::1", "::1"),
    (" \t203.0.113.7:1 ", "203.0.113.7", "203.0.113.7"),
    ("203.0.113.7", "203.0.113.7", "203.0.113.7"),
    ("2001:db8::7", "2001:db8::7", "2001:db8::7"),
    ("::ffff:203.0.113.7", "::ffff:203.0.113.7", "::ffff:203.0.113.7"),
    # No address: the proxy is the client.
    ("unknown", PROXY, "unknown"),
    ("unknown:80", PROXY, "unknown:80"),
    ("203.0.113.7:", PROXY, "203.0.113.7:"),
    ("203.0.113.7:80:80", PROXY, "203.0.113.7:80:80"),
    (":80", PROXY, ":80"),
    ("[]:80", PROXY, "[]:80"),
    ("[203.0.113.7", PROXY, "[203.0.113.7"),
    ("2001:db8::7]:80", PROXY, "2001:db8::7]:80"),
    ("203.0.113:80", PROXY, "203.0.113"),
    ("[2001:db8::7::7]:80", PROXY, "2001:db8::7::7"),
]
# What the client itself wrote before.
CLAIMED = [
    b"",
    b"127.0.0.1",
    b"127.0.0.1:1",
    b"[::1]:1, 198.51.100.1",
    b"\xff\xfe\x80",
    b"%REQ(x)%",
    b"'\\1\\4",
    b"]" * 10,
]


@pytest.fixture(scope="module", params=[1, 2, 16])
def behind(world: World, request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """Behind so many proxies. One network is exempt from a small limit."""
    name = f"behind-{request.param}-{time.monotonic_ns()}"
    applications: dict[str, object] = {
        "main": application(world.upstream.url, public_paths=["/public/"])
    }
    limit = {"per_second": 1, "burst": 5, "exempt": ["198.51.100.0/24"], "network_factor": 0}
    gateway = {"trusted_hops": request.param, "rate_limit": limit}
    with world.gateway(name, applications, gateway=gateway) as made:
        yield made


def written(gateway: Gateway, entry: str, claimed: bytes = b"") -> str:
    """X-Forwarded-For as the trusted proxies write it; each but the first adds the one before."""
    proxies = ", 10.0.0.1:80" * (gateway.settings.gateway.trusted_hops - 1)
    before = claimed.decode("latin-1") + ", " if claimed else ""
    return f"x-forwarded-for: {before}{entry}{proxies}"


def client(gateway: Gateway, world: World, *lines: str) -> str:
    """Whom Envoy takes for the client of a request with these lines."""
    assert gateway.client.get("/public/x", *lines).status == 200
    (address,) = world.upstream.received[-1].values("x-envoy-external-address")
    return address


@pytest.mark.parametrize(("entry", "address", "left"), ENTRIES)
def test_a_port_beside_the_client_s_address_is_left_out(
    behind: Gateway, world: World, asked: list[Asked], entry: str, address: str, left: str
) -> None:
    """Wild case 18: Azure's Application Gateway writes it."""
    assert client(behind, world, written(behind, entry)) == address
    (received,) = world.upstream.received
    (header,) = received.values("x-forwarded-for")
    entries = [each.strip() for each in header.split(",")]
    proxies = behind.settings.gateway.trusted_hops - 1
    # The last one is Envoy's own.
    assert entries[:-1] == [left, *["10.0.0.1:80"] * proxies]


@pytest.mark.threat("bounds")
@pytest.mark.parametrize("times", [1, 400, 10_000])
def test_nothing_that_a_client_writes_before_the_proxies_changes_its_address(
    behind: Gateway, world: World, asked: list[Asked], times: int
) -> None:
    """Otherwise it would choose the address by which it is limited."""
    for claimed in CLAIMED:
        text = b",".join([claimed] * times)[:60_000]
        for address, entry in (
            ("203.0.113.7", "203.0.113.7:1"),
            ("2001:db8::7", "[2001:db8::7]:1"),
        ):
            line = written(behind, entry, text)
            assert client(behind, world, line) == address, claimed
            (received,) = world.upstream.received[-1].values("x-forwarded-for")
            # Of a long header, only what the proxies wrote is left.
            is_kept = text and len(line) < 1024
            left = text + b", " if is_kept else address.encode()
            assert received.encode("latin-1").startswith(left), claimed


def test_several_lines_are_one_list(behind: Gateway, world: World, asked: list[Asked]) -> None:
    claimed = "x-forwarded-for: 127.0.0.1:1"
    assert client(behind, world, claimed, written(behind, "203.0.113.7:51812")) == "203.0.113.7"


def test_without_the_header_the_proxy_is_the_client(
    behind: Gateway, world: World, asked: list[Asked]
) -> None:
    assert client(behind, world) == PROXY


@pytest.mark.threat("bounds")
def test_each_client_behind_such_a_proxy_has_a_limit_of_its_own(
    behind: Gateway, asked: list[Asked]
) -> None:
    """Of 50 users who came from ten addresses, 41 were once answered 429."""

    def status(entry: str) -> int:
        return behind.client.get("/x", written(behind, entry)).status

    number = time.monotonic_ns() % 200
    users = [
        entry
        for each in range(5)
        for entry in (f"203.0.{number}.{each}:51812", f"[2001:db8:{number}:{each}::7]:51812")
    ]
    assert {status(user) for user in users for _ in range(5)} == {303}
    heard = asked[-1].headers["x-forwarded-for"].decode()
    assert heard.startswith(f"2001:db8:{number}:4::7,"), "what the sessions page shows"
    assert 429 in {status("192.0.2.7:1") for _ in range(60)}
    assert {status("198.51.100.9:1") for _ in range(60)} == {303}, "an exempt network"


def test_without_a_trusted_proxy_no_header_counts(world: World, asked: list[Asked]) -> None:
    name = f"alone-{time.monotonic_ns()}"
    applications: dict[str, object] = {
        "main": application(world.upstream.url, public_paths=["/public/"])
    }
    with world.gateway(name, applications) as gateway:
        for entry in ("203.0.113.7:51812", "203.0.113.7"):
            assert client(gateway, world, f"x-forwarded-for: {entry}") == PROXY
