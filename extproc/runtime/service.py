"""The composition root: one processor on one address, with its providers and its store. Every
process that decides has one: the only process (runtime/single.py), or each worker
(runtime/worker.py).
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from functools import partial

import trio

from extproc import background, telemetry
from extproc.addresses import Address
from extproc.core.assertion import key_id
from extproc.core.decisions import StepKind
from extproc.core.errors import StoreUnavailable
from extproc.core.reasons import REASONS
from extproc.ext_proc.bridge import Bridge
from extproc.ext_proc.credentials import ListenAddress
from extproc.ext_proc.server import Listener
from extproc.ext_proc.servicer import Servicer
from extproc.metrics import Metrics, Reading, lag, otlp
from extproc.metrics import catalogue as metric
from extproc.provider.client import Provider
from extproc.provider.limits import MemoryBudget, TickLimiter
from extproc.relying_party.relying_party import RelyingParty
from extproc.runtime.failures import unusable_authorities
from extproc.runtime.rlimits import descriptors
from extproc.sessions.factory import epoch_of
from extproc.sessions.interfaces import Sessions
from extproc.settings import Settings
from extproc.settings.domain import applications

COUNT_EVERY = 60.0  # seconds between two counts of the sessions


def metrics_of(settings: Settings) -> Metrics:
    """The metrics of a process that decides. The values of their labels come from the settings and
    the table of reasons.
    """
    return Metrics(settings.applications, REASONS)


class Service:
    """A processor: constructed, then warmed, then listening, then drained.

    Lives on the asyncio side of the bridge.
    """

    def __init__(
        self,
        settings: Settings,
        listen: Address,
        sessions: Sessions,
        bridge: Bridge,
        metrics: Metrics,
        worker: int = 1,
    ) -> None:
        """Builds everything and starts nothing.

        Args:
            settings: with their secrets.
            listen: the address, which may differ from settings.listen for one of several workers.
            sessions: where sessions are kept; the service starts and closes them.
            bridge: reaches trio.
            metrics: as metrics_of made them.
            worker: the number of this process in exported metrics.

        Raises:
            CannotStart: a provider's ca_file cannot be used.
        """
        self._bridge = bridge
        self._metrics = metrics
        self._sessions = sessions
        self._epoch = epoch_of(settings.store, sessions)
        self._worker = str(worker)
        self._loop = asyncio.get_running_loop()
        self._drain = settings.timeouts.drain
        self._store = settings.store.kind
        self._endpoint = settings.metrics.endpoint
        self._ring = settings.key_ring()
        self._applications = applications(settings, self._ring)
        self._tick_limiter = TickLimiter()
        self._providers = self._providers_of(settings)
        self._servicer = self._servicer_of(settings)
        self._listener = Listener(
            self._servicer, ListenAddress(listen, settings.listen_tls, settings.listen_mode)
        )
        self._session_count: int | None = None
        self._lagging: asyncio.Task[None] | None = None
        # Of the work in trio that runs beside the requests. `drain` cancels them.
        self._scopes: list[trio.CancelScope] = []
        self._measuring_ended = trio.Event()
        metrics.watch(self._readings)
        metrics.watch(background.readings)

    def _servicer_of(self, settings: Settings) -> Servicer:
        return Servicer(
            self._relying_party(settings),
            self._bridge,
            settings.timeouts,
            settings.limits,
            self._metrics,
            descriptors(),
            len(settings.providers),
        )

    def _providers_of(self, settings: Settings) -> dict[str, Provider]:
        """Raises CannotStart."""
        budget = MemoryBudget()
        providers = {}
        for name, provider in settings.providers.items():
            try:
                providers[name] = Provider(
                    name,
                    provider,
                    settings.timeouts,
                    settings.limits,
                    self._tick_limiter,
                    self._metrics,
                    budget.half() if len(settings.providers) > 1 else budget,
                    settings.own_listeners,
                )
            except OSError as error:
                raise unusable_authorities(name, error) from None
        return providers

    def _relying_party(self, settings: Settings) -> RelyingParty:
        return RelyingParty(
            self._applications,
            {
                name: self._providers[str(settings.applications[name].provider)]
                for name in self._applications
            },
            self._sessions,
            trusted_hops=settings.gateway.trusted_hops,
            metrics=self._metrics,
            token_providers=self._providers,
        )

    def warm(self) -> None:
        """Starts to look for the store and whether it went back to an earlier state, to keep
        metadata and keys fresh, to watch live streams, and to measure.
        """
        self._bridge.spawn("store", self._sessions.start)
        for provider in self._providers.values():
            self._keep_until_drain(f"provider {provider.name}", provider.keep_warm)
        self._keep_until_drain("live streams", self._servicer.live_streams.watch)
        lagging = partial(lag.of_asyncio, self._metrics)
        self._lagging = asyncio.create_task(background.keep("asyncio lag", lagging, asyncio.sleep))
        self._bridge.spawn("measuring", partial(self._measure, self._new_scope()))

    def _keep_until_drain(self, place: str, work: background.Work) -> None:
        self._bridge.spawn(place, partial(background.keep_within, self._new_scope(), place, work))

    def _new_scope(self) -> trio.CancelScope:
        scope = trio.CancelScope()
        self._scopes.append(scope)
        return scope

    def update_keys(self, settings: Settings) -> None:
        """Uses the key ring and the client secrets of other settings from now on. Requests that are
        being decided finish with those that they began with.
        """
        self._ring = settings.key_ring()
        self._applications.update(applications(settings, self._ring))

    async def listen(self) -> None:
        """Binds the address and serves. Raises CannotListen."""
        await self._listener.start()

    @property
    def port(self) -> int:
        """The TCP port that it listens on; 0 before `listen`, and at a unix socket."""
        return self._listener.port

    async def drain(self) -> None:
        """Leaves the address, finishes held requests within timeouts.drain seconds, and closes
        everything. Works whether or not the service was warmed and listened.
        """
        telemetry.log(logging.INFO, "draining", seconds=self._drain)
        started = time.monotonic()
        if self._lagging is not None:
            self._lagging.cancel()
        await self._listener.drain(self._drain)
        await self._bridge.run(partial(self._close, started + self._drain))

    async def _close(self, deadline: float) -> None:
        """Ends the work in trio, the providers' connections and the store. Runs in trio.

        deadline: on the monotonic clock.
        """
        for scope in self._scopes:
            scope.cancel()
        # Work that continues after its client has left, such as a code exchange, may finish too.
        with trio.move_on_after(max(0.5, deadline - time.monotonic())):
            # Once in a life.
            while self._servicer.admission.finishing:  # noqa: ASYNC110
                await trio.sleep(0.02)
        # A count of the sessions and the epoch use the store, and the last export its metrics.
        if self._lagging is not None:
            await self._measuring_ended.wait()
        for provider in self._providers.values():
            await provider.aclose()
        await self._sessions.aclose()

    def missing(self) -> tuple[tuple[str, str], ...]:
        """What is not ready, as (part, reason)."""
        parts = (
            ("store", self._sessions.missing),
            *((f"provider {name}", provider.missing) for name, provider in self._providers.items()),
        )
        return tuple((part, reason) for part, reason in parts if reason is not None)

    def gauges(self) -> tuple[tuple[str, int], ...]:
        """What is in progress now, by kind of step and by side of the bridge. Called in trio."""
        return (
            *self._servicer.admission.gauges(),
            ("work", self._bridge.busy),
            ("trio.tasks", trio.lowlevel.current_statistics().tasks_living),
            ("asyncio.tasks", len(asyncio.all_tasks(self._loop))),
        )

    def _readings(self) -> Iterable[Reading]:
        """Values that are read when metrics are collected. Called in trio."""
        admission = self._servicer.admission
        yield Reading(metric.IN_FLIGHT, admission.streams)
        yield Reading(metric.STREAMS_LIMIT, admission.limits.streams)
        for kind in StepKind:
            yield Reading(metric.HELD, admission.held(kind), (kind,))
            yield Reading(metric.HELD_LIMIT, admission.limits.of(kind), (kind,))
            yield Reading(metric.HELD_OLDEST, admission.oldest(kind), (kind,))
        yield Reading(metric.RING, len(self._ring.keys))
        yield from (Reading(metric.KEY, 1, (key_id(key),)) for key in self._ring.keys)
        yield Reading(metric.WORK, self._bridge.busy)
        yield Reading(metric.WAITING, self._tick_limiter.waiting)
        for provider in self._providers.values():
            yield from provider.readings()
        yield Reading(metric.STORE_READY, self._sessions.missing is None, (self._store,))
        if self._session_count is not None:
            yield Reading(metric.SESSIONS, self._session_count, (self._store,))
        yield Reading(metric.TRIO_TASKS, trio.lowlevel.current_statistics().tasks_living)
        yield Reading(metric.ASYNCIO_TASKS, len(asyncio.all_tasks(self._loop)))

    async def _measure(self, scope: trio.CancelScope) -> None:
        """Measures at intervals, exports metrics and looks for the epoch of the store, until the
        scope is cancelled. Runs in trio.
        """
        exporting = partial(otlp.export, self._metrics, self._endpoint, self._worker)
        lagging = partial(lag.of_trio, self._metrics)
        try:
            with scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(background.keep, "trio lag", lagging)
                    nursery.start_soon(background.keep, "session count", self._count_sessions)
                    nursery.start_soon(background.keep, "metrics export", exporting)
                    if self._epoch is not None:
                        nursery.start_soon(background.keep, "store epoch", self._epoch.watch)
        finally:
            self._measuring_ended.set()

    async def _count_sessions(self) -> None:
        while True:
            try:
                self._session_count = await self._sessions.count(int(time.time()))
            except StoreUnavailable:
                self._session_count = None
            await trio.sleep(COUNT_EVERY)

    @property
    def checkers(self) -> int:
        """How many clients have checked the health of this address lately."""
        return self._listener.health.checkers
