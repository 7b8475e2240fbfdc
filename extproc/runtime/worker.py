"""One of several workers: a process that its supervisor (runtime/supervisor.py) started, and that
follows the orders on a socket, its standard input (runtime/control.py).

    python -m extproc.runtime.worker

It ends after Drain or SIGTERM, and when the supervisor is gone; it finishes held requests first.
"""

import asyncio
import errno
import logging
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

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
    Start,
    Status,
    UpdateKeys,
    decode,
    encode,
)
from extproc.runtime.failures import CannotStart
from extproc.runtime.rlimits import allow_descriptors
from extproc.runtime.service import Service, metrics_of
from extproc.runtime.span_forwarder import SpanForwarder
from extproc.sessions.factory import open_sessions
from extproc.telemetry import log_format

SOON = 500  # milliseconds until a finished span is sent
PREDECESSOR = 30.0  # seconds that a predecessor may take to leave the address


def main() -> None:
    """Runs one worker until it ends."""
    if not stat.S_ISSOCK(os.fstat(0).st_mode):
        sys.exit("a worker is started by extproc serve, with workers: 2 or more")
    control = socket.socket(fileno=os.dup(0))
    # Nothing else may read from the socket.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    start = decode(_first_line(control))
    if not isinstance(start, Start):
        sys.exit("worker: the first line is not Start")
    log_format.set_up(start.settings.log.level, start.settings.log.format, start.number)
    allow_descriptors()
    guest(partial(_work, start, control))


def _first_line(control: socket.socket) -> bytes:
    """Reads one line and nothing after it, because the event loop reads the rest."""
    line = b""
    while not line.endswith(b"\n"):
        peeked = control.recv(65536, socket.MSG_PEEK)
        if not peeked:
            # The supervisor is gone.
            sys.exit(0)
        line += control.recv(peeked.find(b"\n") + 1 or len(peeked))
    return line


async def _work(start: Start, control: socket.socket, bridge: Bridge) -> None:
    reader, writer = await asyncio.open_connection(sock=control, limit=LONGEST)
    try:
        await Worker(start, reader, writer, bridge).run()
        await writer.drain()
    except ConnectionError:
        # The supervisor is gone.
        pass
    finally:
        writer.close()


class Worker:
    """One worker, on the asyncio side. It follows its supervisor's orders until Drain or SIGTERM,
    or until the supervisor is gone.
    """

    def __init__(
        self,
        start: Start,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        bridge: Bridge,
    ) -> None:
        """Builds nothing yet.

        Args:
            start: the first message.
            reader: further messages.
            writer: for the answers.
            bridge: reaches trio.
        """
        self._start = start
        self._reader = reader
        self._writer = writer
        self._bridge = bridge
        self._metrics = metrics_of(start.settings)
        self._end = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end.set)
        # SIGHUP may be sent to the whole process group: the supervisor acts on it.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    async def run(self) -> None:
        """Runs the worker until it has to end, then drains."""
        try:
            service = self._service()
        except Refusal as error:
            self._send(Failed(error.detail))
            return
        except CannotStart as error:
            self._send(Failed(str(error)))
            return
        tracing = self._set_up_tracing()
        service.warm()
        self._send(Ready())
        orders = asyncio.create_task(self._follow_orders(service))
        await self._end.wait()
        await service.drain()
        orders.cancel()
        # In a thread, because the last spans are sent through this loop.
        await asyncio.to_thread(tracing.shutdown)
        telemetry.log(logging.INFO, "stopped")

    def _service(self) -> Service:
        """Builds the processor. Raises Refusal (the store) and CannotStart."""
        settings = self._start.settings
        return Service(
            settings,
            self._start.listen,
            open_sessions(settings.store, self._metrics),
            self._bridge,
            self._metrics,
            self._start.number,
        )

    def _set_up_tracing(self) -> TracerProvider:
        settings = self._start.settings.tracing
        exporter = SpanForwarder(asyncio.get_running_loop(), self._writer)
        return telemetry.set_up_tracing(
            [BatchSpanProcessor(exporter, schedule_delay_millis=SOON)],
            settings.endpoint,
            standard=telemetry.standard(),
            users=settings.users,
        )

    async def _follow_orders(self, service: Service) -> None:
        """Does what the supervisor asks for. Ends the worker after Drain, after a failure, and when
        the supervisor is gone.
        """
        try:
            while line := await self._reader.readline():
                order = decode(line)
                if isinstance(order, Drain):
                    break
                await self._follow(order, service)
        except CannotListen as error:
            self._send(Failed(str(error)))
        except ConnectionError:
            # The supervisor was killed before it read everything.
            pass
        except Exception as error:
            # The worker ends, and the supervisor starts another.
            background.report("obeying", error)
            self._send(Failed(f"it met {type(error).__qualname__}"))
        finally:
            self._end.set()

    async def _follow(self, order: Message, service: Service) -> None:
        match order:
            case Listen(predecessor):
                if predecessor:
                    await _wait_until_free(self._start.listen)
                await service.listen()
                telemetry.log(logging.INFO, "listening", listen=str(self._start.listen))
                self._send(Serving())
            case UpdateKeys(settings):
                service.update_keys(settings)
                self._send(KeysUpdated())
            case GetStatus():
                status = partial(self._answer, partial(_status, service))
                await background.once("report", status)
            case GetMetrics():
                await background.once("measuring", partial(self._answer, self._metrics_text))

    async def _answer(self, question: Callable[[], Awaitable[Message]]) -> None:
        """Sends the answer to a question, which is found in trio. There is none after a bug."""
        self._send(await self._bridge.run(question))

    async def _metrics_text(self) -> MetricsText:
        return MetricsText(to_text(self._metrics.families()))

    def _send(self, message: Message) -> None:
        if not self._writer.is_closing():
            self._writer.write(encode(message))


async def _status(service: Service) -> Status:
    return Status(service.missing(), service.gauges(), service.checkers)


async def _wait_until_free(address: Address) -> None:
    """Returns when the address is free, or after PREDECESSOR seconds: then binding it fails with
    the reason.

    A predecessor closes its address before it finishes held requests. A unix socket is taken over
    only when its owner has ended, so there is nothing to wait for.
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


if __name__ == "__main__":
    main()
