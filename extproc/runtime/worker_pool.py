"""Several workers, each a process with an address of its own: started, restarted when one ends,
replaced when settings change, drained.

The rules:
- All workers of one generation have the same settings, as they were read once.
- No old worker leaves before every new one is ready: settings, store, keys, providers. Then one
  worker after another leaves its address to its successor, and the next one waits until Envoy has
  found that successor.
- A worker that ends by itself is replaced: immediately the first time, then after longer and longer
  pauses.
"""

import logging
from collections.abc import Awaitable, Callable
from functools import partial

import trio

from extproc import background, telemetry
from extproc.runtime.control import Drain, Start
from extproc.runtime.worker_process import WorkerHandle
from extproc.runtime.worker_proxy import TakeSpans, WorkerFailed, WorkerProxy
from extproc.runtime.worker_reports import WorkerReports
from extproc.settings import Settings

Launch = Callable[[], Awaitable[WorkerHandle]]

WARM = 10.0  # seconds that a successor waits for providers that its predecessor knew
FOUND = 30.0  # seconds that Envoy has to find a worker
# Seconds beyond timeouts.drain that a worker has to end: until Envoy leaves it, and to close.
LEAVE = 15.0
STEADY = 60.0  # seconds after which a worker counts as healthy
# Seconds before a worker is restarted. The pause doubles with each failure.
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0


def pause(failures: int) -> float:
    """Seconds before a worker is restarted, after so many failures in a row."""
    return min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE) if failures else 0.0


