"""The trace pages of the admin: the last traces, and one of them as a waterfall.

No script and nothing from elsewhere: one fixed style sheet, whose hash is in the content security policy, and bars that
are SVG, since that policy forbids style attributes. Whatever comes from a span is escaped where it enters the markup.
"""

import base64
import hashlib
import zlib
from datetime import UTC, datetime
from html import escape
from importlib.resources import files

from extproc.traces import Row, Span, Trace, duration, rows
from extproc.traces.tree import REASON, STATUS_CODE, failed, short_name

STYLE = files("extproc.pages").joinpath("traces.css").read_text()
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'"
)
COLOURS = 8  # .c0 to .c7 in the style sheet
INDENT = 12  # .d0 to .d12
TICKS = 4
BEHIND = 2  # levels below the gateway's own span: its call, and whom it called
GRID = "<path d='M250 0V12M500 0V12M750 0V12' />"


def trace_list(traces: tuple[Trace, ...]) -> str:
    """The page with the last traces, the latest first."""
    if not traces:
        return _page("Traces", "<p class=empty>No trace yet. Open an application behind the gateway, then reload.</p>")
    return _page(
        "Traces",
        "<table><thead><tr><th scope=col>Time (UTC)<th scope=col>Request<th scope=col>Outcome<th scope=col>Services"
        f"<th scope=col class=n>Spans<th scope=col class=n>Duration<tbody>{''.join(map(_list_row, traces))}</table>",
        f"The last {_count(len(traces), 'trace')}, the latest first; kept in memory",
    )


def trace_page(trace: Trace) -> str:
    """One trace as a waterfall."""
    lines = rows(trace.spans)
    start, end = _extent(trace)
    services = _services(trace)
    legend = "".join(f"<li><i class=c{n}></i>{_name(service)}" for service, n in services.items())
    dropped = f" · {trace.dropped} more did not fit" if trace.dropped else ""
    body = (
        f"<ul class=legend>{legend}</ul><div class=waterfall><div class='line head'><span>Span</span>"
        f"<span class=ticks>{_ticks(end - start)}</span><span class=n>Duration</span></div>"
        f"<ol>{''.join(_waterfall_row(row, services, start, end) for row in lines)}</ol></div>"
    )
    note = (
        f"{_when(start)} UTC · {duration(end - start)} · {_count(len(trace.spans), 'span')} · "
        f"{_count(len(services), 'service')}{dropped}<br><code>{escape(trace.trace_id)}</code>"
    )
    return _page(_request(lines), body, note, back=True)


def message_page(title: str, text: str) -> str:
    """A page with a sentence, such as that a trace is not here."""
    return _page(title, f"<p class=empty>{escape(text)}</p>", back=True)


def _page(title: str, body: str, note: str = "", *, back: bool = False) -> str:
    """`title` is text, `body` and `note` are markup."""
    nav = "<a href=/traces>← all traces</a>" if back else "<a href=/traces>Reload</a>"
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<meta name=color-scheme content='light dark'><title>{escape(title)} · extproc</title>"
        f"<style>{STYLE}</style></head><body><header><nav><b>extproc</b> {nav}</nav><h1>{escape(title)}</h1>"
        f"<p>{note}</p></header><main>{body}</main></body></html>"
    )


def _list_row(trace: Trace) -> str:
    lines = rows(trace.spans)
    start, end = _extent(trace)
    chips = "".join(f"<i class=c{n}></i>{_name(service)} " for service, n in _services(trace).items())
    return (
        f"<tr><td class=time>{_when(start)}<td><a href='/traces/{escape(trace.trace_id)}'>{escape(_request(lines))}</a>"
        f"<td>{_outcome(trace)}<td class=services>{chips}<td class=n>{len(trace.spans)}"
        f"<td class=n>{duration(end - start)}"
    )


def _waterfall_row(row: Row, services: dict[str, int], start: int, end: int) -> str:
    span = row.span
    total = max(end - start, 1)
    width = max(span.duration_ns * 1000 / total, 2)
    left = min((span.start_ns - start) * 1000 / total, 1000 - width)
    colour = services[span.service]
    return (
        f"<li class='{'error' if failed(span) else ''}'><details><summary class=line>"
        f"<span class='name d{min(row.depth, INDENT)}'><span class=hidden>Level {row.depth + 1}: </span>"
        f"<i class=c{colour}></i><b>{_name(span.service)}</b> {escape(short_name(span))} {_chips(span)}</span>"
        f"<svg viewBox='0 0 1000 12' preserveAspectRatio=none aria-hidden=true>{GRID}"
        f"<rect class=c{colour} x={left:.1f} width={width:.1f} y=1 height=10 /></svg>"
        f"<span class=n>{duration(span.duration_ns)}</span></summary>{_details(row, start)}</details>"
    )


