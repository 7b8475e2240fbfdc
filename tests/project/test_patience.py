"""How tests wait: by polling, long enough for a busy machine, and without bounds on durations.

See docs/testing.md. A line that is about time is marked `# by time: WHY`, behind it or above it.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.clients import LEAST
from harness.sources import parsed

TESTS = Path(__file__).parents[1]
WAITS = (
    "wait_until",
    "wait_ready",
    "wait_for",
    "wait_for_more",
    "wait_until_well",
    "until",
    "access_log",
    "goes_on",
)
# The positions of the seconds. Elsewhere they are the keyword `timeout`.
PLACES = {
    **dict.fromkeys(("fail_after", "move_on_after", "timeout", "result", "join", "wait"), 0),
    **dict.fromkeys(WAITS, 1),
}
CLOCKS = {"monotonic", "perf_counter", "monotonic_ns", "perf_counter_ns"}
EXEMPT = "# by time: "


def faults(source: str) -> list[tuple[int, str]]:
    """Lines that wait too short, sleep instead of waiting, or compare a duration with a bound."""
    lines = source.splitlines()
    return [
        (line, fault)
        for line, fault in _found(parsed(source), polling=False)
        if EXEMPT not in (lines[line - 2] + lines[line - 1]).lower()
    ]


def _found(node: ast.AST, polling: bool) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        if any("clock" in argument.arg for argument in node.args.args):
            # Its time is simulated.
            return
        polling = False
    polling = polling or isinstance(node, ast.While)
    if isinstance(node, ast.Call):
        name = (
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        )
        if not polling and 0 < (seconds := _seconds(node, name) or 0) < LEAST:
            yield node.lineno, f"{name} waits {seconds:g} s: no less than {LEAST:g}"
        if name == "sleep" and not polling and node.args and (_number(node.args[0]) or 0) > 0:
            yield node.lineno, "sleeps in place of a wait"
    if (
        isinstance(node, ast.Compare)
        and any(isinstance(op, ast.Lt | ast.LtE) for op in node.ops)
        and _took(node)
    ):
        yield node.lineno, "compares what something took with a bound"
    for child in ast.iter_child_nodes(node):
        yield from _found(child, polling)


def _seconds(call: ast.Call, name: str) -> float | None:
    for keyword in call.keywords:
        if keyword.arg == "timeout":
            return _number(keyword.value)
    place = PLACES.get(name)
    return _number(call.args[place]) if place is not None and len(call.args) > place else None


def _number(node: ast.expr) -> float | None:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _took(node: ast.AST) -> bool:
    """Whether the expression subtracts a moment from now."""
    return any(
        isinstance(part, ast.BinOp)
        and isinstance(part.op, ast.Sub)
        and any(
            isinstance(call, ast.Call) and getattr(call.func, "attr", "") in CLOCKS
            for call in ast.walk(part.left)
        )
        for part in ast.walk(node)
    )


@pytest.mark.parametrize(
    "source",
    [
        "wait_until(there, 10)",
        "answer.result(5)",
        "process.wait(timeout=20)",
        "with trio.fail_after(2): pass",
        "time.sleep(0.1)",
        "async def test(): await trio.sleep(1)",
        "assert 0.9 < time.monotonic() - start < 4",
    ],
)
def test_what_fails_on_a_busy_machine_is_found(source: str) -> None:
    assert faults(f"\n{source}")


@pytest.mark.parametrize(
    "source",
    [
        "wait_until(there)",
        "wait_until(there, 60)",
        "with trio.move_on_after(0): pass",
        "while not there():\n    time.sleep(0.1)",
        "assert time.monotonic() - start > 2",
        "def test(autojump_clock): trio.sleep(60)",
        "time.sleep(2)  # by time: longer than Envoy waits",
        "# By time: longer than Envoy waits.\ntime.sleep(2)",
        "', '.join(words)",
    ],
)
def test_what_waits_as_it_should_is_not(source: str) -> None:
    assert faults(f"\n{source}") == []


def test_no_test_fails_because_the_machine_is_busy() -> None:
    # They measure time.
    apart = {"benchmarks", "soaking", "compose"}
    paths = [
        path
        for path in sorted(TESTS.rglob("*.py"))
        if path.relative_to(TESTS).parts[0] not in apart
    ]
    found = [
        f"{path.relative_to(TESTS.parent)}:{line}: {fault}"
        for path in paths
        for line, fault in faults(path.read_text())
    ]
    assert not found, "\n".join(found)
