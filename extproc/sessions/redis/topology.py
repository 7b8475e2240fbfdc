"""Where a key's server is: one server, the master that Sentinel names, or the master of a slot in a
cluster.
"""

import binascii
import re
from collections.abc import Iterable
from typing import Protocol, cast

import trio
from coredis.exceptions import RedisError

from extproc.addresses import Address
from extproc.sessions.redis.connection import Limits, Login, Reply, Server
from extproc.sessions.redis.errors import Unreachable, explain

SLOTS = 16384


class Topology(Protocol):
    """A way to set servers up."""

    async def look(self) -> None:
        """Finds out where things are, and probes what failed. Raises Unreachable when there is
        nobody to be asked.
        """

    def server(self, key: bytes) -> Server:
        """The master that has the key. Raises Unreachable when none is known."""

    def masters(self) -> list[Server]:
        """All of them, in an order that stays. Raises Unreachable when one is not known."""

    def at(self, address: Address) -> Server:
        """The server at an address that another one named."""


class _Servers:
    """Servers by address, made when they are first named."""

    def __init__(self, login: Login, limits: Limits, nursery: trio.Nursery) -> None:
        self._login, self._limits, self._nursery = login, limits, nursery
        self._servers: dict[Address, Server] = {}

    def at(self, address: Address) -> Server:
        if address not in self._servers:
            self._servers[address] = Server(address, self._login, self._limits, self._nursery)
        return self._servers[address]

    def keep(self, addresses: Iterable[Address]) -> None:
        """Closes the connections to all others."""
        for address in self._servers.keys() - set(addresses):
            self._servers.pop(address).close()


class Single(_Servers):
    """One server, always the same."""

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
    """The master of a name, as the sentinels say and as it says itself."""

    def __init__(
        self,
        sentinels: tuple[Address, ...],
        name: str,
        login: Login,
        at_sentinel: Login,
        limits: Limits,
        nursery: trio.Nursery,
    ) -> None:
        super().__init__(login, limits, nursery)
        self._name = name
        self._sentinels = [Server(address, at_sentinel, limits, nursery) for address in sentinels]
        self._sentinel_setting = at_sentinel.setting
        self._master: Server | None = None
        self._why = "no sentinel was asked yet"

    async def look(self) -> None:
        self._why = f"no sentinel knows a master named {self._name}"
        asked: set[Address] = set()
        for sentinel in tuple(self._sentinels):
            try:
                named = await sentinel.probe(b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", self._name)
            except (Unreachable, RedisError) as error:
                known = (
                    str(error)
                    if isinstance(error, Unreachable)
                    else explain(error, self._sentinel_setting)
                )
                self._why = f"sentinel {sentinel.address}: {known}"
                self._sentinels.remove(sentinel)
                self._sentinels.append(sentinel)  # the last to be asked next time
                continue
            if isinstance(named, list) and (address := _address(named)) not in asked:
                asked.add(address)
                if await self._is_master(self.at(address)):
                    return
        # sentinels that are away take no master away
        if self._master is None or not await self._is_master(self._master):
            self._master = None
            raise Unreachable(self._why)

    async def _is_master(self, server: Server) -> bool:
        """A server that was a master may not know yet that it is none, nor a sentinel."""
        try:
            role = await server.probe(b"ROLE")
        except (Unreachable, RedisError) as error:
            self._why = (
                str(error)
                if isinstance(error, Unreachable)
                else f"{server.address}: {explain(error)}"
            )
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
    """Which master has which slots, as any node of the cluster says."""

    def __init__(
        self, seeds: tuple[Address, ...], login: Login, limits: Limits, nursery: trio.Nursery
    ) -> None:
        super().__init__(login, limits, nursery)
        self._seeds = seeds
        self._slots: list[Address | None] = [None] * SLOTS
        self._why = "no node was asked yet"

    async def look(self) -> None:
        known = dict.fromkeys(
            (*(address for address in self._slots if address is not None), *self._seeds)
        )
        for address in sorted(known, key=lambda address: self.at(address).breaker.open):
            try:
                ranges = await self.at(address).probe(b"CLUSTER", b"SLOTS")
            except (Unreachable, RedisError) as error:
                self._why = (
                    str(error) if isinstance(error, Unreachable) else f"{address}: {explain(error)}"
                )
                continue
            self._read(cast(list[Reply], ranges), address)
            break
        else:
            raise Unreachable(self._why)
        await self._probe()

    def _read(self, ranges: list[Reply], asked: Address) -> None:
        """[first, last, [host, port, ...], replica...]; a node that does not know its own name says
        none.
        """
        slots: list[Address | None] = [None] * SLOTS
        for first, last, (host, port, *_), *_ in cast(list[tuple[int, int, list[Reply]]], ranges):
            slots[first : last + 1] = [_address([host or asked.host, port])] * (last + 1 - first)
        self._slots, self._why = slots, "no node has this slot"
        self.keep({address for address in slots if address is not None} | set(self._seeds))

    async def _probe(self) -> None:
        """A master that failed is asked whether it is back."""
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
    """The slot of a key: CRC16 (XMODEM) of what is in its first braces, or of all of it (Redis
    Cluster specification).
    """
    tag = re.search(rb"\{([^}]+)\}", key)
    return binascii.crc_hqx(tag[1] if tag else key, 0) % SLOTS


def _address(named: list[Reply]) -> Address:
    host, port = (word.decode() if isinstance(word, bytes) else str(word) for word in named[:2])
    return Address(host, int(port))
