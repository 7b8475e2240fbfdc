"""Prints docs/threats.md: each promise of SECURITY.md with the tests that are marked with it.

python tools/threats.py > docs/threats.md

A test compares the two.
"""

import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))

from attack.catalogue import marked  # noqa: E402
from harness.sources import parsed  # noqa: E402

HEAD = """# Threats, and the tests that hold them off

Made by `tools/threats.py` from the markers of the tests: do not edit it by hand.

Each promise of [SECURITY.md](../SECURITY.md), how it is kept, and the tests that fail when it is
broken: those with `@pytest.mark.threat(KEY)`. `tests/attack/coverage` lists which test covers which
row of the attack catalogue. `tests/attack/promises.txt` has every clause of SECURITY.md, and what
docs/sessions.md promises against an attacker, each with the tests that attack it: a clause without
any fails.
"""


@dataclass(frozen=True, slots=True)
class Threat:
    """A row of tests/attack/threats.txt."""

    key: str
    promise: str
    how: str


def threats() -> list[Threat]:
    """The rows of tests/attack/threats.txt in their order.

    A row is a key and, indented below it, the promise and how it is kept.
    """
    lines = (ROOT / "tests/attack/threats.txt").read_text().splitlines()
    rows = [line.strip() for line in lines if line and not line.startswith("#")]
    return [Threat(*rows[at : at + 3]) for at in range(0, len(rows), 3)]


def holders() -> dict[str, list[tuple[str, str]]]:
    """(file, test's name) by the key of a threat, in the order of the files."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for key, name in marked(parsed(path.read_text()), "threat"):
            found[key].append((str(path.relative_to(ROOT / "tests")), name))
    return found


def page() -> str:
    """The whole of docs/threats.md."""
    parts, held = [HEAD], holders()
    for threat in threats():
        parts.append(f"\n## {threat.promise}\n\nKept by: {threat.how}. Key: `{threat.key}`.\n\n")
        by_file: dict[str, list[str]] = defaultdict(list)
        for file, name in held.get(threat.key, []):
            by_file[file].append(name)
        for file, names in by_file.items():
            parts.append(f"- `{file}`\n" + "".join(f"  - `{name}`\n" for name in names))
    return "".join(parts)


if __name__ == "__main__":
    print(page(), end="")
