"""The list of the last traces, with its filter, and the page for a trace that is not there."""

from dataclasses import dataclass
from html import escape

from extproc.pages.markup import chips, count, name, page, services, when
from extproc.traces import Summary, duration

EMPTY = "<p class=empty>No trace yet. Open an application behind the gateway, then reload.</p>"
ABSENT = (
    "<div class=empty><p>It may have been long ago, or its spans are still under way: then "
    "reload in a few seconds.</p>"
    "<p>Most requests are not sampled (<code>tracing.sample</code>); of those only failures "
    "are kept. Envoy's access log "
    "has a line for every request, with its trace id and its reason.</p></div>"
)
NO_ID = (
    "<p class=empty>A trace id has 32 hexadecimal digits. Spaces and dashes between them do "
    "not matter.</p>"
)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which traces a list shows; '' is any."""

    reason: str = ""
    application: str = ""
    errors: bool = False

    def takes(self, of: Summary) -> bool:
        return (
            self.reason in ("", of.reason)
            and self.application in ("", of.application)
            and (of.is_problem or not self.errors)
        )


def trace_list(chosen: tuple[Summary, ...], every: tuple[Summary, ...], choice: Filter) -> str:
    """The page with the traces of a choice, the latest first; `every` says what there is to
    choose.
    """
    if not every:
        return page("Traces", EMPTY)
    table = (
        "<table><caption class=hidden>Traces, the latest first</caption><thead><tr><th "
        "scope=col>Time (UTC)"
        "<th scope=col>Request<th scope=col>Outcome<th scope=col>Services<th scope=col "
        "class=n>Spans"
        f"<th scope=col class=n>Duration<tbody>{''.join(map(_row, chosen))}</table>"
    )
    nothing = "<p class=empty>No trace is like that. <a href=/traces>Show all</a></p>"
    of = (
        f"{len(chosen)} of {count(len(every), 'trace')}"
        if choice != Filter()
        else f"The last {count(len(chosen), 'trace')}"
    )
    return page(
        "Traces",
        _filter(every, choice) + (table if chosen else nothing),
        f"{of}, the latest first; kept in memory",
    )


def absent_page(trace_id: str) -> str:
    """That a trace is not here. trace_id: '' where what was asked for is none."""
    return page(
        "No such trace",
        ABSENT if trace_id else NO_ID,
        f"<code>{escape(trace_id)}</code>",
        search=trace_id,
        back=True,
    )


def _filter(every: tuple[Summary, ...], choice: Filter) -> str:
    checked = " checked" if choice.errors else ""
    return (
        "<form class=filter action=/traces aria-label=Filter>"
        + _select("reason", "Reason", {of.reason for of in every}, choice.reason)
        + _select(
            "application", "Application", {of.application for of in every}, choice.application
        )
        + f"<label class=check><input type=checkbox name=errors value=1{checked}>Errors and "
        "refusals only</label>"
        "<button>Show</button></form>"
    )


def _select(field: str, label: str, there: set[str], chosen: str) -> str:
    """What is there, and what is chosen even if it is there no more."""
    options = "".join(
        (
            "<option "
            f"value='{escape(value)}'{' selected' if value == chosen else ''}>{escape(value) or 'any'}"
        )
        for value in sorted(there | {"", chosen})
    )
    return f"<label>{label}<select name={field}>{options}</select></label>"


def _row(of: Summary) -> str:
    who = "".join(
        f"<span><i class=c{n}></i>{name(service)}</span> "
        for service, n in services(of.services).items()
    )
    outcome = chips(of.status, of.reason, failed=of.is_problem)
    if of.failed and "bad" not in outcome:
        outcome += " <span class='chip bad'>error inside</span>"
    return (
        f"<tr><td class=time>{when(of.start_ns)}<th scope=row><a "
        f"href='/traces/{escape(of.trace_id)}'>{escape(of.request)}</a>"
        f"<td>{outcome}<td class=services>{who}<td class=n>{of.span_count}<td "
        f"class=n>{duration(of.duration_ns)}"
    )
