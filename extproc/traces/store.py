"""Spans of the last traces, kept in memory: ours as they end, and other people's over OTLP.

A person who signs in should see at once what happened, without a collector and a database. So
everything here is bounded: traces, spans in one, what a span carries, bytes in all. What does not
fit goes, the oldest trace first. A span is kept as it came and read when somebody looks: most are
never looked at. Recording may be called from any thread. Attributes of ours come clean
(extproc.telemetry), those of others are redacted as they are read (otlp.py).
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from extproc.traces.otlp import decode, unpack
from extproc.traces.tree import is_problem
from extproc.traces.values import LazySpan, Span, Trace

OVERHEAD = 400  # bytes of a span besides its text, roughly


@dataclass(slots=True)
class _Kept:
    spans: dict[str, LazySpan] = field(default_factory=dict)
    size: int = 0
    dropped: int = 0
    turn: int = 0  # when it got a span last

    def copied(self) -> tuple[list[LazySpan], int]:
        """Under the lock; read without it."""
        return list(self.spans.values()), self.dropped


class TraceStore:
    """The last traces. A trace that got a span last goes last; a span that comes again replaces the
    one before.

    Traces worth a look outlive the others: those with a failure or a refusal, or one that lasts
    `slow` seconds, and what they are linked to (the redirect of a failed callback). They may fill
    half of the room, so that the newest are seen too.
    """

    def __init__(
        self,
        max_traces: int = 200,
        max_spans_per_trace: int = 500,
        max_bytes: int = 16_000_000,
        slow: float = float("inf"),
    ) -> None:
        self._max_traces, self._max_spans, self._max_bytes = (
            max_traces,
            max_spans_per_trace,
            max_bytes,
        )
        self._slow_ns = slow * 1e9
        self._lock = threading.Lock()
        self._plain: OrderedDict[str, _Kept] = OrderedDict()
        self._kept_longer: OrderedDict[str, _Kept] = OrderedDict()
        self._turn = self._bytes = self._kept_longer_bytes = 0

    def add(self, spans: Iterable[Span]) -> None:
        self.take(map(_unread, spans))

    def take(self, spans: Iterable[LazySpan]) -> None:
        with self._lock:
            for span in spans:
                self._add(span)

    def add_otlp(self, body: bytes, content_encoding: str = "", *, limit: int = 16_000_000) -> int:
        """Takes an ExportTraceServiceRequest in protobuf, plain or gzip; gives how many spans it
        had.

        Raises BadExport; then nothing was taken. `limit` is on the unpacked size.
        """
        spans = decode(unpack(body, content_encoding, limit))
        self.take(spans)
        return len(spans)

    def trace(self, trace_id: str) -> Trace | None:
        with self._lock:
            kept = self._plain.get(trace_id) or self._kept_longer.get(trace_id)
            copied = None if kept is None else kept.copied()
        return None if copied is None else _trace(trace_id, *copied)

    def recent(self, count: int | None = None) -> tuple[Trace, ...]:
        """The last traces, the latest start first: spans of an older one may come later."""
        with self._lock:
            every = [*self._plain.items(), *self._kept_longer.items()]
            newest = sorted(every, key=lambda item: -item[1].turn)[:count]
            copied = [(trace_id, *kept.copied()) for trace_id, kept in newest]
        return tuple(
            sorted((_trace(*each) for each in copied), key=lambda trace: -trace.spans[0].start_ns)
        )

    def _add(self, span: LazySpan) -> None:
        trace_id = span.trace_id
        known = trace_id in self._kept_longer
        group = self._kept_longer if known else self._plain
        kept = group.get(trace_id)
        if kept is None:
            kept = group[trace_id] = _Kept()
        else:
            group.move_to_end(trace_id)
        self._turn += 1
        kept.turn = self._turn
        before = kept.spans.get(span.span_id)
        if before is None and len(kept.spans) >= self._max_spans:
            kept.dropped += 1
            return
        growth = span.size - (before.size if before is not None else 0)
        kept.spans[span.span_id] = span
        kept.size += growth
        self._bytes += growth
        if known:
            self._kept_longer_bytes += growth
            self._all_tell(span.links)
        elif span.is_problem or span.duration_ns >= self._slow_ns:
            self._all_tell(
                (trace_id, *(other for each in kept.spans.values() for other in each.links))
            )
        if (
            len(self._plain) + len(self._kept_longer) > self._max_traces
            or self._bytes > self._max_bytes
        ):
            self._make_room()

    def _all_tell(self, trace_ids: Iterable[str]) -> None:
        for trace_id in trace_ids:
            self._tells(trace_id)

    def _tells(self, trace_id: str) -> None:
        if (kept := self._plain.pop(trace_id, None)) is not None:
            self._kept_longer[trace_id] = kept
            self._kept_longer_bytes += kept.size

    def _make_room(self) -> None:
        while (
            len(self._plain) + len(self._kept_longer) > self._max_traces
            or self._bytes > self._max_bytes
        ):
            most = (
                len(self._kept_longer) > self._max_traces / 2
                or self._kept_longer_bytes > self._max_bytes / 2
            )
            of_kept_longer = most or not self._plain
            _, gone = (self._kept_longer if of_kept_longer else self._plain).popitem(last=False)
            self._bytes -= gone.size
            self._kept_longer_bytes -= gone.size if of_kept_longer else 0


def _unread(span: Span) -> LazySpan:
    links = tuple(link.trace_id for link in span.links)
    return LazySpan(
        span.trace_id, span.span_id, span.duration_ns, is_problem(span), links, _size(span), span
    )


def _size(span: Span) -> int:
    """What a span costs in memory, roughly: enough for a limit."""
    pairs = [*span.attributes, *(pair for event in span.events for pair in event.attributes)]
    text = (
        len(span.name)
        + len(span.service)
        + len(span.status_text)
        + sum(len(k) + len(v) for k, v in pairs)
    )
    return OVERHEAD + text + 120 * (len(pairs) + len(span.events) + len(span.links))


def _trace(trace_id: str, unread: Iterable[LazySpan], dropped: int) -> Trace:
    spans = (each.span() for each in unread)
    return Trace(trace_id, tuple(sorted(spans, key=lambda s: (s.start_ns, s.span_id))), dropped)
