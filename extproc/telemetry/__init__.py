"""Spans, propagation of traces, and the log. Imports nothing else of this program."""

from extproc.telemetry.logging import STREAM, is_logged, log
from extproc.telemetry.propagation import current, link, parent_of, trace_id, traceparent
from extproc.telemetry.tracing import (
    Attribute,
    Attributes,
    failed,
    keep_failure,
    past,
    set_up_tracing,
    span,
    standard,
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
