"""Values of a trace, the same for the processor's own spans and for spans that arrive by OTLP."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Status = Literal["unset", "ok", "error"]
Attributes = tuple[tuple[str, str], ...]

# the index is the number in OTLP
KINDS: tuple[Kind, ...] = ("internal", "internal", "server", "client", "producer", "consumer")
STATUSES: tuple[Status, ...] = ("unset", "ok", "error")
TEXT = 1024  # characters that are kept of one name or value
ATTRIBUTES = 64  # that are kept of one span or event
EVENTS = 32  # that are kept of one span, and as many links


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened during a span. The time is nanoseconds since 1970."""

    name: str
    time_ns: int
    attributes: Attributes = ()


@dataclass(frozen=True, slots=True)
class Link:
    """A reference from a span to a span of another trace."""

    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class Span:
    """One finished span. Ids are lower-case hex, `parent_id` is empty for a root, and times are
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
        """The value of the first of these attributes that the span has, or ""."""
        values = dict(self.attributes)
        return next((values[name] for name in names if name in values), "")


@dataclass(slots=True)
class LazySpan:
    """A span as it arrived, which is decoded when it is displayed: most spans never are.

    The attributes are what the store needs to decide how long to keep the span.

    Attributes:
        duration_ns: Duration in nanoseconds.
        is_problem: Whether the span is an error or a refusal, see `tree.is_problem`.
        links: Ids of the traces that the span links to.
        size: Bytes in memory, approximately.
        load: Returns the span, or is the span.
    """

    trace_id: str
    span_id: str
    duration_ns: int
    is_problem: bool
    links: tuple[str, ...]
    size: int
    load: Callable[[], Span] | Span

    def span(self) -> Span:
        """The span, decoded by each call: a decoded one takes several times the memory of the
        message, which is what the store counts.
        """
        return self.load if isinstance(self.load, Span) else self.load()


@dataclass(frozen=True, slots=True)
class Trace:
    """The stored spans of one trace, ordered by start; `dropped` counts those that did not fit."""

    trace_id: str
    spans: tuple[Span, ...]
    dropped: int = 0
