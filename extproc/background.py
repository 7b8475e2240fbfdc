"""The error boundary around background work: an error there is logged, counted, and ends nothing
else.

    nursery.start_soon(keep, "sessions", count_sessions)    # never returns: restarted after errors
    nursery.start_soon(once, "touch", touch)                # done once
    await asyncio.create_task(keep("loop lag", lag, asyncio.sleep))

A place is a name of this program, never of a client or a provider; it is a label of the metric and
limits the tracebacks.
"""

import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import trio

from extproc import telemetry
from extproc.metrics import Reading
from extproc.metrics import catalogue as metric

Work = Callable[[], Awaitable[object]]
Sleep = Callable[[float], Awaitable[object]]

# Seconds before work that failed is restarted. The pause doubles with each failure.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
# Seconds after which work counts as healthy, so that its next pause is the first one again.
STEADY = 60.0
# At most so many tracebacks of one error in so many seconds; further lines have none. Beyond so
# many lines they are counted only, and the first line of the next window has their number.
TRACEBACKS = 10
LINES = 100
WINDOW = 60.0
# Errors whose tracebacks are counted; the least recent is forgotten.
KINDS = 1000


@dataclass(frozen=True, slots=True)
class Line:
    """How an error is logged.

    Attributes:
        traceback: Whether the line has the error's traceback.
        left_out: How many lines of this error were left out before it.
    """

    traceback: bool
    left_out: int


class Failures:
    """What has failed in this process.

    counts: failures of each place.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        # For each error: since when its lines are counted, and how many there were.
        self._seen: dict[tuple[object, ...], tuple[float, int]] = {}

    def line(self, place: str, error: BaseException, now: float) -> "Line | None":
        """How this error is logged; None if it is only counted.

        A client that can cause an error can cause it often, and a traceback has some kilobytes.
        """
        key = (place, type(error), *_origin(error))
        since, count = self._seen.pop(key, (now, 0))
        left_out = 0
        if now - since >= WINDOW:
            left_out = max(0, count - LINES)
            since = now
            count = 0
        self._seen[key] = (since, count + 1)
        if len(self._seen) > KINDS:
            del self._seen[next(iter(self._seen))]
        return Line(count < TRACEBACKS, left_out) if count < LINES else None

    @property
    def kinds(self) -> int:
        """How many errors are remembered for their tracebacks."""
        return len(self._seen)

    def forget(self) -> None:
        """Starts as a new process does."""
        self.counts.clear()
        self._seen.clear()


FAILURES = Failures()


async def keep(
    place: str, work: Work, sleep: Sleep = trio.sleep, longest: float | None = None
) -> None:
    """Does the work until it returns or is cancelled; restarts it after an error and a pause.

    Args:
        place: its name in the log and the metrics.
        work: what is done.
        sleep: trio's or asyncio's.
        longest: the longest pause in seconds, where the program cannot do without the work for
            LONGEST_PAUSE.
    """
    FAILURES.counts[place] += 0
    failures = 0
    while True:
        began = time.monotonic()
        try:
            await work()
        except Exception as error:
            if time.monotonic() - began >= STEADY:
                failures = 0
            pause = min(FIRST_PAUSE * 2 ** min(failures, 10), longest or LONGEST_PAUSE)
            failures += 1
            report(place, error, again_after=pause)
            await sleep(pause)
        else:
            return


async def keep_within(scope: trio.CancelScope, place: str, work: Work) -> None:
    """Does the work as `keep` does, until the scope is cancelled. Runs in trio."""
    with scope:
        await keep(place, work)


async def once(place: str, work: Work) -> None:
    """Does the work once. An error is reported and not raised."""
    try:
        await work()
    except Exception as error:
        report(place, error)


def report(place: str, error: BaseException, **fields: telemetry.Attribute | None) -> None:
    """Counts and logs an error of work that has no awaiting caller."""
    FAILURES.counts[place] += 1
    bug("background_failed", error, place=place, **fields)


def bug(
    event: str, error: BaseException, place: str = "", **fields: telemetry.Attribute | None
) -> None:
    """Logs an unexpected error that a boundary met.

    Within WINDOW an error has TRACEBACKS tracebacks and LINES lines at one place; further ones are
    counted.
    """
    line = FAILURES.line(place or event, error, time.monotonic())
    if line is None:
        return
    telemetry.log(
        logging.ERROR,
        event,
        exc_info=error if line.traceback else None,
        place=place or None,
        detail=type(error).__qualname__,
        left_out=line.left_out or None,
        **fields,
    )


def _origin(error: BaseException) -> tuple[object, ...]:
    """The file and line that raised the error."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return (frame.tb_frame.f_code.co_filename, frame.tb_lineno) if frame is not None else ()


def readings() -> Iterable[Reading]:
    """How often each place has failed."""
    return [
        Reading(metric.BACKGROUND_FAILURES, count, (place,))
        for place, count in FAILURES.counts.items()
    ]
