"""The log lines of one stream: `held` when it has to wait, and in the end `answered`, `cancelled`
or `aborted` (docs/logs.md).

The level is that of the reason, from core/reasons. Refusals that unauthenticated clients can cause
at will are limited to a few lines a second, unless the log is at DEBUG; logins and logouts are
always logged.
"""

import logging
import time
from collections.abc import Callable

from extproc import telemetry
from extproc.core.decisions import Answer, Continue, Respond, StepKind
from extproc.core.reasons import REASONS, Level

REFUSALS = 20  # lines of one reason in a window
WINDOW = 1.0  # seconds
# the event of a request that passed, and that a rule in shadow mode would have refused
WOULD_REFUSE = "would_refuse"


class RateLimitedLog:
    """Lets REFUSALS lines of each reason pass in a window, and counts the others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # by reason: when its window began, and how many lines there were in it
        self._windows: dict[str, tuple[float, int]] = {}

    def passes(self, reason: str) -> int | None:
        """None when the line is to be left out; otherwise, how many were left out before it."""
        now = self._clock()
        since, lines = self._windows.get(reason, (now, 0))
        if now - since < WINDOW:
            self._windows[reason] = (since, lines + 1)
            return 0 if lines < REFUSALS else None
        self._windows[reason] = (now, 1)
        return max(0, lines - REFUSALS)


class StreamLog:
    """The log of one stream. Each of its lines has the stream's number (telemetry.STREAM)."""

    __slots__ = ("_provider", "_rate_limited", "_started", "_step", "application", "lane")

    def __init__(self, number: int, rate_limited: RateLimitedLog) -> None:
        telemetry.STREAM.set(number)
        self._rate_limited = rate_limited
        self._started = time.monotonic()
        # None until the first message was read
        self.application: str | None = None
        self.lane = "inline"
        self._step: StepKind | None = None
        self._provider: str | None = None

    def held(self, step: StepKind, provider: str) -> None:
        """Log that the stream is held for a kind of work that concerns a provider."""
        self.lane = "held"
        self._step = step
        self._provider = provider
        self._write(Level.DEBUG, "held")

    def answered(self, answer: Answer, shadow: str = "") -> None:
        """Log the answer, at the level of its reason; and that a rule would have refused it.

        shadow: the rule in shadow mode that takes the request, or "".
        """
        row = REASONS.get(answer.reason)
        if not isinstance(answer, Respond):
            if answer.would_refuse:
                self._would_refuse(answer, shadow)
            level = row.level if row is not None else Level.DEBUG
            self._write(level, "answered", answer.reason, user=answer.user)
            return
        if row is not None:
            level = row.level
        else:
            level = Level.INFO if answer.status < 500 else Level.WARNING
        left_out = self._left_out(level, answer.reason) if answer.status >= 400 else 0
        if left_out is None:
            return
        self._write(
            level, "answered", answer.reason, answer.status, answer.detail, left_out, answer.user
        )

    def _would_refuse(self, answer: Continue, shadow: str) -> None:
        left_out = self._left_out(Level.INFO, WOULD_REFUSE)
        if left_out is None:
            return
        telemetry.log(
            Level.INFO,
            WOULD_REFUSE,
            application=self.application,
            rule=shadow,
            detail=answer.would_refuse,
            user=answer.user,
            left_out=left_out or None,
        )

    def ended(self, event: str, reason: str, detail: str | None = None) -> None:
        """Log that the stream ends without an answer.

        Args:
            event: `cancelled` or `aborted`.
            reason: Its code in core/reasons.
            detail: For the operator.
        """
        level = REASONS[reason].level
        left_out = self._left_out(level, reason)
        if left_out is not None:
            self._write(level, event, reason, detail=detail, left_out=left_out)

    def _left_out(self, level: Level, reason: str) -> int | None:
        """How many lines of a reason were left out before this one; None if this one is, too."""
        if level <= Level.DEBUG or telemetry.is_logged(logging.DEBUG):
            return 0
        return self._rate_limited.passes(reason)

    def _write(
        self,
        level: Level,
        event: str,
        reason: str | None = None,
        status: int | None = None,
        detail: str | None = None,
        left_out: int | None = None,
        user: str | None = None,
    ) -> None:
        duration_ms = None
        if event != "held":
            duration_ms = round((time.monotonic() - self._started) * 1000, 2)
        telemetry.log(
            level,
            event,
            application=self.application,
            reason=reason,
            status=status,
            lane=self.lane,
            step=self._step,
            provider=self._provider,
            duration_ms=duration_ms,
            detail=detail or None,
            left_out=left_out or None,
            user=user,
        )
