"""Commands to Redis, wherever the key is: redirections, one retry, and a keeper that looks for what
is away.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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
from extproc.sessions.redis.connection import Limits, Reply, Word
from extproc.sessions.redis.errors import Unreachable, explain
from extproc.sessions.redis.topology import Topology

LOOK_EVERY = 2.0  # seconds
LOOK_AGAIN = 0.2  # while something is away
HOPS = 4  # redirections of one command


@dataclass(frozen=True, slots=True)
class Script:
    """Lua, by its hash: a server that does not know it yet is told."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "sha", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        )


@contextmanager
def _unavailable() -> Iterator[None]:
    """Whatever a store cannot do is StoreUnavailable, and so is an answer that no Redis gives."""
    try:
        yield
    except Unreachable as error:
        raise StoreUnavailable(f"redis: {error}") from None
    except RedisError as error:
        raise StoreUnavailable(f"redis: {explain(error)}") from None
    except Exception as error:
        background.bug("store_failed", error, store="redis")
        raise StoreUnavailable(f"redis: {type(error).__qualname__}") from error


class Client:
    """Every command here may come twice: after a lost connection it is sent once more."""

    def __init__(
        self, topology: Callable[[trio.Nursery], Topology], limits: Limits, prefix: bytes
    ) -> None:
        self._make = topology
        self._limits = limits
        # written now and then: what is wrong with that is known before a user meets it
        self._probe = prefix + b"probe"
        self._topology: Topology | None = None
        self._scope = trio.CancelScope()
        self._started = False
        self._looked, self._over = trio.Event(), trio.Event()
        self._suspicion = trio.Event()
        self.missing: str | None = "it was not connected to yet"

    def start(self) -> None:
        """Starts the keeper, once. It lives as long as trio does, or until `aclose`: a task of
        nobody's nursery.
        """
        if not self._started:
            self._started = True
            trio.lowlevel.spawn_system_task(self._keep)

    async def aclose(self) -> None:
        self._scope.cancel()
        if self._started:
            await self._over.wait()

    async def begin(self) -> float:
        """The deadline of an operation that begins now. The very first ones wait for the connection
        besides.
        """
        if not self._looked.is_set():
            self.start()
            with trio.move_on_after(self._limits.connect):
                await self._looked.wait()
        return trio.current_time() + self._limits.operation

    async def _keep(self) -> None:
        """Until it is closed, after errors too: whatever a system task raises would end the
        process.
        """
        try:
            with self._scope:
                await background.keep("redis", self._keep_up, longest=LOOK_EVERY)
        finally:
            self.missing = "it was closed"
            self._over.set()

    async def _keep_up(self) -> None:
        """Holds the connections, finds out where the servers are, and whether they are back."""
        try:
            async with trio.open_nursery() as nursery:
                topology = self._topology = self._make(nursery)
                while True:
                    self._suspicion = trio.Event()
                    self._tell(await self._look(topology))
                    self._looked.set()
                    with trio.move_on_after(LOOK_EVERY if self.missing is None else LOOK_AGAIN):
                        await self._suspicion.wait()
                        await trio.sleep(LOOK_AGAIN / 2)  # others will have something to say too
        finally:
            self._topology, self.missing = (
                None,
                "it met an error, and is connected to again in a moment",
            )
            self._looked.set()  # nobody waits for what is not coming

    async def _look(self, topology: Topology) -> str | None:
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

    def _tell(self, missing: str | None) -> None:
        if missing != self.missing:
            if missing is None:
                telemetry.log(logging.INFO, "store_ready", store="redis")
            else:
                telemetry.log(logging.WARNING, "store_not_ready", store="redis", detail=missing)
        self.missing = missing

    async def command(
        self, key: bytes, *words: Word, until: float | None = None, replicas: int = 0
    ) -> Reply:
        """One command on keys of the key's slot. Raises StoreUnavailable."""
        with _unavailable():
            return await self._send(key, words, until or await self.begin(), replicas)

    async def values(self, key: bytes, *words: Word) -> Reply:
        """The same; None where the key holds something of another type, which nobody of ours
        wrote.
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
        """The script's result. Its keys are in one slot. Raises StoreUnavailable."""
        until = until or await self.begin()
        rest = (len(keys), *keys, *arguments)
        with _unavailable():
            try:
                return await self._send(keys[0], (b"EVALSHA", script.sha, *rest), until, replicas)
            except NoScriptError:
                return await self._send(keys[0], (b"EVAL", script.text, *rest), until, replicas)

    async def scan(
        self, pattern: bytes, where: int, cursor: int, limit: int
    ) -> tuple[list[bytes], int | None, int]:
        """A step through the keys of all masters: some keys, then where to go on (None: that was
        all). Raises StoreUnavailable.
        """
        with _unavailable():
            until = await self.begin()
            masters = self._known().masters()
            words = (b"SCAN", cursor, b"MATCH", pattern, b"COUNT", limit)
            if where >= len(masters):  # there are fewer than when this began
                return [], None, 0
            following, keys = cast(
                tuple[bytes, list[bytes]], await masters[where].call(*words, until=until)
            )
            if int(following):
                return list(keys), where, int(following)
        return keys, where + 1 if where + 1 < len(masters) else None, 0

    async def _send(
        self, key: bytes, words: tuple[Word, ...], until: float, replicas: int = 0
    ) -> Reply:
        topology = self._known()
        target, asking, again = topology.server(key), False, True
        for _ in range(HOPS):
            try:
                return await target.write(*words, until=until, replicas=replicas, asking=asking)
            except AskError as error:  # MOVED as well
                target, asking = (
                    topology.at(Address(error.host, error.port)),
                    not isinstance(error, MovedError),
                )
                if not asking:
                    self._suspect()
            except (Unreachable, ReadOnlyError) as error:
                self._suspect()
                if not again or not getattr(error, "retry", True):
                    raise
                target, asking, again = topology.server(key), False, False
        raise Unreachable("redirected in a circle")

    def _known(self) -> Topology:
        if self._topology is None:
            raise Unreachable(self.missing or "it was not connected to yet")
        return self._topology

    def _suspect(self) -> None:
        self._suspicion.set()