def _details(row: Row, start: int) -> str:
    span = row.span
    facts = [
        ("span", span.name),
        ("kind", span.kind),
        ("begins", f"+{duration(span.start_ns - start)}"),
        ("span id", span.span_id),
        ("parent id", (span.parent_id or "none") + (" (not here)" if row.orphan and span.parent_id else "")),
    ]
    if span.status != "unset":
        facts.append(("status", f"{span.status} {span.status_text}".strip()))
    events = "".join(
        f"<dt>+{duration(max(event.time_ns - start, 0))}<dd><b>{escape(event.name)}</b>{_pairs(event.attributes)}"
        for event in span.events
    )
    links = "".join(
        f"<dt>link<dd><a href='/traces/{escape(link.trace_id)}'>{escape(link.trace_id)}</a>" for link in span.links
    )
    return f"<div class=details>{_pairs(facts)}{_pairs(span.attributes)}<dl>{events}{links}</dl></div>"


def _pairs(pairs: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(key)}<dd>{escape(value) or '–'}" for key, value in pairs) + "</dl>"


def _chips(span: Span) -> str:
    """The HTTP status, the reason code, the error: what a person looks for."""
    status, reason = span.attribute(*STATUS_CODE), span.attribute(*REASON)
    chips = [(status, "bad" if status[:1] in "45" else "chip")] if status and status != "0" else []
    if reason:
        chips.append((reason, "bad" if failed(span) else "chip"))
    elif failed(span) and not any(kind == "bad" for _, kind in chips):
        chips.append(("error", "bad"))
    return "".join(f"<span class='chip {kind}'>{escape(text)}</span>" for text, kind in chips)


def _outcome(trace: Trace) -> str:
    """Of the whole trace: the root's status, the first reason code, and whether anything in it failed."""
    lines = rows(trace.spans)
    reason = next((r for row in lines if (r := row.span.attribute(*REASON))), "")
    chips = _chips(lines[0].span) if lines else ""
    if reason and escape(reason) not in chips:
        chips += f"<span class=chip>{escape(reason)}</span>"
    if "bad" not in chips and any(failed(row.span) for row in lines):
        chips += "<span class='chip bad'>error inside</span>"
    return chips


def _request(lines: tuple[Row, ...]) -> str:
    """What the trace is about: its first request, without query; Envoy leaves the path to those behind it."""
    for row in lines[:5]:
        method = row.span.attribute("http.request.method", "http.method")
        url = row.span.attribute("url.full", "http.url", "url.path", "http.target").partition("?")[0]
        if method and url:
            if url.count("/") > 2 or url.startswith("/"):
                return f"{method} {url}"
            path = next((p for below in lines if below.depth <= BEHIND and (p := below.span.attribute("url.path"))), "")
            return f"{method} {url}{path}" if path else f"{method} {url} ({row.span.name})"
    return lines[0].span.name if lines else "Trace"


def _ticks(total: int) -> str:
    return "".join(f"<span>{duration(total * tick // TICKS)}</span>" for tick in range(TICKS + 1))


def _services(trace: Trace) -> dict[str, int]:
    """Each service and its colour: the same on every page, as far as two in one trace do not want the same."""
    colours: dict[str, int] = {}
    for row in rows(trace.spans):
        if row.span.service not in colours:
            wanted = zlib.crc32(row.span.service.encode()) % COLOURS
            free = [c % COLOURS for c in range(wanted, wanted + COLOURS) if c % COLOURS not in colours.values()]
            colours[row.span.service] = free[0] if free else wanted
    return colours


def _name(service: str) -> str:
    return escape(service) or "unnamed"


def _extent(trace: Trace) -> tuple[int, int]:
    return min(span.start_ns for span in trace.spans), max(span.end_ns for span in trace.spans)


def _when(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).strftime("%H:%M:%S.%f")[:-3]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
