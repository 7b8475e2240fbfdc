"""The task that keeps the connections to Redis, and looks for servers that are away."""

import logging
from collections.abc import Awaitable, Callable

import trio
from coredis.exceptions import RedisError

from extproc import background, telemetry
from extproc.sessions.redis.errors import Unreachable, explain
from extproc.sessions.redis.topology import Topology

# Seconds between two looks at the servers, and while one of them is away.
LOOK_EVERY = 2.0
LOOK_AGAIN = 0.2


class Keeper:
    """Holds the servers, and knows why they cannot be used."""

    def __init__(
        self,
        topology: Callable[[trio.Nursery], Topology],
        probe: Callable[[], Awaitable[None]],
        patience: float,
    ) -> None:
        """
        Args:
            topology: makes the servers, whose connections live in the nursery.
            probe: tries a command at each look. Raises Unreachable, or RedisError.
            patience: seconds that the very first operations wait for the first look.
        """
        self._make_topology = topology
        self._probe = probe
        self._patience = patience
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

    async def first_look(self) -> None:
        """Wait for the first look at the servers, but no longer than connecting may take."""
        if not self._looked.is_set():
            self.start()
            with trio.move_on_after(self._patience):
                await self._looked.wait()

    def topology(self) -> Topology:
        """Give the servers. Raises Unreachable while there are none."""
        if self._topology is None:
            raise Unreachable(self.missing or "it was not connected to yet")
        return self._topology

    def suspect(self) -> None:
        """Look at the servers soon."""
        self._suspicion.set()

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
            # An operation in first_look() must not wait for a look that does not come.
            self._looked.set()

    async def _look(self, topology: Topology) -> str | None:
        """Look at the servers; the reason why the store is not ready, or None."""
        try:
            await topology.look()
            await self._probe()
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
