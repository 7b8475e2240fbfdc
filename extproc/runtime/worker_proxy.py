"""A worker as its supervisor sees it: what it was asked, and what it answered."""

from collections.abc import Callable

import trio

from extproc import background
from extproc.runtime.control import (
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
)
from extproc.runtime.worker_process import WorkerHandle, how
from extproc.settings import Settings

TakeSpans = Callable[[bytes], None]

# Seconds that a worker has to get ready, to bind its address, or to take other keys.
START = 60.0
# Seconds for an answer about status or metrics: a probe of /readyz does not wait for long.
ANSWER = 2.0
# Seconds that a worker may live after its stream has ended.
SILENT = 15.0
_EVERY = 0.1  # seconds between two questions about the same


class WorkerFailed(Exception):
    """A worker could not start. The text is for the operator."""


class WorkerProxy:
    """The supervisor's view of one worker.

    number: from 1; a successor has the number of its predecessor.
    began: on trio's clock.
    ended: set when the process has ended.
    failure: why it ended, for the operator.
    """

    def __init__(self, number: int, handle: WorkerHandle, patience: float) -> None:
        """patience: seconds that the worker may take to end after Drain."""
        self.number = number
        self.handle = handle
        self.patience = patience
        self.began = trio.current_time()
        self.ended = trio.Event()
        self.failure = ""
        self._ready = trio.Event()
        self._serving = trio.Event()
        self._keys_updated = trio.Event()
        self._answered = trio.Event()
        self._answer: Status | MetricsText | None = None
        self._asking = trio.Lock()
        self._updating = trio.Lock()
        self._silent = False

    async def run(self, start: Start, spans: TakeSpans) -> None:
        """Starts the worker and receives from it until it ends."""
        try:
            await self._receive_all(start, spans)
        finally:
            # A worker that sends nothing more does not follow orders either.
            self.handle.kill()
            self.ended.set()
            for event in (self._ready, self._serving, self._answered, self._keys_updated):
                event.set()

    async def _receive_all(self, start: Start, spans: TakeSpans) -> None:
        try:
            await self.handle.send(start)
            while (message := await self.handle.receive()) is not None:
                self._received(message, spans)
        except Exception as error:
            # Whatever a worker sends ends that worker and no other.
            background.bug("worker_not_understood", error, worker=self.number)
            self.failure = "it sent a message that cannot be read"
        with trio.move_on_after(SILENT):
            await self.handle.wait()
        self.handle.kill()
        code = await self.handle.wait()
        self.failure = self.failure or f"it ended with {how(code)}"

    def _received(self, message: Message, spans: TakeSpans) -> None:
        match message:
            case Ready():
                self._ready.set()
            case Serving():
                self._serving.set()
            case KeysUpdated():
                self._keys_updated.set()
            case Status() | MetricsText():
                self._answer = message
                self._answered.set()
            case Spans(otlp):
                spans(otlp)
            case Failed(detail):
                self.failure = detail

    async def wait_ready(self) -> None:
        """Waits until everything is built. Raises WorkerFailed."""
        await self._wait_for(self._ready)

    async def listen(self, *, predecessor: bool = False) -> None:
        """Has the worker bind its address, and waits for it. Raises WorkerFailed.

        predecessor: another worker has the address, and is about to leave it.
        """
        await self.handle.send(Listen(predecessor))
        await self._wait_for(self._serving)

    async def _wait_for(self, event: trio.Event) -> None:
        with trio.move_on_after(START) as scope:
            await event.wait()
        if scope.cancelled_caught:
            self.failure = f"it was not ready in {START:g} s"
            self.handle.kill()
        if scope.cancelled_caught or self.ended.is_set():
            raise WorkerFailed(self.failure)

    async def update_keys(self, settings: Settings) -> None:
        """Has the worker use the key ring and the client secrets of other settings. Ends it if it
        does not in START seconds.
        """
        async with self._updating:
            self._keys_updated = trio.Event()
            with trio.move_on_after(START) as scope:
                # The first line that a worker reads has to be Start.
                await self._ready.wait()
                if self.ended.is_set():
                    return
                await self.handle.send(UpdateKeys(settings))
                await self._keys_updated.wait()
            if scope.cancelled_caught:
                self.failure = f"it did not take other keys in {START:g} s"
                self.handle.kill()

    async def wait_until(self, condition: Callable[[Status], bool]) -> bool:
        """Asks the worker until its status fulfils the condition. False if it ends before."""
        while not self.ended.is_set():
            status = await self.status()
            if status is not None and condition(status):
                return True
            await trio.sleep(_EVERY)
        return False

    async def status(self) -> Status | None:
        """The worker's status; None if it does not answer in ANSWER seconds."""
        answer = await self._ask(GetStatus())
        return answer if isinstance(answer, Status) else None

    async def metrics(self) -> str | None:
        """The worker's metrics as OpenMetrics text; None if it does not answer in ANSWER
        seconds.
        """
        answer = await self._ask(GetMetrics())
        return answer.openmetrics if isinstance(answer, MetricsText) else None

    async def _ask(self, question: GetStatus | GetMetrics) -> Status | MetricsText | None:
        async with self._asking:
            self._answer = None
            self._answered = trio.Event()
            if self.ended.is_set():
                return None
            with trio.move_on_after(ANSWER):
                await self.handle.send(question)
                await self._answered.wait()
            self._silent = self._answer is None
            return self._answer

    @property
    def well(self) -> bool:
        """Whether it serves, and answered the last question."""
        return self.serving and not self._silent

    @property
    def serving(self) -> bool:
        """Whether its address is bound."""
        return self._serving.is_set() and not self.ended.is_set()
