"""What a trace is made of: plain values, the same for our own spans and for those that others send
us.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Status = Literal["unset", "ok", "error"]
Attributes = tuple[tuple[str, str], ...]

# by OTLP's number
KINDS: tuple[Kind, ...] = ("internal", "internal", "server", "client", "producer", "consumer")
STATUSES: tuple[Status, ...] = ("unset", "ok", "error")
TEXT = 1024  # characters of one name or value that are kept
ATTRIBUTES = 64  # of one span, event or link
EVENTS = 32  # of one span, and as many links


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    time_ns: int
    attributes: Attributes = ()


@dataclass(frozen=True, slots=True)
class Link:
    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class Span:
    """One finished span. Ids are lower-case hex, `parent_id` is empty at a root, times are
    nanoseconds since 1970.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: Kind
    service: str
    start_ns: int
    end_ns: int
    status: Status = "unset"
    status_text: str = ""
    attributes: Attributes = ()
    events: tuple[Event, ...] = ()
    links: tuple[Link, ...] = ()

    @property
    def duration_ns(self) -> int:
        return max(self.end_ns - self.start_ns, 0)

    def attribute(self, *names: str) -> str:
        """The first of these attributes that is there, else an empty text."""
        there = dict(self.attributes)
        return next((there[name] for name in names if name in there), "")


@dataclass(slots=True)
class LazySpan:
    """A span as it came. What the store goes by is here; the rest is read when somebody looks,
    which is seldom.

    wrong: see tree.py; links: ids of other traces; size: bytes that it takes, roughly; way: to the
    span, or the span.
    """

    trace_id: str
    span_id: str
    duration_ns: int
    is_problem: bool
    links: tuple[str, ...]
    size: int
    load: "Callable[[], Span] | Span"

    def span(self) -> Span:
        if not isinstance(self.load, Span):
            self.load = self.load()
        return self.load


@dataclass(frozen=True, slots=True)
class Trace:
    """The spans of one trace that are here, by start; `dropped` did not fit."""

    trace_id: str
    spans: tuple[Span, ...]
    dropped: int = 0
