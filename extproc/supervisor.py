"""`extproc serve` with several workers: their supervisor, with one admin for all. SIGTERM drains, SIGHUP rolls to new settings."""

import logging
import signal
from collections.abc import Callable, Iterable

import trio
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from extproc import admin, telemetry
from extproc.metrics import Reading, otlp
from extproc.metrics import catalogue as the
from extproc.metrics.exposition import Page, from_text, merged, page
from extproc.metrics.loaded import SupervisorMetrics
from extproc.oidc.assertion import jwks
from extproc.oidc.errors import OIDCError
from extproc.oidc.seal import KeyRing
from extproc.operators import Operators
from extproc.settings import Settings, SettingsError, with_secrets
from extproc.spawn import WorkerFailed, launch
from extproc.traces import BadExport, TraceStore
from extproc.workers import Workers

Load = Callable[[], Settings]
SUPERVISOR = "supervisor"  # in metrics, the worker that is none


class CannotStart(Exception):
    """Its text is for the operator."""


def run(settings: Settings, load: Load) -> None:
    """Runs until SIGTERM or SIGINT; `load` reads the settings again. Raises CannotStart."""
    telemetry.set_up_logging(settings.log.level, settings.log.format)
    trio.run(_run, with_secrets(settings), load)


async def _run(settings: Settings, load: Load) -> None:
    failed: CannotStart | None = None
    told, starting = trio.Event(), trio.CancelScope()
    async with trio.open_nursery() as nursery:
        supervisor = Supervisor(settings, load, nursery)

        async def hear(task_status: trio.TaskStatus[None]) -> None:
            with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
                task_status.started()
                async for number in signals:
                    if number == signal.SIGHUP:
                        supervisor.reload()
                    else:
                        starting.cancel()
                        told.set()

        await nursery.start(hear)
        try:
            with starting:
                await supervisor.start()
            await told.wait()
            await supervisor.stop()
        except CannotStart as error:  # out of the nursery it would come in a group
            failed = error
        finally:
            supervisor.workers.kill()
        nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed


class Supervisor:
    """In trio."""

    def __init__(self, settings: Settings, load: Load, nursery: trio.Nursery) -> None:
        self._settings, self._load, self._nursery = settings, load, nursery
        self._traces = TraceStore()
        self._metrics = SupervisorMetrics()
        self._metrics.watch(self._counted)
        self.workers = Workers(settings, launch, self._take_spans, nursery)
        self._app = self._application(settings)
        self._asked = trio.Event()
        self._reloading = trio.CancelScope()
        self._over = trio.Event()

    async def start(self) -> None:
        """Raises CannotStart."""
        try:
            await self._nursery.start(self._serve_admin)
            await self.workers.start()
        except (WorkerFailed, OSError, OIDCError) as error:
            text = str(error) if isinstance(error, WorkerFailed) else admin.cannot_bind(self._settings.admin, error)
            raise CannotStart(text) from None
        self._nursery.start_soon(self._reload_when_asked)
        if (exporter := otlp.exporter(self._settings.metrics.endpoint)) is not None:
            self._nursery.start_soon(otlp.export, self._metrics, exporter, SUPERVISOR)
        self._log("serving")

    async def stop(self) -> None:
        telemetry.log(logging.INFO, "draining", seconds=self._settings.timeouts.drain)
        self._reloading.cancel()
        await self.workers.drain()
        self._over.set()
        telemetry.log(logging.INFO, "stopped")

    def reload(self) -> None:
        """Again, while it is under way: once more afterwards."""
        self._asked.set()

    async def _reload_when_asked(self) -> None:
        with self._reloading:
            while True:
                await self._asked.wait()
                self._asked = trio.Event()
                await self._reload()

    async def _reload(self) -> None:
        """All or nothing, as far as anything can be known before: else the old ones stay, and the log says why."""
        telemetry.log(logging.INFO, "reloading")
        try:
            settings = with_secrets(self._load())
            same(self._settings, settings)
            await self.workers.roll(settings)
        except (SettingsError, WorkerFailed) as error:
            telemetry.log(logging.ERROR, "not_reloaded", detail="; ".join(str(error).splitlines()))
            self._metrics.not_reloaded()
            return
        except Exception as error:  # a file that went between two looks at it, or a bug: nothing to end all workers for
            telemetry.log(logging.ERROR, "not_reloaded", exc_info=error, detail=type(error).__name__)
            self._metrics.not_reloaded()
            return
        self._metrics.reloaded()
        self._settings = settings
        self._app = self._application(settings)
        telemetry.set_up_logging(settings.log.level, settings.log.format)
        self._log("reloaded")

    def _log(self, event: str) -> None:
        settings = self._settings
        telemetry.log(
            logging.INFO,
            event,
            workers=settings.worker_count,
            listen=", ".join(str(listen) for listen in settings.listens),
            admin=str(settings.admin),
            applications=", ".join(settings.protected),
        )

    # -- admin ----------------------------------------------------------------------------------------------------

    def _application(self, settings: Settings) -> Starlette:
        ring = KeyRing.of([secret.get_secret_value().encode() for secret in settings.ring()])
        return admin.application(
            readiness=self.workers.missing,
            jwks=jwks(ring),
            traces=self._traces,
            gauges=self.workers.gauges,
            metrics=self._exposition,
            operators=Operators(settings),
        )

    async def _serve_admin(self, task_status: trio.TaskStatus[None]) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await self._app(scope, receive, send)  # whichever is there now

        await admin.serve(app, self._settings.admin, ready=lambda _: task_status.started(), shutdown=self._over)

    async def _exposition(self, accept: str) -> Page:
        """All workers' and this process's own, which is the worker SUPERVISOR."""
        said = await self.workers.metrics()
        ours = [(SUPERVISOR, self._metrics.families())]
        return page(merged(ours + [(str(number), from_text(text)) for number, text in said]), accept)

    def _counted(self) -> Iterable[Reading]:
        yield Reading(the.WORKERS, self.workers.well)
        yield Reading(the.WORKERS_WANTED, self._settings.worker_count)

    def _take_spans(self, otlp: bytes) -> None:
        try:
            self._traces.add_otlp(otlp)
        except BadExport:
            telemetry.log(logging.ERROR, "spans_lost")


def same(old: Settings, new: Settings) -> None:
    """Raises SettingsError where new settings need more than other workers: what Envoy knows us by, and what workers share."""
    what = {
        "workers": (old.worker_count, new.worker_count),
        "listen": (old.listen, new.listen),
        "admin": (old.admin, new.admin),
        "gateway.processors": (old.gateway.processors, new.gateway.processors),
        "store": (old.store, new.store),
    }
    faults = [
        f"{key}: cannot be changed by SIGHUP: stop and start extproc"
        + (
            ", with the sessions of another store"
            if key == "store"
            else ", and Envoy with the configuration printed anew"
        )
        for key, (before, after) in what.items()
        if before != after
    ]
    if faults:
        raise SettingsError("\n".join(faults))
