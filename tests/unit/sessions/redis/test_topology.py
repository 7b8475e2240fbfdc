"""Which server has a key, as servers on loopback say."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from harness.redis import PATIENT
from harness.resp import bulk, serving

from extproc.addresses import Address
from extproc.sessions.redis.connection import Login
from extproc.sessions.redis.errors import Unreachable
from extproc.sessions.redis.server import Limits
from extproc.sessions.redis.topology import SLOTS, Cluster, Sentinel, Single, slot_of

LIMITS = Limits(operation=PATIENT, connect=PATIENT)
GONE = Address("127.0.0.1", 1)


@asynccontextmanager
async def connections() -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        yield nursery
        nursery.cancel_scope.cancel()


def named(address: Address) -> bytes:
    return bulk(address.host.encode(), str(address.port).encode())


def master(words: list[bytes]) -> bytes:
    return bulk(b"master") if words[0] == b"ROLE" else b"+PONG\r\n"


def test_the_slot_of_a_key_is_that_of_the_cluster_specification():
    assert slot_of(b"123456789") == 0x31C3 % SLOTS
    assert slot_of(b"{user1000}.following") == slot_of(b"{user1000}.followers")
    assert slot_of(b"foo{bar}{zap}") == slot_of(b"bar")


async def test_a_single_server_has_every_key():
    async with connections() as nursery, serving(master) as address:
        single = Single(address, Login(), LIMITS, nursery)
        await single.look()
        assert single.server(b"any").address == address
        assert single.masters() == [single.server(b"other")]


async def test_a_single_server_that_is_away_is_said_by_its_address():
    async with connections() as nursery:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1"):
            await Single(GONE, Login(), LIMITS, nursery).look()


async def test_a_single_server_that_refuses_a_probe_is_not_there():
    async with (
        connections() as nursery,
        serving(lambda _: b"-LOADING Redis is loading\r\n") as address,
    ):
        with pytest.raises(Unreachable, match="LOADING"):
            await Single(address, Login(), LIMITS, nursery).look()


async def test_the_master_is_the_one_that_a_sentinel_names_and_that_is_one():
    async with (
        connections() as nursery,
        serving(master) as there,
        serving(lambda _: named(there)) as sentinel,
    ):
        topology = Sentinel((GONE, sentinel), "lab", Login(), Login(), LIMITS, nursery)
        with pytest.raises(Unreachable, match="no sentinel was asked yet"):
            topology.server(b"any")
        await topology.look()
        assert topology.server(b"any").address == there
        assert [server.address for server in topology.masters()] == [there]


async def test_a_server_that_is_named_and_no_master_is_not_used():
    async with (
        connections() as nursery,
        serving(lambda _: bulk(b"slave")) as demoted,
        serving(lambda _: named(demoted)) as sentinel,
    ):
        topology = Sentinel((sentinel,), "lab", Login(), Login(), LIMITS, nursery)
        with pytest.raises(Unreachable, match="is named as master and is none"):
            await topology.look()
        with pytest.raises(Unreachable):
            topology.masters()


async def test_a_master_that_no_sentinel_knows_is_an_error_with_its_name():
    async with connections() as nursery, serving(lambda _: b"_\r\n") as sentinel:
        topology = Sentinel((sentinel,), "another", Login(), Login(), LIMITS, nursery)
        with pytest.raises(Unreachable, match="no sentinel knows a master named another"):
            await topology.look()


async def test_sentinels_that_go_take_no_master_away():
    async with connections() as nursery, serving(master) as there:
        async with serving(lambda _: named(there)) as sentinel:
            topology = Sentinel((sentinel,), "lab", Login(), Login(), LIMITS, nursery)
            await topology.look()
        await topology.look()
        assert topology.server(b"any").address == there


def slots(*ranges: tuple[int, int, bytes, int]) -> bytes:
    """A reply to CLUSTER SLOTS."""
    reply = b"*%d\r\n" % len(ranges)
    for first, last, host, port in ranges:
        node = b"*2\r\n$%d\r\n%s\r\n:%d\r\n" % (len(host), host, port)
        reply += b"*3\r\n:%d\r\n:%d\r\n%s" % (first, last, node)
    return reply


async def test_a_cluster_has_each_key_at_the_master_of_its_slot():
    low, high = slot_of(b"bar"), slot_of(b"foo")
    assert low < high, "as the specification has it"
    reply = slots((0, low, b"", 7001), (low + 1, SLOTS - 1, b"127.0.0.2", 7002))
    async with connections() as nursery, serving(lambda _: reply) as seed:
        cluster = Cluster((GONE, seed), Login(), LIMITS, nursery)
        with pytest.raises(Unreachable, match="no node was asked yet"):
            cluster.server(b"bar")
        await cluster.look()
        # A node that does not know its own name is where it was asked.
        assert cluster.server(b"bar").address == Address(seed.host, 7001)
        assert cluster.server(b"foo").address == Address("127.0.0.2", 7002)
        assert len(cluster.masters()) == 2
        assert cluster.at(Address("127.0.0.2", 7002)) is cluster.server(b"foo")


async def test_a_slot_that_no_node_has_is_an_error_of_its_keys_alone():
    low = slot_of(b"bar")
    async with connections() as nursery, serving(lambda _: slots((0, low, b"", 7001))) as seed:
        cluster = Cluster((seed,), Login(), LIMITS, nursery)
        await cluster.look()
        assert cluster.server(b"bar").address.port == 7001
        with pytest.raises(Unreachable, match="no node has this slot"):
            cluster.server(b"foo")
        with pytest.raises(Unreachable, match="no node has this slot"):
            cluster.masters()


async def test_a_cluster_of_which_no_node_answers_is_away():
    async with connections() as nursery:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1"):
            await Cluster((GONE,), Login(), LIMITS, nursery).look()
