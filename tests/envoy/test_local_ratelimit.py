"""How often one address may ask: who shares a limit, who has none, and that nobody gets around it.
On the real Envoy.
"""

import itertools
import json
import socket
from collections.abc import Callable, Iterator, Sequence

import pytest
import yaml
from harness.envoy import EnvoyProcess
from harness.envoy_parts import Asked, Client, Reply
from harness.envoy_world import Gateway, World, application
from harness.ports import free_port
from harness.processes import wait_until

from extproc.envoyconfig import to_yaml

MANY = 60  # requests; where a limit applies, fewer do
BURST = 5
FLOOD = "203.0.113.7"


def behind(address: str) -> str:
    """What a trusted proxy writes."""
    return f"x-forwarded-for: {address}"


def refused(ask: Callable[[], Reply]) -> Reply:
    """Asks until the limit is reached, which a request that is not limited never does."""
    for _ in range(10 * MANY):
        if (reply := ask()).status == 429:
            return reply
    raise AssertionError(f"no 429 in {10 * MANY} requests; the last was {reply.status}")


def statuses(ask: Callable[[], Reply], count: int = MANY) -> set[int]:
    return {ask().status for _ in range(count)}


@pytest.fixture(scope="module")
def limited(world: World) -> Iterator[Gateway]:
    """One trusted proxy before it; 5 requests at once, one a second."""
    url = world.upstream.url
    applications: dict[str, object] = {
        "main": application(url, public_paths=["/public/"]),
        "wiki": application(url, path_prefix="/wiki/"),
        "assets": application(url, path_prefix="/assets/", exclude=True),
        "api": application(
            url,
            path_prefix="/api/",
            rules=[
                {
                    "name": "open",
                    "paths": ["/api/"],
                    "login": "optional",
                    "accept": ["bearer", "session"],
                }
            ],
        ),
    }
    limit = {
        "per_second": 1,
        "burst": BURST,
        "exempt": ["198.51.100.0/24"],
        "network_factor": 0,
    }
    with world.gateway(
        "limited", applications, gateway={"trusted_hops": 1, "rate_limit": limit}
    ) as gateway:
        yield gateway


def test_a_flood_from_one_address_is_answered_429_and_nobody_else_is(
    limited: Gateway, world: World, asked: list[Asked]
) -> None:
    client = limited.client
    reply = refused(lambda: client.get("/flood?code=canary", behind(FLOOD)))
    assert json.loads(reply.body)["request_id"] == reply.get("x-request-id")
    assert int(reply.get("retry-after") or 0) > 0
    assert reply.get("cache-control") == "no-store"
    assert client.get("/", behind("203.0.113.8")).status == 303, "another address"
    cookie = limited.cookie("main")
    assert statuses(lambda: client.get("/", behind(FLOOD), cookie=cookie)) == {200}, (
        "a signed-in user of that address"
    )
    assert {stream.path for stream in asked} == {"/flood?code=canary", "/"}
    wait_until(lambda: "local_rate_limited" in limited.access_log(), 60, "the access log")
    line = next(
        json.loads(each)
        for each in limited.access_log().splitlines()
        if "local_rate_limited" in each
    )
    assert (line["status"], line["details"], line["flags"], line["client"]) == (
        429,
        "local_rate_limited",
        "RL",
        FLOOD,
    )


@pytest.mark.parametrize("path", ["/public/x", "/assets/x", "/wiki", "/nothing-here"])
def test_what_needs_no_login_has_no_limit(limited: Gateway, asked: list[Asked], path: str) -> None:
    host = "nope.test" if path == "/nothing-here" else None
    assert 429 not in statuses(lambda: limited.client.get(path, behind("203.0.113.20"), host=host))


