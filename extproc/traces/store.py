"""Spans of the last traces, kept in memory: the processor's own, and those that arrive by OTLP.

The store is for a person who signs in and wants to see what happened, without a collector and a
database. Everything in it is bounded: the number of traces, the spans of one, what is kept of a
span, and the bytes of all. What exceeds a bound is dropped, the oldest trace first. A span is kept
as it arrived and decoded when it is displayed, because most are never displayed. Recording is safe
from any thread. The attributes of the processor's own spans contain no secrets (extproc.telemetry);
those of other spans are redacted when they are decoded (otlp.py).
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from extproc.traces.otlp import decode, unpack
from extproc.traces.tree import is_problem
from extproc.traces.values import LazySpan, Span, Trace

OVERHEAD = 400  # bytes in memory of a span besides its text, approximately
PART = 120  # bytes in memory of one attribute, event or link besides its text, approximately


@dataclass(frozen=True, slots=True)
class StoredTrace:
    """The spans of a trace as the store has them at this moment, not decoded."""

    trace_id: str
    spans: tuple[LazySpan, ...]
    dropped: int

    def decoded(self, spans: Iterable[Span]) -> Trace:
        """The trace, with its spans decoded."""
        ordered = sorted(spans, key=lambda span: (span.start_ns, span.span_id))
        return Trace(self.trace_id, tuple(ordered), self.dropped)


@dataclass(slots=True)
class _Stored:
    """The spans of one trace by their ids.

    Attributes:
        size: Bytes of all spans, approximately.
        dropped: Number of spans that did not fit.
    """

    spans: dict[str, LazySpan] = field(default_factory=dict)
    size: int = 0
    dropped: int = 0

    def copied(self, trace_id: str) -> StoredTrace:
        """A copy that is made under the lock and decoded without it."""
        return StoredTrace(trace_id, tuple(self.spans.values()), self.dropped)


class TraceStore:
    """The last traces, ordered by their last span; a span that arrives again replaces its
    predecessor.

    Some traces are kept longer than the others: traces with an error or a refusal, or with a span
    of at least `slow` seconds, and the traces that these link to (the redirect of a failed
    callback). They may fill half of the store, so that the newest traces are visible too.
    """

    def __init__(
        self,
        max_traces: int = 200,
        max_spans_per_trace: int = 500,
        max_bytes: int = 16_000_000,
        slow: float = float("inf"),
    ) -> None:
        """Create an empty store.

        Args:
            max_traces: Number of traces.
            max_spans_per_trace: Number of spans of one trace; further ones are only counted.
            max_bytes: Bytes in memory of all spans, approximately.
            slow: Seconds from which on a span makes its trace worth keeping longer.
        """
        self._max_traces = max_traces
        self._max_spans = max_spans_per_trace
        self._max_bytes = max_bytes
        self._slow_ns = slow * 1e9
        self._lock = threading.Lock()
        self._plain: OrderedDict[str, _Stored] = OrderedDict()
        self._kept_longer: OrderedDict[str, _Stored] = OrderedDict()
        self._bytes = 0
        self._kept_longer_bytes = 0

    def add(self, spans: Iterable[Span]) -> None:
        """Store spans."""
        self.take(map(_lazy_span, spans))

    def take(self, spans: Iterable[LazySpan]) -> None:
        """Store spans that are not decoded yet."""
        with self._lock:
            for span in spans:
                self._add(span)

    def add_otlp(self, body: bytes, content_encoding: str = "", *, limit: int = 16_000_000) -> int:
        """Store the spans of an OTLP export request.

        Args:
            body: An ExportTraceServiceRequest in protobuf, plain or gzip.
            content_encoding: The request's Content-Encoding.
            limit: Maximum size in bytes after unpacking.

        Returns:
            The number of spans in the request.

        Raises:
            BadExport: The body is not such a request, is too large, or has too many spans; nothing
                was stored.
        """
        spans = decode(unpack(body, content_encoding, limit))
        self.take(spans)
        return len(spans)

    def trace(self, trace_id: str) -> Trace | None:
        """The trace of this id, or None if the store has none."""
        stored = self.stored(trace_id)
        return stored.decoded(lazy.span() for lazy in stored.spans) if stored is not None else None

    def stored(self, trace_id: str) -> StoredTrace | None:
        """The trace of this id without decoding it, or None if the store has none."""
        with self._lock:
            stored = self._plain.get(trace_id) or self._kept_longer.get(trace_id)
            return stored.copied(trace_id) if stored is not None else None

    def all_stored(self) -> tuple[StoredTrace, ...]:
        """All traces without decoding them, the one that got a span last first."""
        with self._lock:
            stored = [*self._plain.items(), *self._kept_longer.items()]
            return tuple(one.copied(trace_id) for trace_id, one in reversed(stored))

    def _add(self, span: LazySpan) -> None:
        is_kept_longer = span.trace_id in self._kept_longer
        stored = self._stored(self._kept_longer if is_kept_longer else self._plain, span.trace_id)
        before = stored.spans.get(span.span_id)
        if before is None and len(stored.spans) >= self._max_spans:
            stored.dropped += 1
            return
        growth = span.size - (before.size if before is not None else 0)
        stored.spans[span.span_id] = span
        stored.size += growth
        self._bytes += growth
        if is_kept_longer:
            self._kept_longer_bytes += growth
            self._keep_longer(span.links)
        elif span.is_problem or span.duration_ns >= self._slow_ns:
            links = [link for other in stored.spans.values() for link in other.links]
            self._keep_longer((span.trace_id, *links))
        if self._is_too_full():
            self._make_room()

    def _stored(self, group: OrderedDict[str, _Stored], trace_id: str) -> _Stored:
        """The trace in its group, created if it is missing, as the last to have got a span."""
        stored = group.get(trace_id)
        if stored is None:
            stored = group[trace_id] = _Stored()
        else:
            group.move_to_end(trace_id)
        return stored

    def _keep_longer(self, trace_ids: Iterable[str]) -> None:
        for trace_id in trace_ids:
            stored = self._plain.pop(trace_id, None)
            if stored is not None:
                self._kept_longer[trace_id] = stored
                self._kept_longer_bytes += stored.size

    def _is_too_full(self) -> bool:
        traces = len(self._plain) + len(self._kept_longer)
        return traces > self._max_traces or self._bytes > self._max_bytes

    def _make_room(self) -> None:
        while self._is_too_full():
            beyond_half = (
                len(self._kept_longer) > self._max_traces / 2
                or self._kept_longer_bytes > self._max_bytes / 2
            )
            if beyond_half or not self._plain:
                _, gone = self._kept_longer.popitem(last=False)
                self._kept_longer_bytes -= gone.size
            else:
                _, gone = self._plain.popitem(last=False)
            self._bytes -= gone.size


def _lazy_span(span: Span) -> LazySpan:
    return LazySpan(
        trace_id=span.trace_id,
        span_id=span.span_id,
        duration_ns=span.duration_ns,
        is_problem=is_problem(span),
        links=tuple(link.trace_id for link in span.links),
        size=_size(span),
        load=span,
    )


def _size(span: Span) -> int:
    """Bytes of a span in memory, approximately, which is enough for a limit."""
    pairs = [*span.attributes, *(pair for event in span.events for pair in event.attributes)]
    text = len(span.name) + len(span.service) + len(span.status_text)
    text += sum(len(key) + len(value) for key, value in pairs)
    return OVERHEAD + text + PART * (len(pairs) + len(span.events) + len(span.links))
