"""Spans to measure with, and what metrics hold.

`NOBODY` is a span that nobody records, `KEPT` one that is recorded, with the ids TRACE and SPAN.
"""

from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags

from extproc.metrics import ProcessMetrics

TRACE, SPAN = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7
NOBODY: Span = NonRecordingSpan(SpanContext(TRACE, SPAN, is_remote=True))


class _Recorded(NonRecordingSpan):
    def is_recording(self) -> bool:
        return True


KEPT: Span = _Recorded(
    SpanContext(TRACE, SPAN, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
)


def samples(metrics: ProcessMetrics, name: str) -> dict[tuple[str, ...], float]:
    """The values of a metric, by the values of its labels."""
    found = (sample for family in metrics.families() for sample in family.samples)
    return {tuple(sample.labels.values()): sample.value for sample in found if sample.name == name}