@pytest.mark.parametrize(
    ("number", "path", "cookie"),
    [
        (1, "/x", ""),
        (2, "/oauth2/login", ""),
        (3, "/oauth2/callback?code=x", ""),
        (4, "/wiki/oauth2/logout", ""),
        (5, "/x", "extproc-session-main=garbage"),
        (6, "/x", "extproc-assertion-main=garbage"),
        (7, "/x", "TWICE"),
        (8, "/wiki/", "MAIN"),
        (9, "/oauth2/login", "MAIN"),
    ],
)
def test_every_request_that_the_processor_decides_counts(
    limited: Gateway, asked: list[Asked], number: int, path: str, cookie: str
) -> None:
    good = limited.cookie("main")
    sent = {"TWICE": f"{good}; {good}", "MAIN": good}.get(cookie, cookie)
    refused(lambda: limited.client.get(path, behind(f"203.0.113.{100 + number}"), cookie=sent))


def test_one_bucket_serves_all_applications(limited: Gateway, asked: list[Asked]) -> None:
    paths = itertools.cycle(["/x", "/wiki/x", "/oauth2/login", "/wiki/oauth2/login"])
    refused(lambda: limited.client.get(next(paths), behind("203.0.113.30")))
    assert 0 < len(asked) <= 10 * BURST


@pytest.mark.parametrize("sent", ["192.0.2.{n}, 203.0.113.40", "203.0.113.41, 203.0.113.40"])
def test_what_a_client_says_about_itself_to_the_proxy_does_not_count(
    limited: Gateway, asked: list[Asked], sent: str
) -> None:
    numbers = itertools.cycle(range(250))
    refused(lambda: limited.client.get("/x", behind(sent.format(n=next(numbers)))))


def test_without_a_trusted_proxy_x_forwarded_for_does_not_count(
    world: World, asked: list[Asked]
) -> None:
    own = own_address()
    limit = {"rate_limit": {"per_second": 1, "burst": BURST}}
    applications: dict[str, object] = {"main": application(world.upstream.url)}
    with world.gateway("untrusted", applications, gateway=limit) as gateway:
        client, numbers = Client(gateway.client.port, source=own), itertools.count(1)
        refused(lambda: client.get("/x", behind(f"198.18.0.{next(numbers) % 250}")))
        assert statuses(lambda: gateway.client.get("/x", behind(own))) == {303}, (
            "loopback is exempt, whatever it says"
        )


def own_address() -> str:
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has loopback only")
        return str(probe.getsockname()[0])


@pytest.mark.parametrize(
    ("addresses", "shared"),
    [
        (["2001:db8:1::{n:x}"], True),
        (["2001:db8:2:{n:x}::1"], False),
        (["::ffff:203.0.113.{n}"], False),  # as a dual-stack proxy writes IPv4
        (["100.64.0.{n}"], False),
        (["198.51.100.1"], False),  # exempt
        (["127.0.0.1"], False),
        (["::1"], False),
    ],
)
def test_a_limit_is_for_an_ipv4_address_and_for_a_64_of_ipv6(
    limited: Gateway, asked: list[Asked], addresses: Sequence[str], shared: bool
) -> None:
    numbers = iter(range(1, 200))
    replies = statuses(
        lambda: limited.client.get("/x", behind(addresses[0].format(n=next(numbers))))
    )
    assert (429 in replies) is shared


@pytest.fixture(scope="module")
def networks(world: World) -> Iterator[Gateway]:
    """Twice as much for a /24 and a /56 as for an address, and 8 times as much for a /48."""
    limit = {"per_second": 1, "burst": BURST, "network_factor": 2}
    applications: dict[str, object] = {"main": application(world.upstream.url)}
    gateway = {"trusted_hops": 1, "rate_limit": limit}
    with world.gateway("networks", applications, gateway=gateway) as made:
        yield made


@pytest.mark.threat("bounds")
@pytest.mark.parametrize(
    ("address", "shared"),
    [
        ("198.18.7.{n}", True),
        ("198.19.{n}.7", False),
        ("2001:db8:1:a{n:02x}::1", True),  # one /56
        ("2001:db8:2:{n:02x}00::1", True),  # one /48, each of another /56
        ("2001:db9:{n:x}::1", False),
        ("::ffff:198.18.{n}.8", False),
    ],
)
def test_a_customer_with_many_addresses_shares_a_larger_limit(
    networks: Gateway, asked: list[Asked], address: str, shared: bool
) -> None:
    """One customer may have a /56 or a /48 of IPv6: 256 or 65,536 times a /64."""
    numbers = itertools.cycle(range(1, 250))
    replies = statuses(
        lambda: networks.client.get("/x", behind(address.format(n=next(numbers)))), 4 * MANY
    )
    assert (429 in replies) is shared


