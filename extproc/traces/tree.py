"""A trace as a tree: which span hangs under which, and the tree as text."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from extproc.traces.values import Span, Status

REASON = ("extproc.reason", "reason", "error.type")
STATUS_CODE = ("http.response.status_code", "http.status_code")
# by which is_wrong() goes
PROBLEM_ATTRIBUTES = frozenset((*STATUS_CODE, "extproc.reason", "status"))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the tree, in reading order.

    `last` has an entry for each level from the root's children down to the span itself: whether
    that branch is the last of its siblings. So its length is the depth. `orphan`: the parent is not
    here, the span hangs under the root.
    """

    span: Span
    last: tuple[bool, ...] = ()
    orphan: bool = False

    @property
    def depth(self) -> int:
        return len(self.last)


def rows(spans: Iterable[Span]) -> tuple[Row, ...]:
    """The tree of one trace, children by start, every span exactly once.

    The root is the earliest span without a parent here, one that names no parent first. Whatever
    else has no parent here hangs under the root, and so does a circle of spans that are each
    other's parents, at its earliest span.
    """
    ordered = sorted(spans, key=lambda span: (span.start_ns, span.span_id))
    if not ordered:
        return ()
    here = {span.span_id for span in ordered}
    children: dict[str, list[Span]] = {}
    for span in ordered:
        if span.parent_id in here:
            children.setdefault(span.parent_id, []).append(span)
    loose = [span for span in ordered if span.parent_id not in here]
    root = min(loose, key=lambda span: bool(span.parent_id), default=ordered[0])
    orphans = {span.span_id for span in loose} - {root.span_id}
    reached = {root.span_id} | _below(root, children)
    # circles last; clocks differ, so a child may be before its parent
    for span in [*loose, *ordered]:
        if span.span_id not in reached:
            orphans.add(span.span_id)
            reached |= {span.span_id} | _below(span, children)
    adopted = [span for span in ordered if span.span_id in orphans]
    return _walk(
        root,
        children,
        sorted([*children.get(root.span_id, []), *adopted], key=lambda s: s.start_ns),
        orphans,
    )


def _below(top: Span, children: dict[str, list[Span]]) -> set[str]:
    found: set[str] = set()
    todo = [top.span_id]
    while todo:
        for child in children.get(todo.pop(), ()):
            if child.span_id not in found:
                found.add(child.span_id)
                todo.append(child.span_id)
    return found


def _walk(
    root: Span, children: dict[str, list[Span]], top: list[Span], orphans: set[str]
) -> tuple[Row, ...]:
    """Depth first without recursion: a chain of spans may be longer than Python's stack."""
    done: list[Row] = []
    seen: set[str] = set()
    todo = [Row(root)]
    while todo:
        row = todo.pop()
        if row.span.span_id in seen:
            continue
        seen.add(row.span.span_id)
        done.append(row)
        below = (
            top
            if row.span is root
            else [c for c in children.get(row.span.span_id, ()) if c.span_id not in orphans]
        )
        for index in range(len(below) - 1, -1, -1):
            child = below[index]
            todo.append(Row(child, (*row.last, index == len(below) - 1), child.span_id in orphans))
    return tuple(done)


def duration(nanoseconds: int) -> str:
    """A duration with three digits that count, in the unit that suits it."""
    for unit, size in (("s", 1_000_000_000), ("ms", 1_000_000), ("µs", 1_000)):
        if nanoseconds >= size:
            value = nanoseconds / size
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
    return f"{nanoseconds} ns" if nanoseconds else "0"


def render(spans: Iterable[Span], *, width: int = 78) -> str:
    """The tree for a terminal, a line a span: service, name, what came of it, duration, and where
    it lies in time.
    """
    lines = rows(spans)
    if not lines:
        return "no spans"
    start = min(row.span.start_ns for row in lines)
    end = max(row.span.end_ns for row in lines)
    labels = [_guides(row) + _label(row.span) for row in lines]
    room = min(max(len(label) for label in labels), width)
    return "\n".join(
        f"{_fit(label, room)}  {duration(row.span.duration_ns):>8}  {_bar(row.span, start, end)}"
        for label, row in zip(labels, lines, strict=True)
    )


def failed(span: Span) -> bool:
    """Whether a span is an error. Envoy resets our stream after its last answer; the canceled span
    of that is none.
    """
    return _has_failed(span.name, span.status, span.attribute("status"))


def is_problem(span: Span) -> bool:
    """Whether it is worth a look: an error, or a refusal of ours. That somebody is not signed in is
    neither.
    """
    return shows_problem(span.name, span.status, dict(span.attributes))


def shows_problem(name: str, status: Status, said: Mapping[str, str]) -> bool:
    """The same by what is said of a span: of its attributes, those named in TELLING count."""
    if _has_failed(name, status, said.get("status", "")):
        return True
    code = next((said[key] for key in STATUS_CODE if key in said), "")
    return code >= "400" and code != "401" and bool(said.get("extproc.reason"))


def _has_failed(name: str, status: Status, envoys: str) -> bool:
    """envoys: what Envoy says of a call in its attribute `status`."""
    return status == "error" and not (
        name.startswith("async envoy.service.ext_proc.") and envoys == "canceled"
    )


def outcome(span: Span) -> str:
    """The HTTP status and the reason code or error of a span, as far as it has any."""
    parts = [span.attribute(*STATUS_CODE), span.attribute(*REASON)]
    if failed(span) and not parts[1]:
        parts.append("error")
    return " ".join(part for part in parts if part)


def short_name(span: Span) -> str:
    """Envoy names a call by the whole gRPC service, and what goes upstream by its cluster and
    `egress`.
    """
    name = span.name.removeprefix("async ").removesuffix(" egress")
    if not name.startswith("envoy.service."):
        return name
    return name.rpartition(".")[2] if "/" in name else ".".join(name.split(".")[-2:])


def _label(span: Span) -> str:
    came_of_it = outcome(span)
    return f"{span.service or '?'}: {short_name(span)}" + (f" [{came_of_it}]" if came_of_it else "")


def _guides(row: Row) -> str:
    if not row.last:
        return ""
    return "".join("   " if last else "│  " for last in row.last[:-1]) + (
        "└─ " if row.last[-1] else "├─ "
    )


def _fit(text: str, room: int) -> str:
    return f"{text[: room - 1]}…" if len(text) > room else text.ljust(room)


def _bar(span: Span, start: int, end: int, cells: int = 24) -> str:
    total = max(end - start, 1)
    first = min((span.start_ns - start) * cells // total, cells - 1)
    size = max(round(span.duration_ns * cells / total), 1)
    return "·" * first + "━" * min(size, cells - first) + "·" * max(cells - first - size, 0)
