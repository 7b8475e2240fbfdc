"""One trace as a waterfall, below the login that it is a step of."""

from html import escape

from extproc.pages.markup import chips, count, name, page, services, when
from extproc.traces import Row, Span, Step, Trace, duration, rows, summary
from extproc.traces.tree import REASON, STATUS_CODE, failed, short_name

INDENT = 12  # .d0 to .d12
TICKS = 4
GRID = "<path d='M250 0V12M500 0V12M750 0V12' />"
ROLES = {"redirect": "Redirect to the provider", "callback": "Callback", "page": "First page"}
JOINED = {
    "link": "by a span link",
    "client": "by client and time: the next request of the same browser",
}


def trace_page(trace: Trace, steps: tuple[Step, ...] = ()) -> str:
    """steps: the story of the trace."""
    lines = rows(trace.spans)
    of = summary(trace)
    colours = services(row.span.service for row in lines)
    legend = "".join(f"<li><i class=c{n}></i>{name(service)}" for service, n in colours.items())
    dropped = f" · {trace.dropped} more did not fit" if trace.dropped else ""
    body = (
        f"{_story(steps, trace.trace_id)}<ul class=legend aria-label=Services>{legend}</ul>"
        "<div class=waterfall><div class='line head' aria-hidden=true><span>Span</span>"
        f"<span class=ticks>{_ticks(of.duration_ns)}</span><span class=n>Duration</span></div>"
        "<ol "
        f"aria-label=Spans>{''.join(_row(row, colours, of.start_ns, of.end_ns) for row in lines)}</ol></div>"
    )
    note = (
        f"{chips(of.status, of.reason, failed=of.is_problem)} {when(of.start_ns)} UTC · "
        f"{duration(of.duration_ns)} · "
        f"{count(of.span_count, 'span')} · "
        f"{count(len(colours), 'service')}{dropped}<br><code>{escape(trace.trace_id)}</code>"
    )
    return page(of.request, body, note, back=True)


def _story(steps: tuple[Step, ...], shown: str) -> str:
    """The steps of a login, each with its reason and duration; nothing for a trace that stands
    alone.
    """
    if len(steps) < 2:
        return ""
    return (
        "<section class=story aria-labelledby=story><h2 id=story>This login</h2><ol>"
        + "".join(_step(step, current=step.trace_id == shown) for step in steps)
        + "</ol></section>"
    )


def _step(step: Step, *, current: bool) -> str:
    role, of = f"<b>{ROLES[step.role]}</b>", step.summary
    how = f"<small>{JOINED[step.joined]}</small>" if step.joined else ""
    if of is None:
        return (
            f"<li>{role}<span>Not sampled, or no longer "
            f"here</span><code>{escape(step.trace_id)}</code>{how}"
        )
    address = (
        f"<span>{escape(of.request)}</span>"
        if current
        else f"<a href='/traces/{escape(of.trace_id)}'>{escape(of.request)}</a>"
    )
    return (
        f"<li{' class=current aria-current=page' if current else ''}>{role}{address}"
        f"<span>{chips(of.status, of.reason, failed=of.is_problem)} "
        f"{duration(of.duration_ns)} · {when(of.start_ns)}</span>{how}"
    )


def _row(row: Row, colours: dict[str, int], start: int, end: int) -> str:
    span = row.span
    total = max(end - start, 1)
    width = max(span.duration_ns * 1000 / total, 2)
    left = min((span.start_ns - start) * 1000 / total, 1000 - width)
    colour = colours[span.service]
    return (
        f"<li class='{'error' if failed(span) else ''}'><details><summary class=line>"
        f"<span class='name d{min(row.depth, INDENT)}'><span class=hidden>Level "
        f"{row.depth + 1}: </span>"
        f"<i class=c{colour}></i><b>{name(span.service)}</b> {escape(short_name(span))} "
        f"{_chips(span)}</span>"
        f"<svg viewBox='0 0 1000 12' preserveAspectRatio=none aria-hidden=true>{GRID}"
        f"<rect class=c{colour} x={left:.1f} width={width:.1f} y=1 height=10 /></svg>"
        "<span "
        f"class=n>{duration(span.duration_ns)}</span></summary>{_details(row, start)}</details>"
    )


def _details(row: Row, start: int) -> str:
    span = row.span
    facts = [
        ("span", span.name),
        ("kind", span.kind),
        ("begins", f"+{duration(span.start_ns - start)}"),
        ("span id", span.span_id),
        (
            "parent id",
            (span.parent_id or "none") + (" (not here)" if row.orphan and span.parent_id else ""),
        ),
    ]
    if span.status != "unset":
        facts.append(("status", f"{span.status} {span.status_text}".strip()))
    events = "".join(
        f"<dt>+{duration(max(event.time_ns - start, 0))}<dd><b>{escape(event.name)}</b>{_pairs(event.attributes)}"
        for event in span.events
    )
    links = "".join(
        f"<dt>link<dd><a href='/traces/{escape(link.trace_id)}'>{escape(link.trace_id)}</a>"
        for link in span.links
    )
    return (
        f"<div class=details>{_pairs(facts)}{_pairs(span.attributes)}<dl>{events}{links}</dl></div>"
    )


def _pairs(pairs: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> str:
    return (
        "<dl>"
        + "".join(f"<dt>{escape(key)}<dd>{escape(value) or '–'}" for key, value in pairs)
        + "</dl>"
    )


def _chips(span: Span) -> str:
    return chips(span.attribute(*STATUS_CODE), span.attribute(*REASON), failed=failed(span))


def _ticks(total: int) -> str:
    return "".join(f"<span>{duration(total * tick // TICKS)}</span>" for tick in range(TICKS + 1))