def test_a_network_may_send_more_than_one_of_its_addresses(
    networks: Gateway, asked: list[Asked]
) -> None:
    first = statuses(lambda: networks.client.get("/x", behind("198.18.200.1")), 2 * BURST)
    assert 429 in first
    assert networks.client.get("/x", behind("198.18.200.2")).status == 303


def test_grpc_clients_get_resource_exhausted(limited: Gateway, asked: list[Asked]) -> None:
    lines = (behind("203.0.113.50"), "content-type: application/grpc")
    for _ in range(10 * MANY):
        reply = limited.client.get("/x", *lines, method="POST")
        if reply.get("grpc-status") == "8":
            break
    assert (reply.status, reply.get("grpc-status")) == (200, "8")
    assert int(reply.get("retry-after") or 0) > 0


@pytest.mark.threat("bounds")
def test_the_number_of_addresses_is_bounded(
    limited: Gateway, world: World, asked: list[Asked], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The address that was idle longest goes, so a flood of addresses costs no more memory. 20,000
    in the real one.
    """
    text = to_yaml(limited.settings)
    assert text.count("max_dynamic_descriptors: 20000") == 1
    config = yaml.safe_load(
        text.replace("max_dynamic_descriptors: 20000", "max_dynamic_descriptors: 3")
    )
    port = free_port()
    config["static_resources"]["listeners"][0]["address"]["socket_address"]["port_value"] = port
    directory = tmp_path_factory.mktemp("bounded")
    with EnvoyProcess(yaml.safe_dump(config), envoy=world.envoy, port=port, directory=directory):
        client = Client(port)
        refused(lambda: client.get("/x", behind(FLOOD)))
        assert [client.get("/x", behind(f"203.0.113.{n}")).status for n in range(100, 103)] == [
            303
        ] * 3
        assert statuses(lambda: client.get("/x", behind(FLOOD)), BURST) == {303}, (
            "forgotten: a whole burst again"
        )


@pytest.mark.parametrize("rate_limit", [{"per_second": 0, "burst": 1}, {}])
def test_no_limit_and_the_default_one_let_a_few_hundred_requests_pass(
    world: World, asked: list[Asked], rate_limit: dict[str, int]
) -> None:
    applications: dict[str, object] = {"main": application(world.upstream.url)}
    gateway = {"trusted_hops": 1, "rate_limit": rate_limit}
    with world.gateway(f"few-{len(rate_limit)}", applications, gateway=gateway) as made:
        assert statuses(lambda: made.client.get("/x", behind(FLOOD)), 300) == {303}


def test_without_a_fast_path_everybody_counts(world: World, asked: list[Asked]) -> None:
    applications: dict[str, object] = {"main": application(world.upstream.url)}
    gateway = {"trusted_hops": 1, "rate_limit": {"per_second": 1, "burst": BURST}}
    with world.gateway(
        "asks", applications, gateway=gateway, identity={"assertion_lifetime": 0}
    ) as made:
        refused(
            lambda: made.client.get("/x?stub=continue", behind(FLOOD), cookie=made.cookie("main"))
        )
        assert made.client.get("/x?stub=continue", behind("203.0.113.8")).status == 200


def test_tokens_count_where_everybody_else_may_come_in(limited: Gateway) -> None:
    def ask(*lines: str) -> Reply:
        return limited.client.get("/api/x", behind("192.0.2.91"), *lines)

    assert statuses(ask) == {200}
    assert refused(lambda: ask("authorization: Bearer x")).status == 429
    assert statuses(ask, 3) == {200}
