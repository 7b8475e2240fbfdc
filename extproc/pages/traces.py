"""The list of the last traces with its filter, and the page for a trace that is not stored."""

from dataclasses import dataclass
from html import escape

from extproc.pages.markup import chips, count, name, page, services, when
from extproc.traces import Summary, duration

EMPTY = "<p class=empty>No trace yet. Open an application behind the gateway, then reload.</p>"
ABSENT = (
    "<div class=empty><p>The trace may be too old, or its spans may not have arrived yet; in that "
    "case, reload in a few seconds.</p>"
    "<p>Most requests are not sampled (<code>tracing.sample</code>); of those only failures "
    "are kept. Envoy's access log "
    "has a line for every request, with its request id, its trace id and its reason.</p></div>"
)
NO_ID = (
    "<p class=empty>A trace id has 32 hexadecimal digits. Spaces and dashes between them do "
    "not matter.</p>"
)
NO_MATCH = "<p class=empty>No trace matches. <a href=/traces>Show all</a></p>"
HEAD = (
    "<table><caption class=hidden>Traces, the latest first</caption><thead><tr>"
    "<th scope=col>Time (UTC)<th scope=col>Request<th scope=col>Outcome<th scope=col>Services"
    "<th scope=col class=n>Spans<th scope=col class=n>Duration<tbody>"
)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which traces the list shows.

    Attributes:
        reason: Only traces with this reason code; "" is any.
        application: Only traces of this application; "" is any.
        errors: Only traces with an error or a refusal.
    """

    reason: str = ""
    application: str = ""
    errors: bool = False

    def takes(self, summary: Summary) -> bool:
        """Whether the list shows this trace."""
        return (
            self.reason in ("", summary.reason)
            and self.application in ("", summary.application)
            and (summary.is_problem or not self.errors)
        )


def trace_list(chosen: tuple[Summary, ...], stored: tuple[Summary, ...], choice: Filter) -> str:
    """The page with a list of traces, the latest first.

    Args:
        chosen: The traces that match the choice.
        stored: All traces; their reasons and applications are what the filter offers.
        choice: The filter as the reader set it.
    """
    if not stored:
        return page("Traces", EMPTY)
    table = f"{HEAD}{''.join(map(_row, chosen))}</table>" if chosen else NO_MATCH
    shown = f"The last {count(len(chosen), 'trace')}"
    if choice != Filter():
        shown = f"{len(chosen)} of {count(len(stored), 'trace')}"
    note = f"{shown}, the latest first; kept in memory"
    return page("Traces", _filter(stored, choice) + table, note)


def absent_page(trace_id: str) -> str:
    """The page for a trace that is not stored, or for "", a text that is not a trace id."""
    return page(
        "No such trace",
        ABSENT if trace_id else NO_ID,
        f"<code>{escape(trace_id)}</code>",
        search=trace_id,
        back=True,
    )


def _filter(stored: tuple[Summary, ...], choice: Filter) -> str:
    reasons = {summary.reason for summary in stored}
    applications = {summary.application for summary in stored}
    checked = " checked" if choice.errors else ""
    return (
        "<form class=filter action=/traces aria-label=Filter>"
        + _select("reason", "Reason", reasons, choice.reason)
        + _select("application", "Application", applications, choice.application)
        + f"<label class=check><input type=checkbox name=errors value=1{checked}>Errors and "
        "refusals only</label><button>Show</button></form>"
    )


def _select(field: str, label: str, values: set[str], chosen: str) -> str:
    """A field to choose a value; the chosen value is offered even if no trace has it any more."""
    options = "".join(_option(value, chosen) for value in sorted(values | {"", chosen}))
    return f"<label>{label}<select name={field}>{options}</select></label>"


def _option(value: str, chosen: str) -> str:
    selected = " selected" if value == chosen else ""
    return f"<option value='{escape(value)}'{selected}>{escape(value) or 'any'}"


def _row(summary: Summary) -> str:
    colours = services(summary.services)
    legend = "".join(
        f"<span><i class=c{number}></i>{name(service)}</span> "
        for service, number in colours.items()
    )
    outcome = chips(summary.status, summary.reason, failed=summary.is_problem)
    if summary.failed and "bad" not in outcome:
        outcome += " <span class='chip bad'>error inside</span>"
    return (
        f"<tr><td class=time>{when(summary.start_ns)}<th scope=row>"
        f"<a href='/traces/{escape(summary.trace_id)}'>{escape(summary.request)}</a>"
        f"<td>{outcome}<td class=services>{legend}<td class=n>{summary.span_count}"
        f"<td class=n>{duration(summary.duration_ns)}"
    )
