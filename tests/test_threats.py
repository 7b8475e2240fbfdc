"""docs/threats.md promises tests by name."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_test_that_threats_md_names_exists():
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs/threats.md").read_text()))
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.M)
    }
    assert len(named) > 40
    assert named <= there, f"these are gone, or have another name now: {sorted(named - there)}"
