"""Which rows of the attack catalogue have a test: tests/attack/coverage prints them.

A test covers a row by its marker, `@pytest.mark.attack("CONF-12")`. A row whose target does not
exist in this product is in not_applicable.txt, with its reason. The markers are read from the
source, because collecting the tests would import everything. A test demands full coverage.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.sources import parsed

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Coverage:
    """The rows and their tests.

    words, reasons: by row. tests: by row, each as file::name, also for rows that do not exist.
    """

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
        """What is wrong, one a line. Empty: every row is accounted for."""
        return [
            *(f"{row} has no test: {self.words[row]}" for row in self.missing),
            *(
                f"{row} has a test and is in not_applicable.txt"
                for row in self.reasons
                if row in self.tests
            ),
            *(
                f"{row} is in not_applicable.txt and in no catalogue"
                for row in self.reasons
                if row not in self.words
            ),
            *(
                f"{row} is in no catalogue: {self.tests[row][0]}"
                for row in self.tests
                if row not in self.words
            ),
        ]


def coverage(tests: Path = HERE.parent) -> Coverage:
    """The coverage by the tests in this folder."""
    words, reasons = _table(HERE / "rows.txt"), _table(HERE / "not_applicable.txt")
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(tests.rglob("test_*.py")):
        for row, name in rows_of(parsed(path.read_text())):
            found[row].append(f"{path.relative_to(tests.parent)}::{name}")
    return Coverage(words, reasons, dict(found))


def rows_of(module: ast.Module) -> Iterator[tuple[str, str]]:
    """(row, name) for each row that marks a test of the module."""
    return marked(module, "attack")


def marked(module: ast.Module, marker: str) -> Iterator[tuple[str, str]]:
    """(argument, name) for each argument of `@pytest.mark.<marker>(...)` on a test."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
            "test_"
        ):
            for decorator in node.decorator_list:
                if (
                    isinstance(decorator, ast.Call)
                    and ast.unparse(decorator.func) == f"pytest.mark.{marker}"
                ):
                    yield from (
                        (str(ast.literal_eval(argument)), node.name) for argument in decorator.args
                    )


def _table(path: Path) -> dict[str, str]:
    """The lines of a table: an id, and words about it."""
    lines = (line.partition(" ") for line in path.read_text().splitlines() if line.strip())
    return {row: words for row, _, words in lines}


def report(found: Coverage) -> str:
    lines = [
        f"{row}  {found.words[row]}\n" + "".join(f"    {test}\n" for test in found.tests[row])
        for row in found.covered
    ]
    lines += [
        "not applicable:\n",
        *(f"{row}  {found.reasons[row]}\n" for row in found.not_applicable),
    ]
    counts = (
        f"{len(found.covered)} rows covered, {len(found.not_applicable)} not applicable, "
        f"{len(found.missing)} missing"
    )
    return "".join([*lines, *(f"FAULT {fault}\n" for fault in found.faults), counts])
