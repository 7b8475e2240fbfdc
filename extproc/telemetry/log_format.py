"""The format of log lines: JSON, one valid line for each record whatever is in it, or text for a
terminal.

Values are cut at 500 characters. A traceback has its frames and the exceptions' types. It has the
text of an exception only where that is Python's own, made of names, because any other may hold what
a client or a provider sent.
"""

import json
import logging
import math
import os
import sys
import time
import traceback
from collections.abc import Iterator
from typing import TextIO

from opentelemetry import trace

from extproc.telemetry import STREAM

_LOGGER = logging.getLogger("extproc")
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_LONGEST = {"event": 2000, "exception": 8000}
# Exceptions whose text Python makes of names alone.
_OF_NAMES = (AttributeError, ImportError, NameError, NotImplementedError, RecursionError, TypeError)
_COLOURS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "31"}


class JSONLines(logging.Formatter):
    """A JSON object on one line: time, level and event, then where it belongs (trace_id, span_id,
    stream), then the fields of the event.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "event": _event(record),
        }
        if record.name != "extproc":
            line["logger"] = record.name
        line.update(_context())
        line.update(_fields(record))
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = _traceback(record.exc_info[1])
        return json.dumps(line, ensure_ascii=True, allow_nan=False)


class TextLines(logging.Formatter):
    """Text for a person: one line, with tracebacks below it."""

    def __init__(self, *, colours: bool = False) -> None:
        super().__init__()
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        fields = {**_fields(record), **_context()}
        tail = " ".join(self._dim(f"{key}=") + _shown(value) for key, value in fields.items())
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = self._painted(_COLOURS.get(record.levelname, "0"), f"{record.levelname.lower():7}")
        text = f"{self._dim(at)} {level} {json.dumps(_event(record))[1:-1]} {tail}".rstrip()
        if record.exc_info and record.exc_info[1] is not None:
            text += "\n" + _traceback(record.exc_info[1])
        return text

    def _dim(self, text: str) -> str:
        return self._painted("2", text)

    def _painted(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours else text


def set_up(level: str, form: str, worker: int | None = None) -> None:
    """Sends the log of this process to stderr: libraries' lines from WARNING on, and none of httpx,
    whose lines hold whole URLs.

    Args:
        level: of this program's lines.
        form: json, text, or auto, which is text if stderr is a terminal.
        worker: a number that each line has, if there are several workers.
    """
    handler = logging.StreamHandler(sys.stderr)
    if worker is not None:
        handler.addFilter(_OfWorker(worker))
    handler.setFormatter(formatter(form, sys.stderr))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    _LOGGER.setLevel(level)
    for name in ("httpx", "httpcore", "hypercorn.access"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def formatter(form: str, stream: TextIO) -> logging.Formatter:
    """The formatter for a stream. It has colours only on a terminal, and not where NO_COLOR
    (no-color.org) is set.
    """
    terminal = stream.isatty()
    if form == "json" or (form == "auto" and not terminal):
        return JSONLines()
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return TextLines(colours=terminal and not plain)


class _OfWorker(logging.Filter):
    """Adds to each line the number of the worker that wrote it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def filter(self, record: logging.LogRecord) -> bool:
        record.worker = self._number
        return True


def _time(record: logging.LogRecord) -> str:
    """UTC with milliseconds, as RFC 3339 has it."""
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


def _event(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except Exception:
        # A library's message that does not fit its arguments.
        text = str(record.msg)
    return str(_short(text, _LONGEST["event"]))


def _context() -> dict[str, object]:
    current = trace.get_current_span().get_span_context()
    ids: dict[str, object] = {}
    if current.is_valid:
        ids = {
            "trace_id": trace.format_trace_id(current.trace_id),
            "span_id": trace.format_span_id(current.span_id),
        }
    stream = STREAM.get(None)
    if stream is not None:
        ids["stream"] = stream
    return ids


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {key: _short(value) for key, value in record.__dict__.items() if key not in _STANDARD}


def _short(value: object, longest: int = 500) -> object:
    """The value as JSON can have it, cut; without lone surrogates, because many JSON readers reject
    them.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 1 << 64:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    try:
        text = value if isinstance(value, str) else str(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return text[:longest].encode("utf-8", "replace").decode()


def _shown(value: object) -> str:
    """The value as text, quoted unless it is one plain word."""
    if isinstance(value, str) and not (value.isascii() and value.isalnum()):
        return json.dumps(value)
    return str(value)


def _traceback(error: BaseException) -> str:
    # Cut at the front: the end says most.
    text = "".join(_traceback_parts(error, set()))[-_LONGEST["exception"] :]
    return text.encode("utf-8", "replace").decode().rstrip("\n")


def _traceback_parts(error: BaseException, seen: set[int]) -> Iterator[str]:
    """Causes first; the members of a group before it.

    seen: ids of exceptions that are printed already.
    """
    seen.add(id(error))
    members = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    for other in (cause, *members):
        if other is not None and id(other) not in seen:
            yield from _traceback_parts(other, seen)
            yield "then\n" if other is cause else "in a group\n"
    yield from traceback.format_tb(error.__traceback__)
    text = f": {error}" if isinstance(error, _OF_NAMES) else ""
    yield f"{type(error).__qualname__}{text}\n"