class Workers:
    """All workers of a supervisor. Lives in trio.

    reports: asks the workers for status and metrics.
    """

    def __init__(
        self, settings: Settings, launch: Launch, spans: TakeSpans, nursery: trio.Nursery
    ) -> None:
        """Starts nothing.

        Args:
            settings: with their secrets.
            launch: starts a process.
            spans: gets the finished spans of all workers.
            nursery: where workers are watched; the caller cancels it after `drain`.
        """
        self._settings = settings
        self._launch = launch
        self._spans = spans
        self._nursery = nursery
        self._listens = settings.listens
        # The worker of each place, that is, of each address.
        self._workers: list[WorkerProxy] = []
        self._failures = [0 for _ in self._listens]
        self._turns = [trio.Lock() for _ in self._listens]
        # Every process that has not ended, those included that are being replaced.
        self._alive: set[WorkerProxy] = set()
        self._leaving: set[WorkerProxy] = set()
        self._stopping = False
        self.reports = WorkerReports(self._workers)

    async def start(self) -> None:
        """Returns when all have their addresses. Raises WorkerFailed, for the first that failed."""
        self._workers[:] = [
            await self._spawn(place, self._settings) for place in range(len(self._listens))
        ]
        for worker in self._workers:
            await worker.wait_ready()
        for worker in self._workers:
            await worker.listen()
        for place, worker in enumerate(self._workers):
            self._watch_over(place, worker)

    async def roll(self, settings: Settings) -> None:
        """Replaces all workers, one by one, by workers with other settings.

        Raises WorkerFailed. Workers that were not replaced by then continue.
        """
        successors: list[WorkerProxy] = []
        try:
            for place in range(len(self._listens)):
                successors.append(await self._spawn(place, settings))
                await successors[-1].wait_ready()
            for worker in successors:
                await self._warm(worker)
            checkers = await self.reports.checkers()
            self._settings = settings
            for place in range(len(self._listens)):
                await self._replace(place, successors.pop(0), checkers)
        finally:
            # After a failure: those that have no place.
            for worker in successors:
                worker.handle.kill()

    async def update_keys(self, settings: Settings) -> None:
        """Has all workers use the key ring and the client secrets of these settings, which differ
        in nothing else. Returns when all do.
        """
        # For workers that are started from now on.
        self._settings = settings
        async with trio.open_nursery() as nursery:
            for worker in tuple(self._workers):
                nursery.start_soon(worker.update_keys, settings)

    async def drain(self) -> None:
        """Has all workers finish what they hold, and returns when they have ended."""
        self._stopping = True
        with trio.move_on_after(max((worker.patience for worker in self._alive), default=0)):
            for worker in list(self._alive):
                await worker.handle.send(Drain())
            for worker in list(self._alive):
                await worker.ended.wait()
        for worker in self._alive:
            telemetry.log(
                logging.ERROR,
                "worker_killed",
                worker=worker.number,
                detail="it did not end in time",
            )
            worker.handle.kill()

    def kill(self) -> None:
        """Ends every process now."""
        for worker in self._alive:
            worker.handle.kill()

    # -- one worker --------------------------------------------------------------------------------

    async def _spawn(self, place: int, settings: Settings) -> WorkerProxy:
        """Starts a process for a place. Raises WorkerFailed."""
        number = place + 1
        try:
            handle = await self._launch()
        except OSError as error:
            reason = error.strerror or "cannot be started"
            raise WorkerFailed(f"worker {number}: {reason}") from None
        except Exception as error:
            background.bug("worker_not_started", error, worker=number)
            reason = f"cannot be started ({type(error).__qualname__})"
            raise WorkerFailed(f"worker {number}: {reason}") from None
        worker = WorkerProxy(number, handle, settings.timeouts.drain + LEAVE)
        self._alive.add(worker)
        start = Start(number, self._listens[place], settings)
        self._nursery.start_soon(background.once, "worker", partial(self._run, worker, start))
        return worker

    async def _run(self, worker: WorkerProxy, start: Start) -> None:
        try:
            await worker.run(start, self._spans)
        finally:
            self._alive.discard(worker)

    def _watch_over(self, place: int, worker: WorkerProxy) -> None:
        watch = partial(self._watch, place, worker)
        self._nursery.start_soon(background.keep, "worker watch", watch, trio.sleep, FIRST_PAUSE)

    async def _watch(self, place: int, worker: WorkerProxy) -> None:
        """Restarts a worker that ends while it is the one of its place."""
        await worker.ended.wait()
        if self._replaced(place, worker):
            return
        if trio.current_time() - worker.began >= STEADY:
            self._failures[place] = 0
        seconds = pause(self._failures[place])
        self._failures[place] += 1
        telemetry.log(
            logging.ERROR,
            "worker_ended",
            worker=worker.number,
            detail=worker.failure,
            restart_in=seconds,
        )
        await trio.sleep(seconds)
        async with self._turns[place]:
            if not self._replaced(place, worker):
                await self._restart(place, worker)

    def _replaced(self, place: int, worker: WorkerProxy) -> bool:
        return self._stopping or self._workers[place] is not worker

    async def _restart(self, place: int, worker: WorkerProxy) -> None:
        try:
            successor = await self._spawn(place, self._settings)
        except WorkerFailed as error:
            worker.failure = str(error)
            self._watch_over(place, worker)
            return
        self._workers[place] = successor
        self._watch_over(place, successor)
        try:
            await successor.wait_ready()
            await self._listen(place, successor)
        except WorkerFailed:
            # Its own watch restarts it.
            return
        telemetry.log(logging.INFO, "worker_restarted", worker=successor.number)

    # -- a worker and its successor ----------------------------------------------------------------

    async def _warm(self, worker: WorkerProxy) -> None:
        """Waits for the providers' metadata and keys, at most WARM seconds: the predecessor knows
        them, so requests would become slower.
        """
        with trio.move_on_after(WARM):
            await worker.wait_until(lambda status: not status.missing)

    async def _replace(self, place: int, successor: WorkerProxy, checkers: int) -> None:
        async with self._turns[place]:
            if successor.ended.is_set():
                raise WorkerFailed(f"worker {successor.number}: {successor.failure}")
            predecessor = self._workers[place]
            self._workers[place] = successor
            self._failures[place] = 0
            self._watch_over(place, successor)
            self._leaving.add(predecessor)
            leave = partial(self._see_off, predecessor)
            self._nursery.start_soon(background.once, "worker leaving", leave)
            try:
                await self._listen(place, successor)
            except WorkerFailed as error:
                raise WorkerFailed(f"worker {successor.number}: {error}") from None
        await self._wait_until_found(successor, checkers)

    async def _listen(self, place: int, worker: WorkerProxy) -> None:
        """Has a worker bind its address, after a predecessor that is about to leave it.

        Raises WorkerFailed.
        """
        predecessors = [other for other in self._leaving if other.number == worker.number]
        if self._listens[place].path is not None:
            # The end of a process removes the name of its unix socket.
            for predecessor in predecessors:
                await predecessor.ended.wait()
        await worker.listen(predecessor=bool(predecessors))

    async def _wait_until_found(self, worker: WorkerProxy, checkers: int) -> None:
        """Waits until so many clients check the worker's health, at most FOUND seconds: before,
        Envoy sends nothing there.
        """
        with trio.move_on_after(FOUND):
            if await worker.wait_until(lambda status: status.checkers >= checkers):
                return
        telemetry.log(
            logging.WARNING,
            "worker_not_found",
            worker=worker.number,
            detail="not all check its health again",
        )

    async def _see_off(self, worker: WorkerProxy) -> None:
        """Drains a worker that has a successor, and ends it if it takes too long."""
        try:
            await worker.handle.send(Drain())
            with trio.move_on_after(worker.patience):
                await worker.ended.wait()
        finally:
            self._leaving.discard(worker)
            worker.handle.kill()
