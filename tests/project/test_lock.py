""".ci/lock.txt has the processor's packages with their hashes, .ci/supply.txt has tools.

Neither names the index that the packages came from.
"""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / ".ci/lock.txt").read_text()
BOTH = pytest.mark.parametrize(
    "lock", [LOCK, (ROOT / ".ci/supply.txt").read_text()], ids=["lock", "supply"]
)


def entries(lock: str) -> dict[str, list[str]]:
    """Hashes by name and version."""
    text = re.sub(r"^#.*\n", "", lock, flags=re.M).replace("\\\n", " ")
    return {
        line.split()[0]: re.findall(r"--hash=(\S+)", line)
        for line in text.splitlines()
        if line.strip()
    }


@BOTH
def test_every_entry_is_one_version_with_its_hashes(lock):
    assert len(entries(lock)) > 45
    for entry, hashes in entries(lock).items():
        assert re.fullmatch(r"[a-z0-9._-]+==[^\s;@]+", entry), entry
        assert hashes and all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), entry


def test_everything_that_the_processor_needs_is_in_it_and_above_its_floor():
    pinned = dict(entry.split("==") for entry in entries(LOCK))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in project["dependencies"]:
        name, floor = re.match(r"([a-z0-9._-]+)>=([\d.]+)", requirement).groups()
        assert name in pinned, f"{name} is not in .ci/lock.txt"
        assert numbers(pinned[name]) >= numbers(floor), requirement


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


@BOTH
def test_it_names_no_host(lock):
    entries = re.sub(r"^#.*\n", "", lock, flags=re.M)
    assert not re.search(r"https?:|index-url|find-links|trusted-host|//", entries)
