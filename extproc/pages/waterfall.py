"""The page of one trace: a waterfall of its spans, below the steps of the login it is part of."""

from collections.abc import Iterable
from html import escape

from extproc.pages.markup import chips, count, name, page, services, when
from extproc.traces import Row, Span, Step, Trace, duration, rows, summary
from extproc.traces.tree import REASON, STATUS_CODE, failed, short_name

INDENT = 12  # levels that are indented, classes .d0 to .d12 in the style sheet
TICKS = 4  # parts of the time axis
WIDTH = 1000  # width of a bar's drawing
NARROWEST = 2  # width of the bar of a very short span
GRID = "<path d='M250 0V12M500 0V12M750 0V12' />"
ROLES = {"redirect": "Redirect to the provider", "callback": "Callback", "page": "First page"}
JOINED = {
    "link": "by a span link",
    "client": "by client and time: the next request of the same browser",
}


def trace_page(trace: Trace, steps: tuple[Step, ...] = ()) -> str:
    """The page of a trace; `steps` is its story."""
    lines = rows(trace.spans)
    overview = summary(trace)
    colours = services(row.span.service for row in lines)
    items = "".join(_row(row, colours, overview.start_ns, overview.end_ns) for row in lines)
    body = (
        f"{_story(steps, trace.trace_id)}{_legend(colours)}"
        "<div class=waterfall><div class='line head' aria-hidden=true><span>Span</span>"
        f"<span class=ticks>{_ticks(overview.duration_ns)}</span><span class=n>Duration</span></div>"
        f"<ol aria-label=Spans>{items}</ol></div>"
    )
    dropped = f" · {trace.dropped} more did not fit" if trace.dropped else ""
    note = (
        f"{chips(overview.status, overview.reason, failed=overview.is_problem)} "
        f"{when(overview.start_ns)} UTC · {duration(overview.duration_ns)} · "
        f"{count(overview.span_count, 'span')} · {count(len(colours), 'service')}{dropped}"
        f"<br><code>{escape(trace.trace_id)}</code>"
    )
    return page(overview.request, body, note, back=True)


def _legend(colours: dict[str, int]) -> str:
    items = "".join(
        f"<li><i class=c{number}></i>{name(service)}" for service, number in colours.items()
    )
    return f"<ul class=legend aria-label=Services>{items}</ul>"


def _story(steps: tuple[Step, ...], shown: str) -> str:
    """The steps of a login, each with its reason and duration, or "" for a single step."""
    if len(steps) < 2:
        return ""
    items = "".join(_step(step, current=step.trace_id == shown) for step in steps)
    return (
        "<section class=story aria-labelledby=story><h2 id=story>This login</h2>"
        f"<ol>{items}</ol></section>"
    )


def _step(step: Step, *, current: bool) -> str:
    role = f"<b>{ROLES[step.role]}</b>"
    joined = f"<small>{JOINED[step.joined]}</small>" if step.joined else ""
    trace = step.summary
    if trace is None:
        return (
            f"<li>{role}<span>Not sampled, or no longer here</span>"
            f"<code>{escape(step.trace_id)}</code>{joined}"
        )
    address = f"<a href='/traces/{escape(trace.trace_id)}'>{escape(trace.request)}</a>"
    if current:
        address = f"<span>{escape(trace.request)}</span>"
    return (
        f"<li{' class=current aria-current=page' if current else ''}>{role}{address}"
        f"<span>{chips(trace.status, trace.reason, failed=trace.is_problem)} "
        f"{duration(trace.duration_ns)} · {when(trace.start_ns)}</span>{joined}"
    )


def _row(row: Row, colours: dict[str, int], start: int, end: int) -> str:
    span = row.span
    colour = colours[span.service]
    return (
        f"<li class='{'error' if failed(span) else ''}'><details><summary class=line>"
        f"<span class='name d{min(row.depth, INDENT)}'>"
        f"<span class=hidden>Level {row.depth + 1}: </span>"
        f"<i class=c{colour}></i><b>{name(span.service)}</b> {escape(short_name(span))} "
        f"{_chips(span)}</span>{_bar(span, colour, start, end)}"
        f"<span class=n>{duration(span.duration_ns)}</span></summary>{_details(row, start)}"
        "</details>"
    )


def _bar(span: Span, colour: int, start: int, end: int) -> str:
    total = max(end - start, 1)
    width = max(span.duration_ns * WIDTH / total, NARROWEST)
    left = min((span.start_ns - start) * WIDTH / total, WIDTH - width)
    return (
        f"<svg viewBox='0 0 {WIDTH} 12' preserveAspectRatio=none aria-hidden=true>{GRID}"
        f"<rect class=c{colour} x={left:.1f} width={width:.1f} y=1 height=10 /></svg>"
    )


def _details(row: Row, start: int) -> str:
    span = row.span
    parent = span.parent_id or "none"
    if row.orphan and span.parent_id:
        parent += " (not here)"
    facts = [
        ("span", span.name),
        ("kind", span.kind),
        ("begins", f"+{duration(span.start_ns - start)}"),
        ("span id", span.span_id),
        ("parent id", parent),
    ]
    if span.status != "unset":
        facts.append(("status", f"{span.status} {span.status_text}".strip()))
    events = "".join(
        f"<dt>+{duration(max(event.time_ns - start, 0))}"
        f"<dd><b>{escape(event.name)}</b>{_pairs(event.attributes)}"
        for event in span.events
    )
    links = "".join(
        f"<dt>link<dd><a href='/traces/{escape(link.trace_id)}'>{escape(link.trace_id)}</a>"
        for link in span.links
    )
    return (
        f"<div class=details>{_pairs(facts)}{_pairs(span.attributes)}<dl>{events}{links}</dl></div>"
    )


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    items = "".join(f"<dt>{escape(key)}<dd>{escape(value) or '–'}" for key, value in pairs)
    return f"<dl>{items}</dl>"


def _chips(span: Span) -> str:
    return chips(span.attribute(*STATUS_CODE), span.attribute(*REASON), failed=failed(span))


def _ticks(total: int) -> str:
    return "".join(f"<span>{duration(total * tick // TICKS)}</span>" for tick in range(TICKS + 1))
