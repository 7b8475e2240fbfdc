"""Which server has a key: the only one, the master that Sentinel names, or the master of a slot of
a cluster.
"""

import binascii
import re
from collections.abc import Iterable
from typing import Protocol, cast

import trio
from coredis.exceptions import RedisError

from extproc.addresses import Address
from extproc.sessions.redis.connection import Login, Reply
from extproc.sessions.redis.errors import Unreachable, explain
from extproc.sessions.redis.server import Limits, Server

# Of every cluster (Redis Cluster specification).
SLOTS = 16384


class Topology(Protocol):
    """Servers, and which of them has which keys."""

    async def look(self) -> None:
        """Find the masters, and probe servers that failed. Raises Unreachable if none replies."""

    def server(self, key: bytes) -> Server:
        """Give the master that has the key. Raises Unreachable if none is known."""

    def masters(self) -> list[Server]:
        """List all masters, in a stable order. Raises Unreachable if one is not known."""

    def at(self, address: Address) -> Server:
        """Give the server at an address that another server named."""


class _Servers:
    """Servers by address, made when an address is first named."""

    def __init__(self, login: Login, limits: Limits, nursery: trio.Nursery) -> None:
        self._login, self._limits, self._nursery = login, limits, nursery
        self._servers: dict[Address, Server] = {}

    def at(self, address: Address) -> Server:
        if address not in self._servers:
            self._servers[address] = Server(address, self._login, self._limits, self._nursery)
        return self._servers[address]

    def keep(self, addresses: Iterable[Address]) -> None:
        """Forget all other servers, and close their connections."""
        for address in self._servers.keys() - set(addresses):
            self._servers.pop(address).close()


class Single(_Servers):
    """One server, which has every key."""

    def __init__(
        self, address: Address, login: Login, limits: Limits, nursery: trio.Nursery
    ) -> None:
        super().__init__(login, limits, nursery)
        self._server = self.at(address)

    async def look(self) -> None:
        try:
            await self._server.probe(b"PING")
        except RedisError as error:
            raise Unreachable(f"{self._server.address}: {explain(error)}") from None

    def server(self, key: bytes) -> Server:
        return self._server

    def masters(self) -> list[Server]:
        return [self._server]


