"""Several workers, each a process with an address of its own: started, restarted when one dies,
rolled to new settings, drained.

The rules:
- All workers of one generation have the same settings, as they were read once.
- Nothing of the old generation goes before everything of the new one is prepared: settings, store,
  keys, providers. Then one worker after another leaves its address to its successor, and the next
  one waits until Envoy has found that successor.
- A worker that ends by itself is replaced, at once the first time, then with longer and longer
  pauses.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import trio

from extproc import background, telemetry
from extproc.runtime.control import Drain, Start, Status
from extproc.runtime.worker_process import TakeSpans, WorkerFailed, WorkerHandle, WorkerProxy
from extproc.settings import Settings

T = TypeVar("T")
Launch = Callable[[], Awaitable[WorkerHandle]]
Pairs = tuple[tuple[str, str], ...]

WARM = 10.0  # seconds that a successor waits for providers that its predecessor knew
FOUND = 30.0  # seconds that Envoy has to find a worker
# seconds beyond timeouts.drain that a worker has to end: to be left by Envoy, and to close
LEAVE = 15.0
STEADY = 60.0  # seconds after which a worker counts as well
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
_EVERY = 0.1


def pause(failures: int) -> float:
    """Seconds before a worker is started again, when it was started in vain so many times
    before.
    """
    return min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE) if failures else 0.0


class Workers:
    """All of them. `nursery` is where they are watched; it is cancelled after `drain`."""

    def __init__(
        self, settings: Settings, launch: Launch, spans: TakeSpans, nursery: trio.Nursery
    ) -> None:
        self._settings, self._launch, self._spans, self._nursery = settings, launch, spans, nursery
        self._listens = settings.listens
        self._now: list[WorkerProxy] = []
        self._failures = [0 for _ in self._listens]
        self._turns = [trio.Lock() for _ in self._listens]
        self._alive: set[WorkerProxy] = set()
        self._leaving: set[WorkerProxy] = set()
        self._stopping = False

    async def start(self) -> None:
        """Returns when all have their addresses. Raises WorkerFailed, with what the first that
        failed says.
        """
        self._now = [
            await self._spawn(place, self._settings) for place in range(len(self._listens))
        ]
        for worker in self._now:
            await worker.prepared()
        for worker in self._now:
            await worker.listen()
        for place, worker in enumerate(self._now):
            self._watch_over(place, worker)

    async def roll(self, settings: Settings) -> None:
        """Replaces all by workers with other settings, one by one. Raises WorkerFailed; what was
        not replaced goes on.
        """
        fresh: list[WorkerProxy] = []
        try:
            for place in range(len(self._listens)):
                fresh.append(await self._spawn(place, settings))
                await fresh[-1].prepared()
            for worker in fresh:
                await self._warm(worker)
            reports = [report for _, report in await self._reports() if report is not None]
            checkers = max((report.checkers for report in reports), default=0)
            self._settings = settings
            for place in range(len(self._listens)):
                await self._replace(place, fresh.pop(0), checkers)
        finally:
            for worker in fresh:  # those that are not needed
                worker.handle.kill()

    async def take(self, settings: Settings) -> None:
        """Has all take the key ring and the client secrets of these settings, which differ in
        nothing else. When it returns, all have.
        """
        self._settings = settings  # for those that are started from now on
        async with trio.open_nursery() as nursery:
            for worker in tuple(self._now):
                nursery.start_soon(worker.take, settings)

    async def drain(self) -> None:
        """Has all finish what they hold, and returns when they have ended."""
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
        """Leaves nobody behind."""
        for worker in self._alive:
            worker.handle.kill()

    async def missing(self) -> Pairs:
        """What is not ready, as (part, reason), of all workers."""
        found: list[tuple[str, str]] = []
        for worker, report in await self._reports():
            if report is None:
                found.append((f"worker {worker.number}", "it does not answer"))
            elif not worker.serving:
                found.append((f"worker {worker.number}", "it is being started"))
            else:
                found += [
                    (f"worker {worker.number}: {part}", reason) for part, reason in report.missing
                ]
        return tuple(found)

    async def gauges(self) -> tuple[tuple[str, int], ...]:
        """What is in hand, the sums over all workers."""
        reports = [report for _, report in await self._reports() if report is not None]
        sums: Counter[str] = Counter()
        for report in reports:
            for name, number in report.gauges:
                sums[name] += number
        return (("workers", len(reports)), *sums.items())

    @property
    def well(self) -> int:
        """How many serve, and answered when they were asked last."""
        return sum(worker.well for worker in self._now)

    async def metrics(self) -> tuple[tuple[int, str], ...]:
        """Those that the workers say, as (worker, OpenMetrics text); without who does not
        answer.
        """
        texts = await self._of_all(WorkerProxy.metrics)
        return tuple((worker.number, text) for worker, text in texts if text is not None)

    async def _reports(self) -> list[tuple[WorkerProxy, Status | None]]:
        return await self._of_all(WorkerProxy.report)

    async def _of_all(
        self, question: Callable[[WorkerProxy], Awaitable[T]]
    ) -> list[tuple[WorkerProxy, T]]:
        workers = list(self._now)
        answers: dict[WorkerProxy, T] = {}

        async def ask(worker: WorkerProxy) -> None:
            answers[worker] = await question(worker)

        async with trio.open_nursery() as nursery:
            for worker in workers:
                nursery.start_soon(ask, worker)
        return [(worker, answers[worker]) for worker in workers]

    async def _spawn(self, place: int, settings: Settings) -> WorkerProxy:
        try:
            worker = WorkerProxy(place + 1, await self._launch(), settings.timeouts.drain + LEAVE)
        except OSError as error:
            raise WorkerFailed(
                f"worker {place + 1}: {error.strerror or 'cannot be started'}"
            ) from None
        except Exception as error:
            background.bug("worker_not_started", error, worker=place + 1)
            raise WorkerFailed(
                f"worker {place + 1}: cannot be started ({type(error).__qualname__})"
            ) from None
        self._alive.add(worker)
        start = Start(worker.number, self._listens[place], settings)
        self._nursery.start_soon(background.once, "worker", partial(self._hear, worker, start))
        return worker

    async def _hear(self, worker: WorkerProxy, start: Start) -> None:
        try:
            await worker.run(start, self._spans)
        finally:
            self._alive.discard(worker)

    def _watch_over(self, place: int, worker: WorkerProxy) -> None:
        watch = partial(self._watch, place, worker)
        self._nursery.start_soon(background.keep, "worker watch", watch, trio.sleep, FIRST_PAUSE)

    async def _watch(self, place: int, worker: WorkerProxy) -> None:
        """Replaces a worker that ends while it is the one of its place."""
        await worker.ended.wait()
        if self._stopping or self._now[place] is not worker:
            return
        if trio.current_time() - worker.began >= STEADY:
            self._failures[place] = 0
        wait = pause(self._failures[place])
        self._failures[place] += 1
        telemetry.log(
            logging.ERROR,
            "worker_ended",
            worker=worker.number,
            detail=worker.failure,
            restart_in=wait,
        )
        await trio.sleep(wait)
        async with self._turns[place]:
            if self._stopping or self._now[place] is not worker:
                return
            try:
                self._now[place] = fresh = await self._spawn(place, self._settings)
            except WorkerFailed as error:
                worker.failure = str(error)
                self._watch_over(place, worker)
                return
            self._watch_over(place, fresh)
            try:
                await fresh.prepared()
                await self._listen(place, fresh)
            except WorkerFailed:
                return  # its own watch sees to it
            telemetry.log(logging.INFO, "worker_restarted", worker=fresh.number)

    async def _warm(self, worker: WorkerProxy) -> None:
        """Waits for the providers' metadata and keys: what its predecessor knows should not be
        asked for in a request.
        """
        with trio.move_on_after(WARM):
            await _until(worker, lambda report: not report.missing)

    async def _replace(self, place: int, fresh: WorkerProxy, checkers: int) -> None:
        async with self._turns[place]:
            if fresh.ended.is_set():
                raise WorkerFailed(f"worker {fresh.number}: {fresh.failure}")
            old, self._now[place] = self._now[place], fresh
            self._failures[place] = 0
            self._watch_over(place, fresh)
            self._leaving.add(old)
            self._nursery.start_soon(background.once, "worker leaving", partial(self._see_off, old))
            try:
                await self._listen(place, fresh)
            except WorkerFailed as error:
                raise WorkerFailed(f"worker {fresh.number}: {error}") from None
        await self._found(fresh, checkers)

    async def _listen(self, place: int, worker: WorkerProxy) -> None:
        """Has it take its address, from a predecessor that is about to leave if there is one.
        Raises WorkerFailed.
        """
        before = [other for other in self._leaving if other.number == worker.number]
        if self._listens[place].path is not None:
            for other in before:
                await other.ended.wait()  # its end takes the socket's name away
        await worker.listen(predecessor=bool(before))

    async def _found(self, worker: WorkerProxy, checkers: int) -> None:
        """Waits until so many check its health: until then Envoy sends nothing there."""
        with trio.move_on_after(FOUND):
            if await _until(worker, lambda report: report.checkers >= checkers):
                return
        telemetry.log(
            logging.WARNING,
            "worker_not_found",
            worker=worker.number,
            detail="not all check its health again",
        )

    async def _see_off(self, worker: WorkerProxy) -> None:
        try:
            await worker.handle.send(Drain())
            with trio.move_on_after(worker.patience):
                await worker.ended.wait()
        finally:
            self._leaving.discard(worker)
            worker.handle.kill()


async def _until(worker: WorkerProxy, enough: Callable[[Status], bool]) -> bool:
    """Asks until its report is good enough; False when it ends before."""
    while not worker.ended.is_set():
        report = await worker.report()
        if report is not None and enough(report):
            return True
        await trio.sleep(_EVERY)
    return False
