"""The last traces, in memory.

`TraceStore` keeps them, `rows` arranges one as a tree, `render` prints the tree, and `story` joins
the traces of one login.
"""

from extproc.traces.otlp import BadExport
from extproc.traces.recorder import Recorder
from extproc.traces.store import TraceStore
from extproc.traces.story import Sketch, Step, Summary, sketch, story, summary
from extproc.traces.tree import Row, duration, render, rows
from extproc.traces.values import Event, Link, Span, Trace

__all__ = [
    "BadExport",
    "Event",
    "Link",
    "Recorder",
    "Row",
    "Sketch",
    "Span",
    "Step",
    "Summary",
    "Trace",
    "TraceStore",
    "duration",
    "render",
    "rows",
    "sketch",
    "story",
    "summary",
]
