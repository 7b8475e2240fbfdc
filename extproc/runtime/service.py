"""The processor with all that it needs, on one address: the same whether it is alone
(runtime/single.py) or one of several (runtime/worker.py).
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

import trio

from extproc import background, telemetry
from extproc.addresses import Address
from extproc.core.assertion import key_id
from extproc.core.decisions import Lane
from extproc.core.errors import StoreUnavailable
from extproc.core.reasons import REASONS
from extproc.ext_proc.bridge import Bridge
from extproc.ext_proc.credentials import Door
from extproc.ext_proc.server import Listener
from extproc.ext_proc.servicer import Servicer
from extproc.metrics import Metrics, Reading, lag, otlp
from extproc.metrics import catalogue as metric
from extproc.provider.client import Provider
from extproc.provider.limits import MemoryBudget, TickLimiter
from extproc.relying_party.relying_party import RelyingParty
from extproc.runtime.rlimits import descriptors
from extproc.sessions.interfaces import Sessions
from extproc.settings import Settings
from extproc.settings.domain import applications

COUNT_EVERY = 60.0  # seconds between two counts of the sessions


def metrics_of(settings: Settings) -> Metrics:
    """The metrics of a process that decides: what their labels may say comes from the settings and
    the table of reasons.
    """
    return Metrics(settings.applications, REASONS)


class Service:
    """Built whole, then warmed, then listening, then drained. On the asyncio side of the bridge."""

    def __init__(
        self,
        settings: Settings,
        listen: Address,
        sessions: Sessions,
        bridge: Bridge,
        metrics: Metrics,
        worker: int = 1,
    ) -> None:
        self._ring = settings.key_ring()
        known = self._applications = applications(settings, self._ring)
        self._tick_limiter = TickLimiter()
        self._metrics, self._worker, memory_budget = metrics, str(worker), MemoryBudget()
        self._providers = {
            name: Provider(
                name,
                provider,
                settings.timeouts,
                settings.limits,
                self._tick_limiter,
                metrics,
                memory_budget,
            )
            for name, provider in settings.providers.items()
        }
        by_application = {
            name: self._providers[str(settings.applications[name].provider)] for name in known
        }
        hops = settings.gateway.trusted_hops
        party = RelyingParty(known, by_application, sessions, trusted_hops=hops, metrics=metrics)
        self._servicer = Servicer(
            party, bridge, settings.timeouts, settings.limits, metrics, descriptors()
        )
        self._listener = Listener(
            self._servicer, Door(listen, settings.listen_tls, settings.listen_mode)
        )
        self._warm = [trio.CancelScope() for _ in self._providers]
        self._watch = trio.CancelScope()
        self._drain, self._sessions, self._bridge = settings.timeouts.drain, sessions, bridge
        self._loop = asyncio.get_running_loop()
        self._store, self._endpoint = settings.store.kind, settings.metrics.endpoint
        self._count: int | None = None
        self._background, self._looked_after = trio.CancelScope(), trio.Event()
        metrics.watch(self._readings)
        metrics.watch(background.readings)

    def warm(self) -> None:
        """From now on the store is looked for, and metadata and keys are fetched and kept fresh."""
        self._bridge.spawn("store", self._sessions.start)
        for scope, provider in zip(self._warm, self._providers.values(), strict=True):
            place = f"provider {provider.name}"
            self._bridge.spawn(place, partial(_within, scope, place, provider.keep_warm))
        self._bridge.spawn(
            "live streams",
            partial(_within, self._watch, "live streams", self._servicer.live_streams.watch),
        )
        lagging = partial(lag.of_asyncio, self._metrics)
        self._lagging = asyncio.create_task(background.keep("asyncio lag", lagging, asyncio.sleep))
        self._bridge.spawn("measuring", self._look_after)

    def take(self, settings: Settings) -> None:
        """From now on with the key ring and the client secrets of other settings; what is in hand
        goes on as it began.
        """
        self._ring = settings.key_ring()
        self._applications.update(applications(settings, self._ring))

    async def listen(self) -> None:
        """Raises CannotListen."""
        await self._listener.start()

    async def drain(self) -> None:
        """Leaves the address, finishes what is held within timeouts.drain, closes everything."""
        telemetry.log(logging.INFO, "draining", seconds=self._drain)
        started = time.monotonic()
        self._lagging.cancel()
        await self._listener.drain(self._drain)
        await self._bridge.run(partial(self._close, started + self._drain))

    async def _close(self, deadline: float) -> None:
        """In trio."""
        for scope in (*self._warm, self._watch, self._background):
            scope.cancel()
        # what goes on after its client has left, a code exchange, may finish as well
        with trio.move_on_after(max(0.5, deadline - time.monotonic())):
            # Once in a life.
            while self._servicer.admission.finishing:  # noqa: ASYNC110
                await trio.sleep(0.02)
        await self._looked_after.wait()  # a count of the sessions, the last export
        for provider in self._providers.values():
            await provider.aclose()
        await self._sessions.aclose()

    def missing(self) -> tuple[tuple[str, str], ...]:
        """What is not ready, as (part, reason)."""
        found = (
            ("store", self._sessions.missing),
            *((f"provider {name}", provider.missing) for name, provider in self._providers.items()),
        )
        return tuple((part, reason) for part, reason in found if reason is not None)

    def gauges(self) -> tuple[tuple[str, int], ...]:
        """What is in hand, in both lanes and on both sides. Asked in trio."""
        tasks = trio.lowlevel.current_statistics().tasks_living
        both = (("trio.tasks", tasks), ("asyncio.tasks", len(asyncio.all_tasks(self._loop))))
        return (*self._servicer.admission.gauges(), ("work", self._bridge.busy), *both)

    def _readings(self) -> Iterable[Reading]:
        """In trio."""
        admission = self._servicer.admission
        yield Reading(metric.IN_FLIGHT, admission.streams)
        yield Reading(metric.STREAMS_LIMIT, admission.limits.streams)
        for lane in Lane:
            yield Reading(metric.HELD, admission.held(lane), (lane,))
            yield Reading(metric.HELD_LIMIT, admission.limits.of(lane), (lane,))
            yield Reading(metric.HELD_OLDEST, admission.oldest(lane), (lane,))
        yield Reading(metric.RING, len(self._ring.keys))
        yield from (Reading(metric.KEY, 1, (key_id(key),)) for key in self._ring.keys)
        yield Reading(metric.WORK, self._bridge.busy)
        yield Reading(metric.WAITING, self._tick_limiter.waiting)
        for provider in self._providers.values():
            yield from provider.readings()
        yield Reading(metric.STORE_READY, self._sessions.missing is None, (self._store,))
        if self._count is not None:
            yield Reading(metric.SESSIONS, self._count, (self._store,))
        yield Reading(metric.TRIO_TASKS, trio.lowlevel.current_statistics().tasks_living)
        yield Reading(metric.ASYNCIO_TASKS, len(asyncio.all_tasks(self._loop)))

    async def _look_after(self) -> None:
        """What is measured in trio by the clock, and exported by it."""
        try:
            with self._background:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(
                        background.keep, "trio lag", partial(lag.of_trio, self._metrics)
                    )
                    nursery.start_soon(background.keep, "session count", self._count_sessions)
                    exporting = partial(otlp.export, self._metrics, self._endpoint, self._worker)
                    nursery.start_soon(background.keep, "metrics export", exporting)
        finally:
            self._looked_after.set()

    async def _count_sessions(self) -> None:
        while True:
            try:
                self._count = await self._sessions.count(int(time.time()))
            except StoreUnavailable:
                self._count = None
            await trio.sleep(COUNT_EVERY)

    @property
    def checkers(self) -> int:
        """How many check this address's health."""
        return self._listener.health.checkers


async def _within(scope: trio.CancelScope, place: str, work: Callable[[], Awaitable[None]]) -> None:
    with scope:
        await background.keep(place, work)
