"""The processor within another trio program: the implementation of extproc.embedded.

The program keeps what belongs to a process: signals, logging, the tracer provider, resource limits.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from extproc.addresses import Address
from extproc.ext_proc import bridge
from extproc.runtime.service import metrics_of
from extproc.runtime.single import SingleProcess, warn_of_tombstones
from extproc.sessions.factory import open_sessions
from extproc.settings import Settings, SettingsError, with_secrets
from extproc.traces import TraceStore


class EmbeddedProcessor:
    """A processor that listens within this program.

    listen: the address of its gRPC listener, with the port that it has.
    """

    def __init__(self, settings: Settings, process: SingleProcess) -> None:
        self._process = process
        self.listen = settings.listen
        if self.listen.path is None:
            self.listen = Address(host=self.listen.host, port=process.service.port)

    def missing(self) -> tuple[tuple[str, str], ...]:
        """What is not ready yet, as (part, reason); empty once /readyz would answer 200."""
        return self._process.service.missing()


@asynccontextmanager
async def embedded(settings: Settings) -> AsyncIterator[EmbeddedProcessor]:
    """Runs the processor until the block is left; extproc.embedded has the description."""
    failed: Exception | None = None
    async with trio.open_nursery() as nursery:
        stop = trio.Event()
        try:
            # Shielded, because trio would wait for the end of a task that starts while its starter
            # is cancelled.
            with trio.CancelScope(shield=True):
                processor = await nursery.start(_run, settings, stop)
            yield processor
        except Exception as error:
            # Out of the nursery it would come in a group.
            failed = error
        finally:
            stop.set()
    if failed is not None:
        raise failed


async def _run(
    settings: Settings, stop: trio.Event, task_status: trio.TaskStatus[EmbeddedProcessor]
) -> None:
    """Runs the processor until `stop`, whether or not the program is cancelled before: a login that
    is half done may finish.
    """
    if settings.worker_count > 1:
        raise SettingsError("workers: an embedded processor is one process: set it to 1")
    settings = with_secrets(settings)
    metrics = metrics_of(settings)
    sessions = open_sessions(settings.store, metrics)
    traces = TraceStore(settings.tracing.kept, slow=settings.tracing.slow)
    warn_of_tombstones(settings)
    with trio.CancelScope(shield=True):
        async with bridge.embedded() as embedding:

            async def build() -> SingleProcess:
                return SingleProcess(settings, sessions, traces, metrics, embedding)

            try:
                process = await embedding.on_asyncio(build)
            except BaseException:
                # A program may try again: the failed start must not keep the store open.
                await sessions.aclose()
                raise
            try:
                await embedding.on_asyncio(process.start)
                task_status.started(EmbeddedProcessor(settings, process))
                await stop.wait()
            finally:
                await embedding.on_asyncio(process.stop)
