"""What the log says of one stream: `held` when it has to wait, and in the end `answered`,
`cancelled` or `aborted`. docs/logs.md.

The level is the reason's, from the table. Whatever strangers can cause as often as they like is
left out beyond a few lines a second, unless the log is at DEBUG; logins and logouts never are.
"""

import logging
import time
from collections.abc import Callable

from extproc import telemetry
from extproc.core.decisions import Answer, Respond
from extproc.core.reasons import REASONS, Level

REFUSALS = 20  # lines of one reason
WINDOW = 1.0  # seconds


class RateLimitedLog:
    """So many lines of one reason in a while; then they are counted."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}  # since when, and how many came

    def passes(self, reason: str) -> int | None:
        """None: this line is left out. Else how many were left out since the last one."""
        now = self._clock()
        since, came = self._windows.get(reason, (now, 0))
        if now - since < WINDOW:
            self._windows[reason] = since, came + 1
            return 0 if came < REFUSALS else None
        self._windows[reason] = now, 1
        return max(0, came - REFUSALS)


class StreamLog:
    """Of one stream; every line in it has its number, see telemetry.STREAM."""

    __slots__ = ("_damper", "_provider", "_started", "_step", "application", "lane")

    def __init__(self, number: int, damper: RateLimitedLog) -> None:
        telemetry.STREAM.set(number)
        self._damper = damper
        self._started = time.monotonic()
        self.application: str | None = None  # None: not known yet
        self.lane = "inline"
        self._step: str | None = None
        self._provider: str | None = None

    def held(self, step: str, provider: str) -> None:
        """step: the kind of held work."""
        self.lane, self._step, self._provider = "held", step, provider
        self._write(Level.DEBUG, "held")

    def answered(self, answer: Answer) -> None:
        known = REASONS.get(answer.reason)
        if not isinstance(answer, Respond):
            self._write(known.level if known else Level.DEBUG, "answered", answer.reason)
            return
        level = known.level if known else Level.INFO if answer.status < 500 else Level.WARNING
        left_out = None
        if answer.status >= 400 and level > Level.DEBUG and not telemetry.is_logged(logging.DEBUG):
            left_out = self._damper.passes(answer.reason)
            if left_out is None:
                return
        self._write(level, "answered", answer.reason, answer.status, answer.detail, left_out)

    def ended(self, event: str, reason: str, detail: str | None = None) -> None:
        """Without an answer of ours."""
        self._write(REASONS[reason].level, event, reason, detail=detail)

    def _write(
        self,
        level: Level,
        event: str,
        reason: str | None = None,
        status: int | None = None,
        detail: str | None = None,
        left_out: int | None = None,
    ) -> None:
        telemetry.log(
            level,
            event,
            application=self.application,
            reason=reason,
            status=status,
            lane=self.lane,
            step=self._step,
            provider=self._provider,
            duration_ms=None
            if event == "held"
            else round((time.monotonic() - self._started) * 1000, 2),
            detail=detail or None,
            left_out=left_out or None,
        )
