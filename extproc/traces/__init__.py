"""The last traces, in memory: `TraceStore` keeps them, `rows` makes a tree of one, `render` prints it."""

from extproc.traces.otlp import BadExport
from extproc.traces.store import Recorder, TraceStore
from extproc.traces.tree import Row, duration, render, rows
from extproc.traces.values import Event, Link, Span, Trace

__all__ = ["BadExport", "Event", "Link", "Recorder", "Row", "Span", "Trace", "TraceStore", "duration", "render", "rows"]
