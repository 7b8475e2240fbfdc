"""The report of a soak: text and a drawing."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from soaking.people import Findings
from soaking.watch import Line, Sample

WIDTH, HEIGHT, LEFT, TOP, GAP = 860, 130, 70, 34, 44
PANELS = (
    ("memory of the processor, MB", "rss"),
    ("memory of Envoy, MB", "envoy"),
    ("file descriptors", "fds"),
    ("trio tasks", "trio"),
    ("asyncio tasks", "asyncio"),
    ("streams in flight", "streams"),
)


@dataclass(frozen=True, slots=True)
class Soak:
    """The events of a run and their outcome.

    line: fitted to the memory after the warm-up, which ended at `warm` seconds.
    """

    began: str
    command: str
    seconds: float
    people: int
    workers: int
    samples: Sequence[Sample]
    warm: float
    line: Line
    # Streams from Envoy to the processor after the warm-up, roughly.
    streams: int
    findings: Findings
    faults: dict[str, int]
    done: dict[str, int]
    # At rest, before and after.
    rest: dict[str, tuple[int, int]]
    faulty: Sequence[str]

    @property
    def growth(self) -> float:
        """MB, from the warm-up to the end."""
        return self.line.slope * (self.samples[-1].at - self.warm) if self.samples else 0.0


def text(soak: Soak) -> str:
    requests = sum(soak.findings.answers.values())
    lines = [
        f"soak of {soak.seconds:.0f} s, begun {soak.began} UTC: {soak.command}",
        f"machine: {os.cpu_count()} CPUs, {platform.machine()}, Python "
        f"{platform.python_version()}; "
        f"people: {soak.people}, workers: {soak.workers}",
        "",
        f"{requests} deeds, {requests / soak.seconds:.0f} a second; {soak.findings.compared} "
        "pages were compared with the owner "
        "of the cookie that was sent",
        "",
        f"{'deed':14} answers (status: how many)",
    ]
    for deed in sorted({deed for deed, _ in soak.findings.answers}):
        counts = sorted(
            (status, n) for (name, status), n in soak.findings.answers.items() if name == deed
        )
        lines.append(
            f"{deed:14} " + ", ".join(f"{status or 'not read'}: {n}" for status, n in counts)
        )
    lines += [
        "",
        "faults of the provider: " + _counts(soak.faults),
        "besides: " + _counts(soak.done),
        "",
    ]
    lines += [f"{'':22}{'least':>9}{'median':>9}{'most':>9}{'last':>9}"]
    for title, name in PANELS:
        values = [float(getattr(sample, name)) for sample in soak.samples] or [0.0]
        middle = sorted(values)[len(values) // 2]
        shown = "".join(f"{value:9.1f}" for value in (min(values), middle, max(values), values[-1]))
        lines.append(f"{title.removesuffix(', MB'):30}"[:30].ljust(22) + shown)
    lines += [
        "",
        (
            f"with {soak.workers} workers, whose rolls come and go, a line through their memory "
            "says nothing"
        )
        if soak.workers > 1
        else f"memory after the first {soak.warm:.0f} s: {soak.line.slope * 3600:+.1f} MB an "
        f"hour, {soak.growth:+.1f} MB in all, "
        f"{soak.growth * 1e6 / max(1, soak.streams):+.0f} bytes a stream",
        "at rest, before and after: "
        + ", ".join(f"{name} {a} and {b}" for name, (a, b) in soak.rest.items()),
        "",
        *(["in order"] if not soak.faulty else ["NOT IN ORDER:", *soak.faulty]),
    ]
    return "\n".join(lines) + "\n"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


def svg(soak: Soak) -> str:
    """One panel below the other, over the same time."""
    height = TOP + len(PANELS) * (HEIGHT + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + LEFT + 20} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="100%" fill="#fff"/><text x="{LEFT}" y="16" font-size="14">'
        f"{escape(f'{soak.seconds:.0f} s, {soak.people} people, begun {soak.began} UTC')}</text>",
    ]
    for number, (title, name) in enumerate(PANELS):
        points = [(sample.at, float(getattr(sample, name))) for sample in soak.samples]
        fitted = soak.line if name == "rss" and soak.workers == 1 else None
        parts += _panel(title, points, TOP + number * (HEIGHT + GAP), fitted, soak.warm)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(
    title: str, points: Sequence[tuple[float, float]], top: float, line: Line | None, warm: float
) -> list[str]:
    last = points[-1][0] if points else 1.0
    low, high = (min(y for _, y in points), max(y for _, y in points)) if points else (0.0, 1.0)
    high = max(high, low + 1)

    def place(x: float, y: float) -> str:
        return f"{LEFT + x / last * WIDTH:.1f},{top + 20 + (high - y) / (high - low) * HEIGHT:.1f}"

    parts = [
        f'<text x="{LEFT}" y="{top + 12}">{escape(title)}</text>',
        f'<rect x="{LEFT}" y="{top + 20}" width="{WIDTH}" height="{HEIGHT}" fill="none" '
        'stroke="#ccc"/>',
        f'<text x="{LEFT - 6}" y="{top + 26}" text-anchor="end">{high:.0f}</text>',
        f'<text x="{LEFT - 6}" y="{top + 20 + HEIGHT}" text-anchor="end">{low:.0f}</text>',
        f'<text x="{LEFT + WIDTH}" y="{top + 34 + HEIGHT}" text-anchor="end">{last:.0f} s</text>',
        '<polyline fill="none" stroke="#2563eb" '
        f'points="{" ".join(place(x, y) for x, y in points)}"/>',
    ]
    if line is not None:
        ends = f"{place(warm, line.at(warm))} {place(last, line.at(last))}"
        parts.append(
            f'<polyline fill="none" stroke="#dc2626" stroke-dasharray="6 4" points="{ends}"/>'
        )
    return parts
