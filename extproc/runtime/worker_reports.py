"""Status and metrics of all workers, which are asked at the same time."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import trio

from extproc.runtime.control import Status
from extproc.runtime.worker_proxy import WorkerProxy

T = TypeVar("T")


class WorkerReports:
    """Asks every worker of a list, which may change between two questions."""

    def __init__(self, workers: Sequence[WorkerProxy]) -> None:
        self._workers = workers

    async def missing(self) -> tuple[tuple[str, str], ...]:
        """What is not ready, as (part, reason), of all workers."""
        missing: list[tuple[str, str]] = []
        for worker, status in await self._statuses():
            name = f"worker {worker.number}"
            if status is None:
                missing.append((name, "it does not answer"))
            elif not worker.serving:
                missing.append((name, "it is being started"))
            else:
                missing += [(f"{name}: {part}", reason) for part, reason in status.missing]
        return tuple(missing)

    async def gauges(self) -> tuple[tuple[str, int], ...]:
        """How many workers answer, and what is in progress, summed over them."""
        statuses = [status for _, status in await self._statuses() if status is not None]
        sums: Counter[str] = Counter()
        for status in statuses:
            for name, count in status.gauges:
                sums[name] += count
        return (("workers", len(statuses)), *sums.items())

    async def checkers(self) -> int:
        """How many clients check the health of the worker that most of them check."""
        statuses = [status for _, status in await self._statuses() if status is not None]
        return max((status.checkers for status in statuses), default=0)

    async def metrics(self) -> tuple[tuple[int, str], ...]:
        """Metrics of each worker as (number, OpenMetrics text). Workers that do not answer are
        omitted.
        """
        texts = await self._ask_all(WorkerProxy.metrics)
        return tuple((worker.number, text) for worker, text in texts if text is not None)

    @property
    def well(self) -> int:
        """How many serve, and answered the last question."""
        return sum(worker.well for worker in self._workers)

    async def _statuses(self) -> list[tuple[WorkerProxy, Status | None]]:
        return await self._ask_all(WorkerProxy.status)

    async def _ask_all(
        self, question: Callable[[WorkerProxy], Awaitable[T]]
    ) -> list[tuple[WorkerProxy, T]]:
        # A copy, because the list may change while they are asked.
        workers = list(self._workers)
        answers: dict[WorkerProxy, T] = {}

        async def ask(worker: WorkerProxy) -> None:
            answers[worker] = await question(worker)

        async with trio.open_nursery() as nursery:
            for worker in workers:
                nursery.start_soon(ask, worker)
        return [(worker, answers[worker]) for worker in workers]
