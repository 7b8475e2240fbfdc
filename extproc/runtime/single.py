"""`extproc serve` with one worker: the processor and its admin listener in this process, until
SIGTERM or SIGINT. With several workers: runtime/supervisor.py.
"""

import asyncio
import logging
import signal
from collections.abc import Callable
from functools import partial

import trio
from starlette.applications import Starlette

from extproc import background, telemetry
from extproc.admin import app as admin
from extproc.admin.session_admin import SessionAdmin
from extproc.ext_proc.bridge import Bridge, guest
from extproc.ext_proc.credentials import CannotListen
from extproc.metrics import Metrics
from extproc.metrics.exposition import Page, merged, page
from extproc.metrics.reloads import Reloads
from extproc.runtime.admin_listener import AdminListener, CannotServeAdmin
from extproc.runtime.reload import SettingsReload
from extproc.runtime.rlimits import allow_descriptors
from extproc.runtime.service import Service, metrics_of
from extproc.sessions.factory import open_sessions
from extproc.sessions.interfaces import Sessions
from extproc.settings import Settings, Source, differences, with_secrets, with_secrets_of
from extproc.settings.domain import public_keys
from extproc.settings.fingerprint import fingerprints
from extproc.settings.store import shares_tombstones
from extproc.telemetry import log_format
from extproc.traces import Recorder, TraceStore


def run(settings: Settings, source: Source) -> None:
    """Serves until a signal.

    Args:
        settings: as `source` loaded them.
        source: looked at for changes while the processor runs.

    Raises:
        Refusal: the store cannot be used.
        CannotListen: an address cannot be bound.
        CannotStart: a provider's ca_file cannot be used.
    """
    log_format.set_up(settings.log.level, settings.log.format)
    settings = with_secrets(settings)
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
    warn_of_tombstones(settings)
    try:
        guest(partial(_serve, settings, source, sessions, traces, metrics))
    finally:
        tracing.shutdown()


def warn_of_tombstones(settings: Settings) -> None:
    """Logs that other processes do not learn of revocations, where the settings make it so."""
    if not shares_tombstones(settings.store):
        telemetry.log(
            logging.WARNING,
            "tombstones_not_shared",
            detail="store.tombstones is not set, see docs/sessions.md",
        )


async def _serve(
    settings: Settings,
    source: Source,
    sessions: Sessions,
    traces: TraceStore,
    metrics: Metrics,
    bridge: Bridge,
) -> None:
    try:
        process = SingleProcess(settings, sessions, traces, metrics, bridge)
    except BaseException:
        await bridge.run(sessions.aclose)
        raise
    reload = SettingsReload(source, settings, process)
    stop = _signals(lambda: bridge.spawn("settings", reload.ask))
    try:
        await process.start()
    except BaseException:
        await process.stop()
        raise
    telemetry.log(
        logging.INFO,
        "serving",
        listen=str(settings.listen),
        admin=str(settings.admin),
        applications=", ".join(settings.protected),
    )
    watching = trio.CancelScope()
    bridge.spawn("settings", partial(background.keep_within, watching, "settings", reload.run))
    await stop.wait()
    watching.cancel()
    await process.stop()
    telemetry.log(logging.INFO, "stopped")


def _signals(hang_up: Callable[[], None]) -> asyncio.Event:
    """An event that SIGTERM and SIGINT set. SIGHUP calls `hang_up`."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    return stop


class SingleProcess:
    """A processor and its admin listener in one process, whose keys can be replaced (Reloadable).

    It is constructed, started and stopped on the asyncio side of the bridge; `update_keys` and
    `replace` run in trio.
    """

    def __init__(
        self,
        settings: Settings,
        sessions: Sessions,
        traces: TraceStore,
        metrics: Metrics,
        bridge: Bridge,
    ) -> None:
        """Builds everything and starts nothing.

        Args:
            settings: with their secrets.
            sessions: where sessions are kept; they are closed by `stop`.
            traces: what the trace page shows.
            metrics: as service.metrics_of made them.
            bridge: reaches trio.

        Raises:
            CannotStart: a provider's ca_file cannot be used.
        """
        self.reloads = Reloads(metrics)
        self.service = Service(settings, settings.listen, sessions, bridge, metrics)
        self._traces = traces
        self._metrics = metrics
        self._bridge = bridge
        self._admin = AdminListener(
            settings.admin, self._application(settings), settings.admin_mode
        )

    async def start(self) -> None:
        """Returns when both addresses are bound. Raises CannotListen."""
        await self._start_admin()
        self.service.warm()
        await self.service.listen()

    async def _start_admin(self) -> None:
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def work() -> None:
            try:
                await self._admin.serve(started=lambda: started.set_result(None))
            except CannotServeAdmin as error:
                started.set_exception(CannotListen(str(error)))

        self._bridge.spawn("admin", work)
        await started

    async def stop(self) -> None:
        """Drains the processor within timeouts.drain, then closes the admin listener."""
        await self.service.drain()
        self._admin.close()

    def _application(self, settings: Settings) -> Starlette:
        async def missing() -> tuple[tuple[str, str], ...]:
            return self.service.missing()

        async def gauges() -> tuple[tuple[str, int], ...]:
            return self.service.gauges()

        async def exposition(accept: str) -> Page:
            return page(merged([("1", self._metrics.families())]), accept)

        return admin.application(
            readiness=missing,
            jwks=public_keys(settings),
            fingerprints=fingerprints(settings),
            traces=self._traces,
            gauges=gauges,
            metrics=exposition,
            operators=SessionAdmin(settings),
            hosts=settings.admin_names,
            unix_socket=settings.admin.path is not None,
        )

    async def update_keys(self, settings: Settings) -> None:
        self._admin.app = self._application(settings)
        self.service.update_keys(settings)

    async def replace(self, old: Settings, new: Settings) -> Settings:
        """Takes the key ring and the client secrets alone, because one process cannot hand its own
        address over to itself: in the gap requests would fail.
        """
        taken = with_secrets_of(old, new)
        await self.update_keys(taken)
        differing = differences(old, new)
        if differing:
            telemetry.log(
                logging.ERROR,
                "not_reloaded",
                detail=f"{', '.join(differing)}: with workers: 1 only the secret and client "
                "secrets can change while it runs; restart it, or set workers to 2 or more",
            )
            self.reloads.failed()
        else:
            telemetry.log(logging.INFO, "reloaded", detail="keys and client secrets")
            self.reloads.done()
        return taken
