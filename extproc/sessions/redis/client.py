"""Commands to Redis, wherever their key is: redirections, and one retry."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import trio
from coredis.exceptions import (
    AskError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    WrongTypeError,
)

from extproc import background
from extproc.addresses import Address
from extproc.core.errors import StoreUnavailable
from extproc.sessions.redis.connection import Reply, Word
from extproc.sessions.redis.errors import Unreachable, explain
from extproc.sessions.redis.keeper import Keeper
from extproc.sessions.redis.scripts import Script
from extproc.sessions.redis.server import Limits
from extproc.sessions.redis.topology import Topology

# Redirections of one command, at most.
HOPS = 4


@dataclass(frozen=True, slots=True)
class ScanStep:
    """Some keys, and where the next step begins: `server` is None after the last one."""

    keys: list[bytes]
    server: int | None
    cursor: int


class Client:
    """Sends commands to the server that has their key.

    A command is sent once more after a lost connection, so it must have the same effect twice.
    """

    def __init__(
        self, topology: Callable[[trio.Nursery], Topology], limits: Limits, prefix: bytes
    ) -> None:
        """
        Args:
            topology: makes the servers, whose connections live in the nursery.
            limits: of connections and operations.
            prefix: of every key.
        """
        self._operation = limits.operation
        self._probe_key = prefix + b"probe"
        self._keeper = Keeper(topology, self._probe, limits.connect)

    @property
    def missing(self) -> str | None:
        """Why the servers cannot be used right now, for the operator; None if they can."""
        return self._keeper.missing

    def start(self) -> None:
        """Connect, and look from then on whether the servers are there."""
        self._keeper.start()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._keeper.aclose()

    async def begin(self) -> float:
        """Give the deadline of an operation that begins now, on trio's clock.

        The very first operations wait for the connection before.
        """
        await self._keeper.first_look()
        return trio.current_time() + self._operation

    async def command(
        self, key: bytes, *words: Word, until: float | None = None, replicas: int = 0
    ) -> Reply:
        """Send one command.

        Args:
            key: in whose slot the command's keys are.
            words: of the command.
            until: the deadline, as begin() gave it; a new one by default.
            replicas: how many have to follow, as Server.write().

        Raises:
            StoreUnavailable: there was no reply, or it is an error.
        """
        with _unavailable():
            return await self._send(key, words, until or await self.begin(), replicas)

    async def values(self, key: bytes, *words: Word) -> Reply:
        """Send one command that reads a key; None if the key holds another type.

        No version of this program wrote such a key. Raises StoreUnavailable as command().
        """
        with _unavailable():
            try:
                return await self._send(key, words, await self.begin())
            except WrongTypeError:
                return None

    async def script(
        self,
        script: Script,
        keys: tuple[bytes, ...],
        *arguments: Word,
        until: float | None = None,
        replicas: int = 0,
    ) -> Reply:
        """Run a script.

        Args:
            script: the script.
            keys: of the script, all in one slot.
            arguments: of the script.
            until: the deadline, as begin() gave it; a new one by default.
            replicas: how many have to follow, as Server.write().

        Raises:
            StoreUnavailable: there was no reply, or it is an error.
        """
        until = until or await self.begin()
        rest = (len(keys), *keys, *arguments)
        with _unavailable():
            try:
                return await self._send(keys[0], (b"EVALSHA", script.sha, *rest), until, replicas)
            except NoScriptError:
                return await self._send(keys[0], (b"EVAL", script.text, *rest), until, replicas)

    async def scan(self, pattern: bytes, server: int, cursor: int, limit: int) -> ScanStep:
        """Take a step through the keys of all masters.

        Args:
            pattern: of the keys.
            server: number of the master, from the step before; 0 for the first step.
            cursor: from the step before; 0 for the first step.
            limit: about how many keys a step has.

        Raises:
            StoreUnavailable: there was no reply, or it is an error.
        """
        with _unavailable():
            until = await self.begin()
            masters = self._keeper.topology().masters()
            if server >= len(masters):
                # There are fewer masters than at the first step.
                return ScanStep([], None, 0)
            words = (b"SCAN", cursor, b"MATCH", pattern, b"COUNT", limit)
            reply = await masters[server].call(*words, until=until)
            following, keys = cast(tuple[bytes, list[bytes]], reply)
            if int(following):
                return ScanStep(list(keys), server, int(following))
        following_server = server + 1 if server + 1 < len(masters) else None
        return ScanStep(keys, following_server, 0)

    async def _send(
        self, key: bytes, words: tuple[Word, ...], until: float, replicas: int = 0
    ) -> Reply:
        """Send a command to its key's server, follow redirections, and send it once more if that
        may help.
        """
        topology = self._keeper.topology()
        target = topology.server(key)
        asking = False
        retried = False
        for _ in range(HOPS):
            try:
                return await target.write(*words, until=until, replicas=replicas, asking=asking)
            except AskError as error:
                # MovedError is an AskError of coredis. A node that does not know its own name
                # leaves the host empty: then the other port is on the same host.
                target = topology.at(Address(error.host or target.address.host, error.port))
                asking = not isinstance(error, MovedError)
                if not asking:
                    self._keeper.suspect()
            except (Unreachable, ReadOnlyError) as error:
                self._keeper.suspect()
                hopeless = isinstance(error, Unreachable) and not error.retry
                if retried or hopeless:
                    raise
                target = topology.server(key)
                asking = False
                retried = True
        raise Unreachable("redirected in a circle")

    async def _probe(self) -> None:
        """Write a key, so that a fault of writes is known before a user meets it."""
        words = (b"SET", self._probe_key, 1, b"PX", 10_000)
        await self._send(self._probe_key, words, trio.current_time() + self._operation)


@contextmanager
def _unavailable() -> Iterator[None]:
    """Turn every error into StoreUnavailable, also one that an invalid reply caused."""
    try:
        yield
    except Unreachable as error:
        raise StoreUnavailable(f"redis: {error}") from None
    except RedisError as error:
        raise StoreUnavailable(f"redis: {explain(error)}") from None
    except Exception as error:
        background.bug("store_failed", error, store="redis")
        raise StoreUnavailable(f"redis: {type(error).__qualname__}") from error
