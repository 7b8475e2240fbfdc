"""The promises of SECURITY.md and docs/sessions.md, with the tests that attack each clause.

A clause is a line of promises.txt, with the words of the document. The tests that fail if it is
broken are indented below it. `no promise:` with a reason stands where a clause names something
that the product does not promise. If a sentence of SECURITY.md changes, its line must be read
again.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.sources import parsed

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NO_PROMISE = "no promise:"


@dataclass(frozen=True, slots=True)
class Promises:
    """Clauses and the tests that attack them.

    clauses: as in SECURITY.md. attacks: by clause, the tests, or one line that begins with
    NO_PROMISE. there: all tests.
    """

    clauses: list[str]
    sessions: str  # docs/sessions.md, with one blank between words
    attacks: dict[str, list[str]]
    there: set[str]

    @property
    def faults(self) -> list[str]:
        """What is wrong, one a line."""
        known = set(self.clauses)
        return [
            *(f"nobody attacks: {clause}" for clause in self.clauses if not self.attacks.get(clause)),
            *(f"is in no document: {clause}" for clause in self.attacks if clause not in known and clause not in self.sessions),
            *(
                f"there is no {test}, which is to attack: {clause}"
                for clause, tests in self.attacks.items()
                for test in tests
                if not test.startswith(NO_PROMISE) and test not in self.there
            ),
        ]  # fmt: skip


def promises(root: Path = ROOT) -> Promises:
    return Promises(
        clauses((root / "SECURITY.md").read_text()),
        " ".join((root / "docs/sessions.md").read_text().split()),
        attacks((HERE / "promises.txt").read_text()),
        named_tests(root / "tests"),
    )


def clauses(security: str) -> list[str]:
    """Every clause of SECURITY.md: of its attackers, its trust, its promises and its limits."""
    sections = _sections(security)
    return [
        *_table(sections["Who attacks"]),
        *_items(sections["Where trust ends"], r"^- "),
        *_items(sections["What is promised"], r"^\d+\. "),
        *(
            f"not promised: {clause}"
            for clause in _parts(" ".join(sections["What is not"].split()))
        ),
    ]


def _sections(text: str) -> dict[str, str]:
    heads = re.split(r"^## (.+)$", text, flags=re.M)[1:]
    return dict(zip(heads[::2], heads[1::2], strict=True))


def _table(text: str) -> Iterator[str]:
    """`who cannot what` for each entry of the last column.

    A first column without one names what the attacker can do.
    """
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 3 and cells[0] != "who" and not set(cells[0]) <= set("-"):
            who, can, cannot = cells
            yield from (
                f"{who} cannot {clause}"
                for clause in _parts(cannot, r"; |\. |, (?![^(]*\))")
                if clause
            )
            if not cannot:
                yield f"{who} can {can}"


def _items(text: str, mark: str) -> Iterator[str]:
    """The clauses of each item of a list."""
    for item in re.split(mark, text, flags=re.M)[1:]:
        yield from _parts(" ".join(item.replace("**", "").split()))


def _parts(text: str, marks: str = r"; |\. ") -> list[str]:
    return [part for part in re.split(marks, text.rstrip(".")) if part]


def attacks(text: str) -> dict[str, list[str]]:
    """The tests by clause. A line of `#` is a comment."""
    found: dict[str, list[str]] = {}
    tests: list[str] = []
    for line in text.splitlines():
        if line.startswith("    "):
            tests.append(line.strip())
        elif line and not line.startswith("#"):
            tests = found[line] = []
    return found


def named_tests(folder: Path) -> set[str]:
    """The names of all tests, from the source, because collecting them would import everything."""
    return {
        node.name
        for path in folder.rglob("test_*.py")
        for node in ast.walk(parsed(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }
