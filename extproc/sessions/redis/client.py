"""Commands to Redis, wherever the key is: redirections, one retry, and a keeper task that looks for
servers that are away.
"""

import logging
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

from extproc import background, telemetry
from extproc.addresses import Address
from extproc.core.errors import StoreUnavailable
from extproc.sessions.redis.connection import Reply, Word
from extproc.sessions.redis.errors import Unreachable, explain
from extproc.sessions.redis.scripts import Script
from extproc.sessions.redis.server import Limits
from extproc.sessions.redis.topology import Topology

# Seconds between two looks at the servers, and while one of them is away.
LOOK_EVERY = 2.0
LOOK_AGAIN = 0.2
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
        self._make_topology = topology
        self._limits = limits
        # Written at each look, so that a fault of writes is known before a user meets it.
        self._probe = prefix + b"probe"
        self._topology: Topology | None = None
        self._scope = trio.CancelScope()
        self._started = False
        self._looked = trio.Event()
        self._over = trio.Event()
        self._suspicion = trio.Event()
        self.missing: str | None = "it was not connected to yet"

    def start(self) -> None:
        """Start the keeper task, once. It lives until aclose(), or as long as trio's run.

        It is a system task, because a store is opened where there is no nursery that outlives it.
        """
        if not self._started:
            self._started = True
            trio.lowlevel.spawn_system_task(self._keep)

    async def aclose(self) -> None:
        self._scope.cancel()
        if self._started:
            await self._over.wait()

    async def begin(self) -> float:
        """Give the deadline of an operation that begins now, on trio's clock.

        The very first operations wait for the connection before.
        """
        if not self._looked.is_set():
            self.start()
            with trio.move_on_after(self._limits.connect):
                await self._looked.wait()
        return trio.current_time() + self._limits.operation

    async def _keep(self) -> None:
        """Keep the connections until aclose(), also after errors.

        An exception of a system task would end the process.
        """
        try:
            with self._scope:
                await background.keep("redis", self._keep_up, longest=LOOK_EVERY)
        finally:
            self.missing = "it was closed"
            self._over.set()

    async def _keep_up(self) -> None:
        """Hold the connections, find the servers, and notice when one is back."""
        try:
            async with trio.open_nursery() as nursery:
                topology = self._make_topology(nursery)
                self._topology = topology
                while True:
                    self._suspicion = trio.Event()
                    self._report(await self._look(topology))
                    self._looked.set()
                    with trio.move_on_after(LOOK_EVERY if self.missing is None else LOOK_AGAIN):
                        await self._suspicion.wait()
                        # Other commands meet the same fault at this moment: one look for all.
                        await trio.sleep(LOOK_AGAIN / 2)
        finally:
            self._topology = None
            self.missing = "it met an error, and is connected to again in a moment"
            # An operation in begin() must not wait for a look that does not come.
            self._looked.set()

    async def _look(self, topology: Topology) -> str | None:
        """Look at the servers; the reason why the store is not ready, or None."""
        try:
            await topology.look()
            until = trio.current_time() + self._limits.operation
            await self._send(self._probe, (b"SET", self._probe, 1, b"PX", 10_000), until)
        except Unreachable as error:
            return str(error)
        except RedisError as error:
            return explain(error)
        except Exception as error:
            background.bug("store_failed", error, store="redis")
            return "answers what no Redis says"
        return None

    def _report(self, missing: str | None) -> None:
        """Keep the reason why the store is not ready, and log each change."""
        if missing != self.missing:
            if missing is None:
                telemetry.log(logging.INFO, "store_ready", store="redis")
            else:
                telemetry.log(logging.WARNING, "store_not_ready", store="redis", detail=missing)
        self.missing = missing

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
            masters = self._known().masters()
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
        topology = self._known()
        target = topology.server(key)
        asking = False
        retried = False
        for _ in range(HOPS):
            try:
                return await target.write(*words, until=until, replicas=replicas, asking=asking)
            except AskError as error:
                # MovedError is an AskError of coredis.
                target = topology.at(Address(error.host, error.port))
                asking = not isinstance(error, MovedError)
                if not asking:
                    self._suspect()
            except (Unreachable, ReadOnlyError) as error:
                self._suspect()
                hopeless = isinstance(error, Unreachable) and not error.retry
                if retried or hopeless:
                    raise
                target = topology.server(key)
                asking = False
                retried = True
        raise Unreachable("redirected in a circle")

    def _known(self) -> Topology:
        if self._topology is None:
            raise Unreachable(self.missing or "it was not connected to yet")
        return self._topology

    def _suspect(self) -> None:
        """Have the keeper look at the servers soon."""
        self._suspicion.set()


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