class Sentinel(_Servers):
    """The master of a name, if a sentinel names it and the server itself agrees."""

    def __init__(
        self,
        sentinels: tuple[Address, ...],
        name: str,
        login: Login,
        at_sentinel: Login,
        limits: Limits,
        nursery: trio.Nursery,
    ) -> None:
        """
        Args:
            sentinels: that know the master.
            name: of the master.
            login: at the master.
            at_sentinel: the login at the sentinels.
            limits: of connections and operations.
            nursery: in which the connections live.
        """
        super().__init__(login, limits, nursery)
        self._name = name
        self._sentinels = [Server(address, at_sentinel, limits, nursery) for address in sentinels]
        self._sentinel_setting = at_sentinel.setting
        self._master: Server | None = None
        self._why = "no sentinel was asked yet"

    async def look(self) -> None:
        self._why = f"no sentinel knows a master named {self._name}"
        checked: set[Address] = set()
        for sentinel in tuple(self._sentinels):
            address = await self._named_by(sentinel)
            if address is None or address in checked:
                continue
            checked.add(address)
            if await self._is_master(self.at(address)):
                return
        # The known master stays while the sentinels are away.
        if self._master is None or not await self._is_master(self._master):
            self._master = None
            raise Unreachable(self._why)

    async def _named_by(self, sentinel: Server) -> Address | None:
        """Ask a sentinel for the master's address; None if it names none, or does not reply."""
        try:
            named = await sentinel.probe(b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", self._name)
        except Unreachable as error:
            self._failed(sentinel, str(error))
            return None
        except RedisError as error:
            self._failed(sentinel, explain(error, self._sentinel_setting))
            return None
        return _address(named) if isinstance(named, list) else None

    def _failed(self, sentinel: Server, why: str) -> None:
        """Keep the reason, and ask this sentinel last at the next look."""
        self._why = f"sentinel {sentinel.address}: {why}"
        self._sentinels.remove(sentinel)
        self._sentinels.append(sentinel)

    async def _is_master(self, server: Server) -> bool:
        """Ask a server for its role, and keep it if it is a master.

        After a failover, the sentinels and the old master itself may not know of it yet.
        """
        try:
            role = await server.probe(b"ROLE")
        except Unreachable as error:
            self._why = str(error)
            return False
        except RedisError as error:
            self._why = f"{server.address}: {explain(error)}"
            return False
        if not (isinstance(role, list) and role and role[0] == b"master"):
            self._why = f"{server.address}: is named as master and is none"
            return False
        self._master = server
        self.keep([server.address])
        return True

    def server(self, key: bytes) -> Server:
        if self._master is None:
            raise Unreachable(self._why)
        return self._master

    def masters(self) -> list[Server]:
        return [self.server(b"")]


class Cluster(_Servers):
    """The masters of a cluster's slots, as any node of the cluster names them."""

    def __init__(
        self, seeds: tuple[Address, ...], login: Login, limits: Limits, nursery: trio.Nursery
    ) -> None:
        """
        Args:
            seeds: some nodes of the cluster.
            login: at every node.
            limits: of connections and operations.
            nursery: in which the connections live.
        """
        super().__init__(login, limits, nursery)
        self._seeds = seeds
        self._slots: list[Address | None] = [None] * SLOTS
        self._why = "no node was asked yet"

    async def look(self) -> None:
        masters = [address for address in self._slots if address is not None]
        nodes = dict.fromkeys((*masters, *self._seeds))
        for address in sorted(nodes, key=lambda address: self.at(address).breaker.open):
            if await self._read_slots(address):
                break
        else:
            raise Unreachable(self._why)
        await self._probe()

    async def _read_slots(self, address: Address) -> bool:
        """Ask a node for the slots of all masters; whether it replied."""
        try:
            ranges = await self.at(address).probe(b"CLUSTER", b"SLOTS")
        except Unreachable as error:
            self._why = str(error)
            return False
        except RedisError as error:
            self._why = f"{address}: {explain(error)}"
            return False
        self._take(cast(list[Reply], ranges), address)
        return True

    def _take(self, ranges: list[Reply], asked: Address) -> None:
        """Keep the reply to CLUSTER SLOTS.

        Args:
            ranges: [first, last, [host, port, ...], replica...] of each range. A node that does not
                know its own name leaves the host empty.
            asked: the node that replied.
        """
        slots: list[Address | None] = [None] * SLOTS
        for first, last, (host, port, *_), *_ in cast(list[tuple[int, int, list[Reply]]], ranges):
            slots[first : last + 1] = [_address([host or asked.host, port])] * (last + 1 - first)
        self._slots = slots
        self._why = "no node has this slot"
        self.keep({address for address in slots if address is not None} | set(self._seeds))

    async def _probe(self) -> None:
        """Ask the masters that failed whether they are back. Raises Unreachable if one is not."""
        failed = [
            server
            for server in self._servers.values()
            if server.breaker.open and server.address in set(self._slots)
        ]
        for server in failed:
            try:
                await server.probe(b"PING")
            except RedisError as error:
                raise Unreachable(f"{server.address}: {explain(error)}") from None

    def server(self, key: bytes) -> Server:
        address = self._slots[slot_of(key)]
        if address is None:
            raise Unreachable(self._why)
        return self.at(address)

    def masters(self) -> list[Server]:
        addresses = list(dict.fromkeys(self._slots))
        if None in addresses:
            raise Unreachable(self._why)
        return [self.at(address) for address in addresses if address is not None]


def slot_of(key: bytes) -> int:
    """Give the slot of a key (Redis Cluster specification).

    It is the CRC16 (XMODEM) of what is in the key's first braces, or of the whole key.
    """
    tag = re.search(rb"\{([^}]+)\}", key)
    return binascii.crc_hqx(tag[1] if tag else key, 0) % SLOTS


def _address(named: list[Reply]) -> Address:
    host, port = (word.decode() if isinstance(word, bytes) else str(word) for word in named[:2])
    return Address(host, int(port))
