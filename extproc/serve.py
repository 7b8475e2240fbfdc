"""`extproc serve` with one worker: everything in this process, until SIGTERM or SIGINT. With several: workers.py."""

import asyncio
import logging
import signal
from functools import partial

import trio

from extproc import admin, telemetry
from extproc.addresses import Address
from extproc.bridge import Bridge, guest
from extproc.doors import CannotListen
from extproc.metrics import Metrics
from extproc.metrics.exposition import Page, merged, page
from extproc.metrics.loaded import Loaded
from extproc.oidc.errors import OIDCError
from extproc.operators import Operators
from extproc.service import Service, allow_descriptors, metrics_of, public_keys
from extproc.sessions import Sessions
from extproc.sessions.opening import open_sessions
from extproc.settings import Settings
from extproc.settings.store import shares_tombstones
from extproc.traces import Recorder, TraceStore

__all__ = ["CannotListen", "run"]


def run(settings: Settings) -> None:
    """Runs until a signal. Raises OIDCError (the store) and CannotListen, for the command line to print."""
    telemetry.set_up_logging(settings.log.level, settings.log.format)
    allow_descriptors()
    traces = TraceStore()
    tracing = telemetry.set_up_tracing([Recorder(traces)], settings.tracing.endpoint, standard=telemetry.standard())
    metrics = metrics_of(settings)
    sessions = open_sessions(settings.store, metrics)
    if not shares_tombstones(settings.store):
        telemetry.log(
            logging.WARNING, "tombstones_not_shared", detail="store.tombstones is not set, see docs/sessions.md"
        )
    try:
        guest(partial(_serve, settings, sessions, traces, metrics))
    finally:
        tracing.shutdown()


async def _serve(settings: Settings, sessions: Sessions, traces: TraceStore, metrics: Metrics, bridge: Bridge) -> None:
    told = _signals()
    service = Service(settings, settings.listen, sessions, bridge, metrics)
    metrics.watch(Loaded().readings)
    over = trio.Event()
    await _start_admin(settings, service, traces, metrics, bridge, over)
    service.warm()
    await service.listen()
    telemetry.log(
        logging.INFO,
        "serving",
        listen=str(settings.listen),
        admin=str(settings.admin),
        applications=", ".join(settings.protected),
    )
    await told.wait()
    await service.drain()
    over.set()
    telemetry.log(logging.INFO, "stopped")


async def _start_admin(
    settings: Settings,
    service: Service,
    traces: TraceStore,
    metrics: Metrics,
    bridge: Bridge,
    over: trio.Event,
) -> None:
    """The admin listener, in trio. Raises CannotListen."""

    async def missing() -> tuple[tuple[str, str], ...]:
        return service.missing()

    async def gauges() -> tuple[tuple[str, int], ...]:
        return service.gauges()

    async def exposition(accept: str) -> Page:
        return page(merged([("1", metrics.families())]), accept)

    app = admin.application(
        readiness=missing,
        jwks=public_keys(settings),
        traces=traces,
        gauges=gauges,
        metrics=exposition,
        operators=Operators(settings),
    )
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def bound(_: Address) -> None:
        ready.set_result(None)

    async def work() -> None:
        try:
            await admin.serve(app, settings.admin, ready=bound, shutdown=over)
        except (OSError, OIDCError) as error:
            if not ready.done():
                ready.set_exception(CannotListen(admin.cannot_bind(settings.admin, error)))
            else:
                telemetry.log(logging.ERROR, "admin_failed", detail=type(error).__name__)

    bridge.spawn(work)
    await ready


def _signals() -> asyncio.Event:
    """Set by SIGTERM and SIGINT. SIGHUP would end a process that does not know it."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    loop.add_signal_handler(signal.SIGHUP, _not_reloaded)
    return told


def _not_reloaded() -> None:
    # one process cannot take its own address over from itself without a gap, in which requests would fail
    detail = "with workers: 1 the settings are read at the start only; restart it, or have workers: 2 or more"
    telemetry.log(logging.WARNING, "not_reloaded", detail=detail)
