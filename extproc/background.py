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
# At most so many tracebacks of one error in so many seconds. Further lines have none.
TRACEBACKS = 10
WINDOW = 60.0
# Errors whose tracebacks are counted; the least recent is forgotten.
KINDS = 1000


class Failures:
    """What has failed in this process.

    counts: failures of each place.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        # For each error: since when its tracebacks are counted, and how many there were.
        self._traced: dict[tuple[object, ...], tuple[float, int]] = {}

    def wants_traceback(self, place: str, error: BaseException, now: float) -> bool:
        """Whether this error may still have a traceback in the log.

        A client that can cause an error can cause it often, and a traceback has some kilobytes.
        """
        key = (place, type(error), *_origin(error))
        since, count = self._traced.pop(key, (now, 0))
        if now - since >= WINDOW:
            since = now
            count = 0
        self._traced[key] = (since, count + 1)
        if len(self._traced) > KINDS:
            del self._traced[next(iter(self._traced))]
        return count < TRACEBACKS

    @property
    def kinds(self) -> int:
        """How many errors are remembered for their tracebacks."""
        return len(self._traced)

    def forget(self) -> None:
        """Starts as a new process does."""
        self.counts.clear()
        self._traced.clear()


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
    """Logs an unexpected error that a boundary met, with its traceback unless that error had
    TRACEBACKS of them at that place within WINDOW.
    """
    wanted = FAILURES.wants_traceback(place or event, error, time.monotonic())
    telemetry.log(
        logging.ERROR,
        event,
        exc_info=error if wanted else None,
        place=place or None,
        detail=type(error).__qualname__,
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
