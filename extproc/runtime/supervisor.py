"""`extproc serve` with several workers: their supervisor, with one admin for all. SIGTERM drains,
SIGHUP rolls to new settings.
"""

import logging
import signal
from collections.abc import Iterable
from functools import partial

import trio
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from extproc import background, telemetry
from extproc.addresses import Address
from extproc.admin import app as admin
from extproc.admin import http_server
from extproc.admin.session_admin import SessionAdmin
from extproc.core.assertion import jwks
from extproc.core.errors import Refusal
from extproc.metrics import ProcessMetrics, Reading, otlp
from extproc.metrics import catalogue as metric
from extproc.metrics.exposition import Page, from_text, merged, page
from extproc.metrics.reloads import Reloads
from extproc.runtime.reload import NotTaken, SettingsReload
from extproc.runtime.worker_pool import Workers
from extproc.runtime.worker_process import WorkerFailed, launch
from extproc.settings import Settings, SettingsError, Source, with_secrets
from extproc.telemetry import log_format
from extproc.traces import BadExport, TraceStore

SUPERVISOR = "supervisor"  # in metrics, the worker that is none


class CannotStart(Exception):
    """Its text is for the operator."""


def run(settings: Settings, source: Source) -> None:
    """Runs until SIGTERM or SIGINT; `source` has the settings when they change. Raises
    CannotStart.
    """
    log_format.set_up(settings.log.level, settings.log.format)
    trio.run(_run, with_secrets(settings), source)


async def _run(settings: Settings, source: Source) -> None:
    failed: CannotStart | None = None
    told, starting = trio.Event(), trio.CancelScope()
    async with trio.open_nursery() as nursery:
        supervisor = Supervisor(settings, source, nursery)

        async def hear(task_status: trio.TaskStatus[None]) -> None:
            with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
                task_status.started()
                async for number in signals:
                    if number == signal.SIGHUP:
                        await supervisor.reloading.ask()
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
    """In trio. See Reloadable."""

    def __init__(self, settings: Settings, source: Source, nursery: trio.Nursery) -> None:
        self._settings, self._nursery = settings, nursery
        self._traces = TraceStore(settings.tracing.kept, slow=settings.tracing.slow)
        self._metrics = ProcessMetrics()
        self._metrics.watch(self._counted)
        self._metrics.watch(background.readings)
        self.reloads = Reloads(self._metrics)
        self.workers = Workers(settings, launch, self._take_spans, nursery)
        self.reloading = SettingsReload(source, settings, self)
        self._app = self._application(settings)
        self._watching = trio.CancelScope()
        self._over = trio.Event()

    async def start(self) -> None:
        """Raises CannotStart."""
        try:
            await self._nursery.start(self._serve_admin)
            await self.workers.start()
        except (WorkerFailed, OSError, Refusal) as error:
            text = (
                str(error)
                if isinstance(error, WorkerFailed)
                else http_server.cannot_bind(self._settings.admin, error)
            )
            raise CannotStart(text) from None
        self._nursery.start_soon(background.once, "settings", self._watch)
        exporting = partial(otlp.export, self._metrics, self._settings.metrics.endpoint, SUPERVISOR)
        self._nursery.start_soon(background.keep, "metrics export", exporting)
        self._log("serving")

    async def stop(self) -> None:
        telemetry.log(logging.INFO, "draining", seconds=self._settings.timeouts.drain)
        self._watching.cancel()
        await self.workers.drain()
        self._over.set()
        telemetry.log(logging.INFO, "stopped")

    async def _watch(self) -> None:
        with self._watching:
            await background.keep("settings", self.reloading.run)

    def check(self, old: Settings, new: Settings) -> None:
        """Raises SettingsError where new settings need more than other workers: what Envoy knows us
        by, and what workers share.
        """
        same(old, new)

    async def take(self, settings: Settings) -> None:
        # before: Envoy may know a key that nobody uses yet, not the reverse
        self._app = self._application(settings)
        await self.workers.take(settings)
        self._settings = settings

    async def replace(self, old: Settings, new: Settings) -> Settings:
        """All or nothing, as far as anything can be known before: else the old ones stay."""
        try:
            await self.workers.roll(new)
        except WorkerFailed as error:
            raise NotTaken(str(error)) from None
        self._settings = new
        self._app = self._application(new)
        log_format.set_up(new.log.level, new.log.format)
        self._log("reloaded")
        self.reloads.done()
        return new

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

    # -- admin -------------------------------------------------------------------------------------

    def _application(self, settings: Settings) -> Starlette:
        return admin.application(
            readiness=self.workers.missing,
            jwks=jwks(settings.key_ring()),
            traces=self._traces,
            gauges=self.workers.gauges,
            metrics=self._exposition,
            operators=SessionAdmin(settings),
        )

    async def _serve_admin(self, task_status: trio.TaskStatus[None]) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await self._app(scope, receive, send)  # whichever is there now

        served = trio.Event()

        def ready(_: Address) -> None:
            if not served.is_set():  # else it began again
                served.set()
                task_status.started()

        async def work() -> None:
            try:
                await http_server.serve(app, self._settings.admin, ready=ready, shutdown=self._over)
            except Exception as error:
                if served.is_set():
                    raise
                failed.append(error)

        failed: list[Exception] = []
        await background.keep("admin", work)
        if failed:
            raise failed[0]

    async def _exposition(self, accept: str) -> Page:
        """All workers' and this process's own, which is the worker SUPERVISOR."""
        said = await self.workers.metrics()
        parts = [(SUPERVISOR, self._metrics.families())]
        for number, text in said:
            try:
                parts.append((str(number), from_text(text)))
            except Exception as error:  # what one worker says takes no other's numbers away
                background.report("worker metrics", error, worker=number)
        return page(merged(parts), accept)

    def _counted(self) -> Iterable[Reading]:
        yield Reading(metric.WORKERS, self.workers.well)
        yield Reading(metric.WORKERS_WANTED, self._settings.worker_count)

    def _take_spans(self, otlp: bytes) -> None:
        try:
            self._traces.add_otlp(otlp)
        except BadExport:
            telemetry.log(logging.ERROR, "spans_lost")
        except Exception as error:
            # a worker's spans are missing on the page of traces, and nothing else is
            background.report("worker spans", error)


def same(old: Settings, new: Settings) -> None:
    """Raises SettingsError where new settings need more than other workers: what Envoy knows us by,
    and what workers share.
    """
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
