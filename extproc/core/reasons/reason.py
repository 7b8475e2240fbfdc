"""Reason: one row of the table of reasons."""

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """Level of a log line, with the numbers of Python's logging.

    DEBUG: events that unauthenticated clients can trigger at will, and the normal case of every
    request. INFO: what a user met. WARNING: trouble outside of the processor, or settings that do
    not match those at the provider. ERROR: a bug.
    """

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


@dataclass(frozen=True, slots=True)
class Reason:
    """One way in which a request can end.

    status: of the answer that the browser gets; None: the request goes on to the application, or
    (ENDED) its response had begun, or (ABORTED) Envoy answers by itself. text: for the user, fixed.
    remedy: for the operator, what it means and what to do. retry_after: seconds.
    """

    code: str
    status: int | None
    level: Level
    title: str
    text: str
    remedy: str
    retry_after: int | None = None
