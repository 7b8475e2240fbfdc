"""A trace as a tree of its spans, and the tree as text."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from extproc.traces.values import Span, Status

REASON = ("extproc.reason", "reason", "error.type")
STATUS_CODE = ("http.response.status_code", "http.status_code")
# the attributes that shows_problem() reads
PROBLEM_ATTRIBUTES = frozenset((*STATUS_CODE, "extproc.reason", "status"))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the tree.

    Attributes:
        span: The span of this line.
        last: For each level from the root's children down to the span itself, whether that branch
            is the last of its siblings. Its length is the depth.
        orphan: Whether the span is shown below the root because its parent is not in the trace.
    """

    span: Span
    last: tuple[bool, ...] = ()
    orphan: bool = False

    @property
    def depth(self) -> int:
        """Levels below the root."""
        return len(self.last)


def rows(spans: Iterable[Span]) -> tuple[Row, ...]:
    """The tree of one trace in reading order: children by start, every span exactly once.

    The root is the earliest span that names no parent or, if there is none, the earliest whose
    parent is missing. Every other span whose parent is missing is shown below the root, and so is
    the earliest span of a cycle of spans that are each other's parents.
    """
    ordered = sorted(spans, key=lambda span: (span.start_ns, span.span_id))
    if not ordered:
        return ()
    known = {span.span_id for span in ordered}
    children: dict[str, list[Span]] = {}
    for span in ordered:
        if span.parent_id in known:
            children.setdefault(span.parent_id, []).append(span)
    loose = [span for span in ordered if span.parent_id not in known]
    root = min(loose, key=lambda span: bool(span.parent_id), default=ordered[0])
    orphans = {span.span_id for span in loose} - {root.span_id}
    reached = {root.span_id} | _below(root, children)
    # cycles come last: clocks differ, so a child may start before its parent
    for span in [*loose, *ordered]:
        if span.span_id not in reached:
            orphans.add(span.span_id)
            reached |= {span.span_id} | _below(span, children)
    adopted = [span for span in ordered if span.span_id in orphans]
    top = sorted([*children.get(root.span_id, []), *adopted], key=lambda span: span.start_ns)
    return _walk(root, children, top, orphans)


def _below(top: Span, children: dict[str, list[Span]]) -> set[str]:
    below: set[str] = set()
    todo = [top.span_id]
    while todo:
        for child in children.get(todo.pop(), ()):
            if child.span_id not in below:
                below.add(child.span_id)
                todo.append(child.span_id)
    return below


def _walk(
    root: Span, children: dict[str, list[Span]], top: list[Span], orphans: set[str]
) -> tuple[Row, ...]:
    """The rows depth first, without recursion: a chain of spans may be longer than Python's stack.

    Args:
        root: The root of the tree.
        children: The children of each span, by its id.
        top: The spans to show below the root.
        orphans: Ids of the spans that are shown below the root instead of below their parents.
    """
    done: list[Row] = []
    seen: set[str] = set()
    todo = [Row(root)]
    while todo:
        row = todo.pop()
        if row.span.span_id in seen:
            continue
        seen.add(row.span.span_id)
        done.append(row)
        below = top
        if row.span is not root:
            below = [
                child
                for child in children.get(row.span.span_id, ())
                if child.span_id not in orphans
            ]
        for index in range(len(below) - 1, -1, -1):
            child = below[index]
            todo.append(Row(child, (*row.last, index == len(below) - 1), child.span_id in orphans))
    return tuple(done)


def duration(nanoseconds: int) -> str:
    """A duration as text with three significant digits, in the unit that suits it."""
    for unit, size in (("s", 1_000_000_000), ("ms", 1_000_000), ("µs", 1_000)):
        if nanoseconds >= size:
            value = nanoseconds / size
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
    return f"{nanoseconds} ns" if nanoseconds else "0"


def render(spans: Iterable[Span], *, width: int = 78) -> str:
    """The tree as text for a terminal. Each line has a span's service, name, outcome, duration, and
    a bar that shows when it ran.

    `width` is the maximum number of characters of the part before the duration.
    """
    lines = rows(spans)
    if not lines:
        return "no spans"
    start = min(row.span.start_ns for row in lines)
    end = max(row.span.end_ns for row in lines)
    # Any client of the tracing collector chooses a name, which must not become a line of its own.
    labels = [(_guides(row) + _label(row.span)).replace("\n", "�") for row in lines]
    room = min(max(len(label) for label in labels), width)
    return "\n".join(
        f"{_fit(label, room)}  {duration(row.span.duration_ns):>8}  {_bar(row.span, start, end)}"
        for label, row in zip(labels, lines, strict=True)
    )


def failed(span: Span) -> bool:
    """Whether a span is an error.

    The canceled span of a call from Envoy to the processor is not an error, because Envoy resets
    the stream after the processor's last answer.
    """
    return _has_failed(span.name, span.status, span.attribute("status"))


def is_problem(span: Span) -> bool:
    """Whether a span is an error or a refusal by the processor. A request without a login is
    neither.
    """
    return shows_problem(span.name, span.status, dict(span.attributes))


def shows_problem(name: str, status: Status, attributes: Mapping[str, str]) -> bool:
    """Whether a span of this name, status and attributes is a problem, without decoding the span.

    Only the attributes in PROBLEM_ATTRIBUTES are needed.
    """
    if _has_failed(name, status, attributes.get("status", "")):
        return True
    code = next((attributes[key] for key in STATUS_CODE if key in attributes), "")
    return code >= "400" and code != "401" and bool(attributes.get("extproc.reason"))


def _has_failed(name: str, status: Status, call_status: str) -> bool:
    """call_status is the attribute `status`, in which Envoy reports how a gRPC call ended."""
    was_reset = name.startswith("async envoy.service.ext_proc.") and call_status == "canceled"
    return status == "error" and not was_reset


def outcome(span: Span) -> str:
    """The HTTP status and the reason code or error of a span, as far as it has them."""
    parts = [span.attribute(*STATUS_CODE), span.attribute(*REASON)]
    if failed(span) and not parts[1]:
        parts.append("error")
    return " ".join(part for part in parts if part)


def short_name(span: Span) -> str:
    """The name of a span without what Envoy adds: the package of a gRPC service, and `egress` of a
    request to a cluster.
    """
    name = span.name.removeprefix("async ").removesuffix(" egress")
    if not name.startswith("envoy.service."):
        return name
    return name.rpartition(".")[2] if "/" in name else ".".join(name.split(".")[-2:])


def _label(span: Span) -> str:
    result = outcome(span)
    label = f"{span.service or '?'}: {short_name(span)}"
    return f"{label} [{result}]" if result else label


def _guides(row: Row) -> str:
    if not row.last:
        return ""
    above = "".join("   " if last else "│  " for last in row.last[:-1])
    return above + ("└─ " if row.last[-1] else "├─ ")


def _fit(text: str, room: int) -> str:
    return f"{text[: room - 1]}…" if len(text) > room else text.ljust(room)


def _bar(span: Span, start: int, end: int, cells: int = 24) -> str:
    total = max(end - start, 1)
    first = min((span.start_ns - start) * cells // total, cells - 1)
    size = max(round(span.duration_ns * cells / total), 1)
    return "·" * first + "━" * min(size, cells - first) + "·" * max(cells - first - size, 0)
