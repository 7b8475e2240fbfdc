"""Which rows of the attack catalogue have a test: what tests/attack/coverage prints, and what a test of the suite demands.

A row is covered by a test whose name has it (`test_conf_12_...`), by a parameter of a test that begins with it, or by `@rows`.
What is no attack on anything that exists says so, with its reason, in not_applicable.txt.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.sources import parsed

HERE = Path(__file__).parent
_ROW = re.compile(r"(?:^|_)([a-z]{3,4})_(\d\d)(?=_|$)")


@dataclass(frozen=True, slots=True)
class Coverage:
    """words and reasons: by row. tests: by row, each as file::name, of rows that nobody knows too."""

    words: dict[str, str]
    reasons: dict[str, str]
    tests: dict[str, list[str]]

    @property
    def covered(self) -> list[str]:
        return [row for row in self.words if row in self.tests]

    @property
    def not_applicable(self) -> list[str]:
        return [row for row in self.words if row in self.reasons and row not in self.tests]

    @property
    def missing(self) -> list[str]:
        return [row for row in self.words if row not in self.tests and row not in self.reasons]

    @property
    def faults(self) -> list[str]:
        """What is wrong, a line each; none: every row is accounted for."""
        return [
            *(f"{row} has no test: {self.words[row]}" for row in self.missing),
            *(f"{row} has a test and is in not_applicable.txt" for row in self.reasons if row in self.tests),
            *(f"{row} is in not_applicable.txt and in no catalogue" for row in self.reasons if row not in self.words),
            *(f"{row} is in no catalogue: {self.tests[row][0]}" for row in self.tests if row not in self.words),
        ]


def coverage(tests: Path = HERE.parent) -> Coverage:
    """Of the tests in this folder."""
    words, reasons = _table(HERE / "rows.txt"), _table(HERE / "not_applicable.txt")
    families = {row.partition("-")[0] for row in words}
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(tests.rglob("test_*.py")):
        for row, name in rows_of(parsed(path.read_text())):
            if row.partition("-")[0] in families:
                found[row].append(f"{path.relative_to(tests.parent)}::{name}")
    return Coverage(words, reasons, dict(found))


def rows_of(module: ast.Module) -> Iterator[tuple[str, str]]:
    """(row, test's name) for each row that a test of the module names."""
    values = {
        target.id: statement.value
        for statement in module.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            said = {text for decorator in node.decorator_list for text in _texts(decorator, values)}
            named = set(_ROW.findall(node.name)) | {row for text in said for row in _ROW.findall(text)[:1]}
            yield from ((f"{family.upper()}-{number}", node.name) for family, number in sorted(named))


def _texts(decorator: ast.expr, values: dict[str, ast.expr]) -> Iterator[str]:
    """The texts in `@rows(...)` and `@pytest.mark.parametrize(...)`; those of a table of the module that it names, too."""
    name = ast.unparse(decorator).partition("(")[0]
    if name != "rows" and not name.endswith(".parametrize"):
        return
    for node in ast.walk(decorator):
        if isinstance(node, ast.Name) and node.id in values:
            table = values[node.id]
            yield from _strings(table.keys if isinstance(table, ast.Dict) else [table])
    yield from _strings([decorator])


def _strings(nodes: list[ast.expr | None] | list[ast.expr]) -> Iterator[str]:
    for node in nodes:
        for part in ast.walk(node) if node is not None else ():
            if (
                isinstance(part, ast.Constant)
                and isinstance(part.value, str)
                and re.match(r"[a-z]{3,4}_\d\d(_|$)", part.value)
            ):
                yield part.value


def _table(path: Path) -> dict[str, str]:
    """Lines of a row's id and words about it."""
    lines = (line.partition(" ") for line in path.read_text().splitlines() if line.strip())
    return {row: words for row, _, words in lines}


def report(found: Coverage) -> str:
    lines = [
        f"{row}  {found.words[row]}\n" + "".join(f"    {test}\n" for test in found.tests[row]) for row in found.covered
    ]
    lines += ["not applicable:\n", *(f"{row}  {found.reasons[row]}\n" for row in found.not_applicable)]
    counts = (
        f"{len(found.covered)} rows covered, {len(found.not_applicable)} not applicable, {len(found.missing)} missing"
    )
    return "".join([*lines, *(f"FAULT {fault}\n" for fault in found.faults), counts])
