""".ci/lock.txt has the processor's packages with their hashes, .ci/supply.txt has tools.

Neither names the index that the packages came from.
"""

import json
import re
import tomllib
from pathlib import Path

import pytest
from locked import main, read, resolved

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


def report(*packages: tuple[str, str]) -> str:
    found = [{"metadata": {"name": name, "version": version}} for name, version in packages]
    return json.dumps({"install": found})


def test_the_entries_of_what_pip_resolved_have_all_their_hashes(tmp_path, capsys):
    names = [entry.split("==") for entry in entries(LOCK)][:5]
    (tmp_path / "report.json").write_text(report(*names, ("extproc_oidc", "0.1.0")))
    assert main(ROOT / ".ci/lock.txt", tmp_path / "report.json") == 0
    printed = entries(capsys.readouterr().out)
    assert printed == {"==".join(name): entries(LOCK)["==".join(name)] for name in names}


def test_a_package_that_is_not_in_the_lock_is_an_error(tmp_path, capsys):
    (tmp_path / "report.json").write_text(report(("evil", "1.0"), ("trio", "0.0.1")))
    assert main(ROOT / ".ci/lock.txt", tmp_path / "report.json") == 1
    printed = capsys.readouterr()
    assert (printed.out, "evil==1.0, trio==0.0.1" in printed.err) == ("", True)


def test_names_are_compared_as_indexes_do():
    assert resolved(report(("Typing_Extensions", "4"), ("a.b", "1"))) == [
        "a-b==1",
        "typing-extensions==4",
    ]
    assert read("# comment\nx==1 \\\n    --hash=sha256:0\n") == {
        "x==1": "x==1 \\\n    --hash=sha256:0"
    }


def test_the_image_installs_by_these_hashes_alone():
    dockerfile = (ROOT / "Dockerfile").read_text()
    installs = re.findall(r"pip install ([^\\\n]*)", dockerfile)
    assert len(installs) == 3
    assert "--dry-run" in installs[0] and "--only-binary :all:" in installs[0]
    assert "--no-deps" in installs[1] and "--require-hashes" in installs[1]
    assert installs[2].endswith("--no-deps dist/*.whl ")


def test_what_builds_the_wheel_writes_nothing_else_into_the_image():
    """The lock has no hashes of the build's own packages (pyproject.toml, build-system)."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    stages = dict(re.findall(r"(?ms)^FROM \S+ AS (\w+)\n(.*?)(?=^FROM |\Z)", dockerfile))
    assert [name for name, text in stages.items() if "pip wheel" in text] == ["wheel"]
    assert re.findall(r"--from=wheel (.*)", dockerfile) == ["/src/dist dist"]
