"""Spans, propagation of traces, and the log: what the rest of the program calls to be seen."""

from extproc.telemetry.logging import STREAM, is_logged, log
from extproc.telemetry.tracing import (
    Attribute,
    Attributes,
    current,
    failed,
    keep_failure,
    link,
    parent_of,
    past,
    set_up_tracing,
    span,
    standard,
    trace_id,
    traceparent,
    user,
)

__all__ = [
    "STREAM",
    "Attribute",
    "Attributes",
    "current",
    "failed",
    "is_logged",
    "keep_failure",
    "link",
    "log",
    "parent_of",
    "past",
    "set_up_tracing",
    "span",
    "standard",
    "trace_id",
    "traceparent",
    "user",
]
