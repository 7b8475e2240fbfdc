"""`extproc serve` with several workers: the supervisor, which starts the workers and has one admin
listener for all. SIGTERM and SIGINT drain, SIGHUP replaces the workers.
"""

import logging
import signal
from collections.abc import Iterable
from functools import partial

import trio
from starlette.applications import Starlette

from extproc import background, telemetry
from extproc.admin import app as admin
from extproc.admin.session_admin import SessionAdmin
from extproc.metrics import ProcessMetrics, Reading, otlp
from extproc.metrics import catalogue as metric
from extproc.metrics.exposition import Page, from_text, merged, page
from extproc.metrics.reloads import Reloads
from extproc.runtime.admin_listener import AdminListener, CannotServeAdmin
from extproc.runtime.failures import CannotStart
from extproc.runtime.reload import NotTaken, SettingsReload
from extproc.runtime.worker_pool import Workers
from extproc.runtime.worker_process import launch
from extproc.runtime.worker_proxy import WorkerFailed
from extproc.settings import Settings, SettingsError, Source, with_secrets
from extproc.settings.domain import public_keys
from extproc.settings.fingerprint import fingerprints
from extproc.telemetry import log_format
from extproc.traces import BadExport, TraceStore

SUPERVISOR = "supervisor"  # in place of a worker's number in metrics


def run(settings: Settings, source: Source) -> None:
    """Serves until SIGTERM or SIGINT.

    Args:
        settings: as `source` loaded them.
        source: looked at for changes while the processor runs.

    Raises:
        CannotStart: an address cannot be bound, or a worker cannot start.
    """
    log_format.set_up(settings.log.level, settings.log.format)
    trio.run(_run, with_secrets(settings), source)


async def _run(settings: Settings, source: Source) -> None:
    failed: CannotStart | None = None
    stop = trio.Event()
    starting = trio.CancelScope()
    async with trio.open_nursery() as nursery:
        supervisor = Supervisor(settings, source, nursery)
        await nursery.start(_receive_signals, supervisor.reload, starting, stop)
        try:
            with starting:
                await supervisor.start()
            await stop.wait()
            await supervisor.stop()
        except CannotStart as error:
            # Out of the nursery it would come in a group.
            failed = error
        finally:
            supervisor.workers.kill()
        nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed


async def _receive_signals(
    reload: SettingsReload,
    starting: trio.CancelScope,
    stop: trio.Event,
    task_status: trio.TaskStatus[None],
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        task_status.started()
        async for number in signals:
            if number == signal.SIGHUP:
                await reload.ask()
            else:
                starting.cancel()
                stop.set()


class Supervisor:
    """The workers, the admin listener, and settings that are read again (Reloadable). Lives in
    trio.
    """

    def __init__(self, settings: Settings, source: Source, nursery: trio.Nursery) -> None:
        """Starts nothing.

        Args:
            settings: with their secrets.
            source: the settings as files.
            nursery: for everything that runs until the end; the caller cancels it after `stop`.
        """
        self._settings = settings
        self._nursery = nursery
        self._traces = TraceStore(settings.tracing.kept, slow=settings.tracing.slow)
        self._metrics = ProcessMetrics()
        self._metrics.watch(self._readings)
        self._metrics.watch(background.readings)
        self._watching = trio.CancelScope()
        self.reloads = Reloads(self._metrics)
        self.workers = Workers(settings, launch, self._take_spans, nursery)
        self.reload = SettingsReload(source, settings, self, check_unchanged)
        self._admin = AdminListener(
            settings.admin, self._application(settings), settings.admin_mode
        )

    async def start(self) -> None:
        """Returns when the admin listener and all workers have their addresses. Raises
        CannotStart.
        """
        try:
            await self._nursery.start(self._serve_admin)
            await self.workers.start()
        except (WorkerFailed, CannotServeAdmin) as error:
            raise CannotStart(str(error)) from None
        watch = partial(background.keep_within, self._watching, "settings", self.reload.run)
        self._nursery.start_soon(background.once, "settings", watch)
        exporting = partial(otlp.export, self._metrics, self._settings.metrics.endpoint, SUPERVISOR)
        self._nursery.start_soon(background.keep, "metrics export", exporting)
        self._log("serving")

    async def _serve_admin(self, task_status: trio.TaskStatus[None]) -> None:
        await self._admin.serve(started=task_status.started)

    async def stop(self) -> None:
        """Drains the workers, then closes the admin listener."""
        telemetry.log(logging.INFO, "draining", seconds=self._settings.timeouts.drain)
        self._watching.cancel()
        await self.workers.drain()
        self._admin.close()
        telemetry.log(logging.INFO, "stopped")

    async def update_keys(self, settings: Settings) -> None:
        # The key set is published first: Envoy may know a key that no worker uses yet, but not the
        # reverse.
        self._admin.app = self._application(settings)
        await self.workers.update_keys(settings)
        self._settings = settings

    async def replace(self, old: Settings, new: Settings) -> Settings:
        """Replaces the workers. If a new one does not get ready, the old ones continue."""
        try:
            await self.workers.roll(new)
        except WorkerFailed as error:
            raise NotTaken(str(error)) from None
        self._settings = new
        self._admin.app = self._application(new)
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

    def _application(self, settings: Settings) -> Starlette:
        return admin.application(
            readiness=self.workers.reports.missing,
            jwks=public_keys(settings),
            fingerprints=fingerprints(settings),
            traces=self._traces,
            gauges=self.workers.reports.gauges,
            metrics=self._exposition,
            operators=SessionAdmin(settings),
            hosts=settings.admin_names,
            unix_socket=settings.admin.path is not None,
        )

    async def _exposition(self, accept: str) -> Page:
        """The metrics of all workers and of this process, which is the worker SUPERVISOR."""
        # The workers first: which of them answered is among the supervisor's own metrics.
        texts = await self.workers.reports.metrics()
        parts = [(SUPERVISOR, self._metrics.families())]
        for number, text in texts:
            try:
                parts.append((str(number), from_text(text)))
            except Exception as error:
                # Metrics of one worker that cannot be read hide no other's.
                background.report("worker metrics", error, worker=number)
        return page(merged(parts), accept)

    def _readings(self) -> Iterable[Reading]:
        yield Reading(metric.WORKERS, self.workers.reports.well)
        yield Reading(metric.WORKERS_WANTED, self._settings.worker_count)

    def _take_spans(self, otlp: bytes) -> None:
        try:
            self._traces.add_otlp(otlp)
        except BadExport:
            telemetry.log(logging.ERROR, "spans_lost")
        except Exception as error:
            # A worker's spans are missing on the page of traces, and nothing else is.
            background.report("worker spans", error)


def check_unchanged(old: Settings, new: Settings) -> None:
    """Raises SettingsError if new settings need more than other workers: the addresses by which
    Envoy knows the processor, or what the workers share.
    """
    restart = "restart extproc, and Envoy with the configuration generated again"
    fixed = (
        ("workers", old.worker_count, new.worker_count, restart),
        ("listen", old.listen, new.listen, restart),
        ("admin", old.admin, new.admin, restart),
        ("admin_mode", old.admin_mode, new.admin_mode, "restart extproc"),
        ("gateway.processors", old.gateway.processors, new.gateway.processors, restart),
        (
            "store",
            old.store,
            new.store,
            "restart extproc; sessions in the old store are not carried over",
        ),
    )
    problems = [
        f"{key}: cannot be changed by SIGHUP: {remedy}"
        for key, before, after, remedy in fixed
        if before != after
    ]
    if problems:
        raise SettingsError("\n".join(problems))
