""".ci/lock.txt has everything that the processor runs with, each with its hashes, and says nothing of where it came from."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / ".ci/lock.txt").read_text()


def entries() -> dict[str, list[str]]:
    """Hashes by name and version."""
    text = re.sub(r"^#.*\n", "", LOCK, flags=re.M).replace("\\\n", " ")
    return {line.split()[0]: re.findall(r"--hash=(\S+)", line) for line in text.splitlines() if line.strip()}


def test_every_entry_is_one_version_with_its_hashes():
    assert len(entries()) > 50
    for entry, hashes in entries().items():
        assert re.fullmatch(r"[a-z0-9._-]+==[^\s;@]+", entry), entry
        assert hashes and all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), entry


def test_everything_that_the_processor_needs_is_in_it_and_above_its_floor():
    pinned = dict(entry.split("==") for entry in entries())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in project["dependencies"]:
        name, floor = re.match(r"([a-z0-9._-]+)>=([\d.]+)", requirement).groups()
        assert name in pinned, f"{name} is not in .ci/lock.txt"
        assert numbers(pinned[name]) >= numbers(floor), requirement


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def test_it_names_no_host():
    assert not re.search(r"https?:|index-url|find-links|trusted-host|//", LOCK.split("\nannotated-types", 1)[1])
