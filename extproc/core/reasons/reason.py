"""What a reason is."""

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """Of the log line, by logging's numbers.

    DEBUG: what any stranger can cause at will, and what is as it should be for every request. INFO:
    what a person met. WARNING: trouble outside, or settings at odds with the provider's. ERROR: a
    bug.
    """

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


@dataclass(frozen=True, slots=True)
class Reason:
    """One way a request can end.

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
