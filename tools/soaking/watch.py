"""Samples of the processor's size and requests in progress, and a line fitted to them."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import httpx
from harness.gateway import Stack
from harness.processes import descriptors, resident

MB = 1e6  # bytes


@dataclass(frozen=True, slots=True)
class Sample:
    """The sizes of a gateway's parts at a moment.

    at: seconds since the start. rss, envoy: MB, of all processes of the processor, and of Envoy.
    """

    at: float
    rss: float
    envoy: float
    fds: int
    trio: int
    asyncio: int
    streams: int
    held: int
    work: int


@dataclass(frozen=True, slots=True)
class Line:
    """A least-squares fit. slope: per second."""

    start: float
    slope: float

    def at(self, x: float) -> float:
        return self.start + self.slope * x


def fit(points: Sequence[tuple[float, float]]) -> Line:
    """The line through these points. Flat if there are too few."""
    if len(points) < 3:
        return Line(points[-1][1] if points else 0.0, 0.0)
    mean_x, mean_y = (sum(column) / len(points) for column in zip(*points, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
    return Line(mean_y - slope * mean_x, slope)


def processes(stack: Stack) -> list[int]:
    return [stack.extproc.pid, *stack.extproc.children]


def look(stack: Stack, started: float) -> Sample | None:
    """A sample, or None while a part is missing because a worker was killed."""
    try:
        pids = processes(stack)
        gauges = stack.gauges()
        held = sum(count for name, count in gauges.items() if name.startswith("held."))
        return Sample(
            time.monotonic() - started,
            sum(map(resident, pids)) / MB,
            resident(stack.envoy.pid) / MB,
            sum(map(descriptors, pids)),
            *(gauges.get(name, 0) for name in ("trio.tasks", "asyncio.tasks", "streams")),
            held,
            gauges.get("work", 0),
        )
    except (OSError, httpx.HTTPError, ValueError):
        return None


class Watch:
    """Takes samples from `with` to the block's end."""

    def __init__(self, stack: Stack, every: float) -> None:
        self.samples: list[Sample] = []
        self.missed = 0
        self._stack, self._every, self._started = stack, every, time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every):
            sample = look(self._stack, self._started)
            if sample is None:
                self.missed += 1
            else:
                self.samples.append(sample)
            # The memory of the test itself.
            self._stack.app.requests.clear()
