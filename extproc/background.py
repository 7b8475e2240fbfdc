"""The one boundary around what runs in the background: an error there is logged, counted, and ends
nothing else.

    nursery.start_soon(keep, "sessions", count_sessions)    # goes on for ever: begins again after a
    pause
    nursery.start_soon(once, "touch", touch)                # is done once
    await asyncio.create_task(keep("loop lag", lag, asyncio.sleep))

A place is a name of this program's, never one of a client's or a provider's; it is a label of the
metric and limits the tracebacks.
"""

import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import ClassVar

import trio

from extproc import telemetry
from extproc.metrics import Reading
from extproc.metrics import catalogue as metric

Work = Callable[[], Awaitable[object]]
Sleep = Callable[[float], Awaitable[object]]

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds until work begins again, doubled with each failure
STEADY = 60.0  # seconds after which work counts as well, and the next pause is the first one again
# so many of one error in so many seconds; then there are lines without
TRACEBACKS, WINDOW = 10, 60.0
KINDS = 1000  # errors that are remembered for that


class _Known:
    """Of the whole process. failures: by place; traced: of each error, since when its tracebacks
    are counted, and how many came.
    """

    failures: ClassVar[Counter[str]] = Counter()
    traced: ClassVar[dict[tuple[object, ...], tuple[float, int]]] = {}


async def keep(
    place: str, work: Work, sleep: Sleep = trio.sleep, longest: float | None = None
) -> None:
    """Does the work until it returns or is cancelled; after an error again, after a pause.

    sleep: trio's or asyncio's; longest: the longest pause, where nobody can do without the work for
    LONGEST_PAUSE.
    """
    _Known.failures[place] += 0
    failures = 0
    while True:
        began = time.monotonic()
        try:
            await work()
        except Exception as error:  # the boundary
            failures = 0 if time.monotonic() - began >= STEADY else failures
            pause = min(FIRST_PAUSE * 2 ** min(failures, 10), longest or LONGEST_PAUSE)
            failures += 1
            report(place, error, again_after=pause)
            await sleep(pause)
        else:
            return


async def once(place: str, work: Work) -> None:
    """Does the work; an error is reported and nobody else hears of it."""
    try:
        await work()
    except Exception as error:  # the boundary
        report(place, error)


def report(place: str, error: BaseException, **fields: telemetry.Attribute | None) -> None:
    """Counts and logs an error that nobody awaits."""
    _Known.failures[place] += 1
    bug("background_failed", error, place=place, **fields)


def bug(
    event: str, error: BaseException, place: str = "", **fields: telemetry.Attribute | None
) -> None:
    """Logs an error of ours that a boundary met: with its traceback, unless there was one of this
    kind and place a moment ago.
    """
    traced = error if _traceback_wanted(place or event, error) else None
    telemetry.log(
        logging.ERROR,
        event,
        exc_info=traced,
        place=place or None,
        detail=type(error).__qualname__,
        **fields,
    )


def _traceback_wanted(place: str, error: BaseException) -> bool:
    """Whoever can cause an error can cause it often, and a traceback has some kilobytes."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = (frame.tb_frame.f_code.co_filename, frame.tb_lineno) if frame is not None else ()
    now, key = time.monotonic(), (place, type(error), *where)
    since, came = _Known.traced.pop(key, (now, 0))
    since, came = (since, came) if now - since < WINDOW else (now, 0)
    _Known.traced[key] = since, came + 1
    if len(_Known.traced) > KINDS:
        del _Known.traced[next(iter(_Known.traced))]
    return came < TRACEBACKS


def readings() -> Iterable[Reading]:
    """How often each place failed."""
    return [
        Reading(metric.BACKGROUND_FAILURES, count, (place,))
        for place, count in _Known.failures.items()
    ]
