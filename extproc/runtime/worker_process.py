"""A worker as its supervisor sees it: a process, started afresh (no fork, nothing inherited), and
the socket by which one speaks to it.
"""

import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Protocol

import trio

from extproc import background
from extproc.runtime.control import (
    LONGEST,
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
from extproc.settings import Settings

TakeSpans = Callable[[bytes], None]

START = 60.0  # seconds that a worker has to get prepared, or to have its address
ANSWER = 2.0  # seconds for a report: whoever probes /readyz does not wait for long
SILENT = 15.0  # seconds that one may go on which says nothing any more


class WorkerHandle(Protocol):
    """A worker that runs, and the supervisor's end of the channel. In trio."""

    pid: int

    async def send(self, message: Message) -> None:
        """Says something; nothing happens when nobody listens any more."""

    async def receive(self) -> Message | None:
        """What it says next; None when it will say nothing any more."""

    async def wait(self) -> int:
        """Its exit status, minus the signal's number when one ended it."""

    def kill(self) -> None:
        """Ends it now."""


async def launch() -> WorkerHandle:
    """Starts `python -m extproc.worker`, with this program's own module path. Raises OSError."""
    ours, theirs = socket.socketpair()
    with theirs:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        }
        command = [sys.executable, "-P", "-m", "extproc.runtime.worker"]
        try:
            process = await trio.lowlevel.open_process(
                command, stdin=theirs.fileno(), env=environment
            )
        except BaseException:
            ours.close()
            raise
    return _Process(process, trio.SocketStream(trio.socket.from_stdlib_socket(ours)))


class _Process:
    def __init__(self, process: trio.Process, stream: trio.SocketStream) -> None:
        self.pid = process.pid
        self._process, self._stream = process, stream
        self._sending = trio.Lock()
        self._read = bytearray()

    async def send(self, message: Message) -> None:
        try:
            async with self._sending:
                await self._stream.send_all(encode(message))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # its end is seen elsewhere

    async def receive(self) -> Message | None:
        while (end := self._read.find(b"\n")) < 0:
            try:
                some = await self._stream.receive_some(65536)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return None
            if not some or len(self._read) > LONGEST:
                return None
            self._read += some
        line = bytes(self._read[:end])
        del self._read[: end + 1]
        return decode(line)

    async def wait(self) -> int:
        code = await self._process.wait()
        await self._stream.aclose()
        return code

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()


def how(code: int) -> str:
    """An exit status in words."""
    if code >= 0:
        return f"exit status {code}"
    # of the real-time signals two have names
    return (
        f"signal {signal.Signals(-code).name}"
        if -code in set(signal.Signals)
        else f"signal {-code}"
    )


class WorkerFailed(Exception):
    """A worker could not start; its text is for the operator."""


class WorkerProxy:
    """The supervisor's view of one process."""

    def __init__(self, number: int, handle: WorkerHandle, patience: float) -> None:
        """patience: seconds that it may take to end once it was told to."""
        self.number, self.handle, self.patience = number, handle, patience
        self.began = trio.current_time()
        self.ended = trio.Event()
        self.failure = ""
        self._prepared, self._serving, self._answered, self._taken = (
            trio.Event() for _ in range(4)
        )
        self._answer: Status | MetricsText | None = None
        self._asking, self._taking = trio.Lock(), trio.Lock()
        self._silent = False

    async def run(self, start: Start, spans: TakeSpans) -> None:
        """Hears it until it ends."""
        try:
            await self._hear(start, spans)
        finally:
            self.handle.kill()  # a worker that sends nothing any more takes no order either
            self.ended.set()
            for event in (self._prepared, self._serving, self._answered, self._taken):
                event.set()

    async def _hear(self, start: Start, spans: TakeSpans) -> None:
        try:
            await self.handle.send(start)
            while (message := await self.handle.receive()) is not None:
                self._heard(message, spans)
        except Exception as error:  # whatever it said: it is this worker's end, and no other's
            background.bug("worker_not_understood", error, worker=self.number)
            self.failure = "it said what no worker says"
        with trio.move_on_after(SILENT):
            await self.handle.wait()
        self.handle.kill()
        self.failure = self.failure or f"it ended with {how(await self.handle.wait())}"

    def _heard(self, message: Message, spans: TakeSpans) -> None:
        match message:
            case Ready():
                self._prepared.set()
            case Serving():
                self._serving.set()
            case KeysUpdated():
                self._taken.set()
            case Status() | MetricsText():
                self._answer = message
                self._answered.set()
            case Spans(otlp):
                spans(otlp)
            case Failed(detail):
                self.failure = detail

    async def prepared(self) -> None:
        """Raises WorkerFailed."""
        await self._reaches(self._prepared)

    async def listen(self, *, predecessor: bool = False) -> None:
        """Has it take its address. Raises WorkerFailed."""
        await self.handle.send(Listen(predecessor))
        await self._reaches(self._serving)

    async def _reaches(self, event: trio.Event) -> None:
        with trio.move_on_after(START) as scope:
            await event.wait()
        if scope.cancelled_caught:
            self.failure = f"it was not ready in {START:g} s"
            self.handle.kill()
        if scope.cancelled_caught or self.ended.is_set():
            raise WorkerFailed(self.failure)

    async def take(self, settings: Settings) -> None:
        """Has it take the key ring and the client secrets of other settings. One that does not do
        so in time is ended.
        """
        async with self._taking:
            self._taken = trio.Event()
            with trio.move_on_after(START) as scope:
                await self._prepared.wait()  # its first line is Start
                if self.ended.is_set():
                    return
                await self.handle.send(UpdateKeys(settings))
                await self._taken.wait()
            if scope.cancelled_caught:
                self.failure = f"it did not take other keys in {START:g} s"
                self.handle.kill()

    async def report(self) -> Status | None:
        """How it is; None when it does not say."""
        answer = await self._asked(GetStatus())
        return answer if isinstance(answer, Status) else None

    async def metrics(self) -> str | None:
        """Its metrics as OpenMetrics text; None when it does not say."""
        answer = await self._asked(GetMetrics())
        return answer.openmetrics if isinstance(answer, MetricsText) else None

    async def _asked(self, question: GetStatus | GetMetrics) -> Status | MetricsText | None:
        async with self._asking:
            self._answer, self._answered = None, trio.Event()
            if self.ended.is_set():
                return None
            with trio.move_on_after(ANSWER):
                await self.handle.send(question)
                await self._answered.wait()
            self._silent = self._answer is None
            return self._answer

    @property
    def well(self) -> bool:
        """Whether it serves, and answered when it was asked last."""
        return self.serving and not self._silent

    @property
    def serving(self) -> bool:
        return self._serving.is_set() and not self.ended.is_set()
