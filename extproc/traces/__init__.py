"""The last traces, in memory: `TraceStore` keeps them, `rows` makes a tree of one, `render` prints
it, `story` joins a login's.
"""

from extproc.traces.otlp import BadExport
from extproc.traces.recorder import Recorder
from extproc.traces.store import TraceStore
from extproc.traces.story import Step, Summary, story, summary
from extproc.traces.tree import Row, duration, render, rows
from extproc.traces.values import Event, Link, Span, Trace

__all__ = [
    "BadExport",
    "Event",
    "Link",
    "Recorder",
    "Row",
    "Span",
    "Step",
    "Summary",
    "Trace",
    "TraceStore",
    "duration",
    "render",
    "rows",
    "story",
    "summary",
]
