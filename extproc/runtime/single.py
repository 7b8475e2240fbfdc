"""`extproc serve` with one worker: everything in this process, until SIGTERM or SIGINT. With
several: runtime/worker_pool.py.
"""

import asyncio
import logging
import signal
from collections.abc import Callable
from functools import partial

import trio
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from extproc import background, telemetry
from extproc.addresses import Address
from extproc.admin import app as admin
from extproc.admin import http_server
from extproc.admin.session_admin import SessionAdmin
from extproc.ext_proc.bridge import Bridge, guest
from extproc.ext_proc.credentials import CannotListen
from extproc.metrics import Metrics
from extproc.metrics.exposition import Page, merged, page
from extproc.metrics.reloads import Reloads
from extproc.runtime.reload import SettingsReload
from extproc.runtime.rlimits import allow_descriptors
from extproc.runtime.service import Service, metrics_of
from extproc.sessions.factory import open_sessions
from extproc.sessions.interfaces import Sessions
from extproc.settings import Settings, Source, differences, with_secrets, with_secrets_of
from extproc.settings.domain import public_keys
from extproc.settings.store import shares_tombstones
from extproc.telemetry import log_format
from extproc.traces import Recorder, TraceStore

__all__ = ["CannotListen", "run"]


def run(settings: Settings, source: Source) -> None:
    """Runs until a signal; `source` has the settings when they change. Raises Refusal (the store)
    and CannotListen.
    """
    settings = with_secrets(settings)
    log_format.set_up(settings.log.level, settings.log.format)
    allow_descriptors()
    traces = TraceStore(settings.tracing.kept, slow=settings.tracing.slow)
    tracing = telemetry.set_up_tracing(
        [Recorder(traces)],
        settings.tracing.endpoint,
        standard=telemetry.standard(),
        users=settings.tracing.users,
    )
    metrics = metrics_of(settings)
    sessions = open_sessions(settings.store, metrics)
    if not shares_tombstones(settings.store):
        telemetry.log(
            logging.WARNING,
            "tombstones_not_shared",
            detail="store.tombstones is not set, see docs/sessions.md",
        )
    try:
        guest(partial(_serve, settings, source, sessions, traces, metrics))
    finally:
        tracing.shutdown()


async def _serve(
    settings: Settings,
    source: Source,
    sessions: Sessions,
    traces: TraceStore,
    metrics: Metrics,
    bridge: Bridge,
) -> None:
    service = Service(settings, settings.listen, sessions, bridge, metrics)
    alone = SingleProcess(settings, service, traces, metrics)
    reloading = SettingsReload(source, settings, alone)
    told = _signals(lambda: bridge.spawn("settings", reloading.ask))
    over = trio.Event()
    await _start_admin(settings.admin, alone, bridge, over)
    service.warm()
    await service.listen()
    telemetry.log(
        logging.INFO,
        "serving",
        listen=str(settings.listen),
        admin=str(settings.admin),
        applications=", ".join(settings.protected),
    )
    watching = trio.CancelScope()
    bridge.spawn("settings", partial(_within, watching, reloading))
    await told.wait()
    watching.cancel()
    await service.drain()
    over.set()
    telemetry.log(logging.INFO, "stopped")


async def _within(scope: trio.CancelScope, reloading: SettingsReload) -> None:
    with scope:
        await background.keep("settings", reloading.run)


class SingleProcess:
    """The one worker with its admin. In trio. See Reloadable."""

    def __init__(
        self, settings: Settings, service: Service, traces: TraceStore, metrics: Metrics
    ) -> None:
        self._service, self._traces, self._metrics = service, traces, metrics
        self.reloads = Reloads(metrics)
        self._app = self._application(settings)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The admin's, whichever is there now."""
        await self._app(scope, receive, send)

    def _application(self, settings: Settings) -> Starlette:
        async def missing() -> tuple[tuple[str, str], ...]:
            return self._service.missing()

        async def gauges() -> tuple[tuple[str, int], ...]:
            return self._service.gauges()

        async def exposition(accept: str) -> Page:
            return page(merged([("1", self._metrics.families())]), accept)

        return admin.application(
            readiness=missing,
            jwks=public_keys(settings),
            traces=self._traces,
            gauges=gauges,
            metrics=exposition,
            operators=SessionAdmin(settings),
        )

    def check(self, old: Settings, new: Settings) -> None:
        """Nothing: what cannot be taken stays as it is."""

    async def take(self, settings: Settings) -> None:
        self._app = self._application(settings)
        self._service.take(settings)

    async def replace(self, old: Settings, new: Settings) -> Settings:
        """The secrets alone: one process cannot take its own address over from itself without a
        gap, in which requests would fail.
        """
        taken = with_secrets_of(old, new)
        await self.take(taken)
        if differing := differences(old, new):
            said = (
                f"{', '.join(differing)}: with workers: 1 only the secret and client secrets "
                "are taken while it runs"
            )
            telemetry.log(
                logging.ERROR,
                "not_reloaded",
                detail=f"{said}; restart it, or have workers: 2 or more",
            )
            self.reloads.failed()
        else:
            telemetry.log(logging.INFO, "reloaded", detail="keys and client secrets")
            self.reloads.done()
        return taken


async def _start_admin(
    address: Address, alone: SingleProcess, bridge: Bridge, over: trio.Event
) -> None:
    """The admin listener, in trio. Raises CannotListen."""
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def bound(_: Address) -> None:
        if not ready.done():  # else it began again
            ready.set_result(None)

    async def work() -> None:
        try:
            await http_server.serve(alone.app, address, ready=bound, shutdown=over)
        except Exception as error:
            if ready.done():
                raise
            ready.set_exception(CannotListen(http_server.cannot_bind(address, error)))

    bridge.spawn("admin", partial(background.keep, "admin", work))
    await ready


def _signals(hang_up: Callable[[], None]) -> asyncio.Event:
    """Set by SIGTERM and SIGINT; SIGHUP calls `hang_up`."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    return told
