"""One of several workers: a process that its supervisor (runtime/worker_pool.py) started, told what
to do on a socket that is its standard input.

    python -m extproc.worker

It ends when it is told to, by the supervisor or by SIGTERM, and when the supervisor is gone; what
is held is finished first.
"""

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from extproc import background, telemetry
from extproc.addresses import Address
from extproc.core.errors import Refusal
from extproc.ext_proc.bridge import Bridge, guest
from extproc.ext_proc.credentials import CannotListen
from extproc.metrics.exposition import to_text
from extproc.runtime.control import (
    LONGEST,
    Drain,
    Failed,
    GetMetrics,
    GetStatus,
    KeysUpdated,
    Listen,
    Message,
    MetricsText,
    Ready,
    Serving,
    Spans,
    Start,
    Status,
    UpdateKeys,
    decode,
    encode,
)
from extproc.runtime.rlimits import allow_descriptors
from extproc.runtime.service import Service, metrics_of
from extproc.sessions.factory import open_sessions
from extproc.telemetry import log_format

SOON = 500  # milliseconds until a finished span is on its way
# bytes of spans that wait for a supervisor that does not read; then they are dropped
BACKLOG = 4_000_000
PREDECESSOR = 30.0  # seconds that whoever had the address before may take to leave it


def main() -> None:
    """Runs one worker."""
    if not stat.S_ISSOCK(os.fstat(0).st_mode):
        sys.exit("extproc.worker is started by extproc serve, with workers: 2 or more")
    control = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # nothing else may read it
    start = decode(_first_line(control))
    if not isinstance(start, Start):
        sys.exit("extproc.worker: its first line says no Start")
    log_format.set_up(start.settings.log.level, start.settings.log.format, start.number)
    allow_descriptors()
    guest(partial(_work, start, control))


def _first_line(control: socket.socket) -> bytes:
    """Byte by byte at the end: what follows the line is for the loop."""
    line = b""
    while not line.endswith(b"\n"):
        peeked = control.recv(65536, socket.MSG_PEEK)
        if not peeked:
            sys.exit(0)  # the supervisor is gone before it said anything
        line += control.recv(peeked.find(b"\n") + 1 or len(peeked))
    return line


async def _work(start: Start, control: socket.socket, bridge: Bridge) -> None:
    reader, writer = await asyncio.open_connection(sock=control, limit=LONGEST)
    try:
        await Worker(start, reader, writer, bridge).run()
        await writer.drain()
    except ConnectionError:
        pass  # the supervisor is gone
    finally:
        writer.close()


class Worker:
    """One worker, on the asyncio side. It listens to its supervisor until it is told to go, or
    nobody is there any more.
    """

    def __init__(
        self,
        start: Start,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        bridge: Bridge,
    ) -> None:
        self._start, self._reader, self._writer, self._bridge = start, reader, writer, bridge
        self._over = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._over.set)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a group's; the supervisor says what it means

    async def run(self) -> None:
        settings = self._start.settings
        try:
            self._metrics = metrics_of(settings)
            sessions = open_sessions(settings.store, self._metrics)
            self._service = Service(
                settings,
                self._start.listen,
                sessions,
                self._bridge,
                self._metrics,
                self._start.number,
            )
        except Refusal as error:
            return self._say(Failed(error.detail))
        except OSError as error:  # a provider's ca_file
            return self._say(
                Failed(f"{error.filename or 'ca_file'}: {error.strerror or 'cannot be read'}")
            )
        exporter = BatchSpanProcessor(
            _ToSupervisor(self._loop, self._writer), schedule_delay_millis=SOON
        )
        tracing = telemetry.set_up_tracing(
            [exporter],
            settings.tracing.endpoint,
            standard=telemetry.standard(),
            users=settings.tracing.users,
        )
        self._service.warm()
        self._say(Ready())
        obeying = asyncio.create_task(self._obey())
        await self._over.wait()
        await self._service.drain()
        obeying.cancel()
        await asyncio.to_thread(tracing.shutdown)  # what it still has goes through this loop
        telemetry.log(logging.INFO, "stopped")

    async def _obey(self) -> None:
        """Does as it is told; ends, and the worker with it, at Drain, at a failure, and when the
        supervisor is gone.
        """
        try:
            while line := await self._reader.readline():
                match decode(line):
                    case Listen(predecessor):
                        if predecessor:
                            await _free(self._start.listen)
                        await self._service.listen()
                        telemetry.log(logging.INFO, "listening", listen=str(self._start.listen))
                        self._say(Serving())
                    case UpdateKeys(settings):
                        self._service.take(settings)
                        self._say(KeysUpdated())
                    case GetStatus():
                        await background.once("report", partial(self._tell, self._report))
                    case GetMetrics():
                        await background.once("measuring", partial(self._tell, self._measured))
                    case Drain():
                        break
        except CannotListen as error:
            self._say(Failed(str(error)))
        except ConnectionError:
            pass  # killed, with something of ours unread
        except Exception as error:
            # the worker cannot carry out an order: it ends, and the supervisor starts another
            background.report("obeying", error)
            self._say(Failed(f"it met {type(error).__qualname__}"))
        finally:
            self._over.set()

    async def _tell(self, what: Callable[[], Awaitable[Message]]) -> None:
        """A question that meets an error of ours is not answered."""
        self._say(await self._bridge.run(what))

    async def _report(self) -> Status:
        return Status(self._service.missing(), self._service.gauges(), self._service.checkers)

    async def _measured(self) -> MetricsText:
        return MetricsText(to_text(self._metrics.families()))

    def _say(self, message: Message) -> None:
        if not self._writer.is_closing():
            self._writer.write(encode(message))


async def _free(address: Address) -> None:
    """Returns when nobody listens there any more: a predecessor closes its address before what it
    holds is finished.

    A unix socket is taken over only from somebody who has ended, so there is nothing to wait for.
    After PREDECESSOR seconds it returns as well, and the address says by itself what is wrong.
    """
    if address.path is not None:
        return
    deadline = time.monotonic() + PREDECESSOR
    # The kernel has no event for it.
    while not _can_bind(address) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


def _can_bind(address: Address) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


class _ToSupervisor(SpanExporter):
    """Sends finished spans to the supervisor, whose admin shows those of all workers. Called in the
    exporter's thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, writer: asyncio.StreamWriter) -> None:
        self._loop, self._writer = loop, writer

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        line = encode(Spans(encode_spans(spans).SerializeToString()))
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._write, line)
        return SpanExportResult.SUCCESS

    def _write(self, line: bytes) -> None:
        transport = self._writer.transport
        if not transport.is_closing() and transport.get_write_buffer_size() < BACKLOG:
            self._writer.write(line)


if __name__ == "__main__":
    main()
