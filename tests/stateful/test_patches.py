"""The machine finds each of the grave holes in a copy of the package without its fix.

The patches that remove the fixes are in tests/stateful/patches.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

# Two minutes.
pytestmark = pytest.mark.heavy
HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@dataclass(frozen=True, slots=True)
class Hole:
    """A hole and how the machine finds it.

    violation: the invariants of which one is violated. rules: the machine's steps that lead there;
    others would only take time.
    """

    violation: tuple[str, ...]
    rules: str
    store: str = "sqlite"
    examples: int = 200


HOLES = {
    "comma-in-a-cookie": Hole(
        ("identity", "lockout"), "signs_in,a_sibling_plants,a_sibling_opens_its_own_callback"
    ),
    "dot-segments": Hole(("demand",), "paths_in_disguise"),
    "late-assertion": Hole(("identity",), "hands_over,opens_a_slow_page,that_page_ends"),
    "late-login": Hole(
        ("identity",),
        "signs_out,begins_a_login_in_another_tab,goes_on_with_that_login_and_the_answer_is_late,that_answer_comes",
    ),
    "late-session": Hole(
        ("identity", "lockout"), "hands_over,opens_a_slow_page,that_page_ends", store="cookie"
    ),
    "logout-by-picture": Hole(("asked",), "signs_in,a_page_holds"),
    "path-folding": Hole(("demand",), "signs_in,paths_in_disguise"),
    "provider": Hole(("lives",), "the_partner_says"),
    "quadratic-work": Hole(("work",), "a_giant_cookie_header"),
}


def patched(name: str, directory: Path) -> Path:
    """A copy of the package with the patch.

    AssertionError, with what to do, if it does not apply.
    """
    shutil.copytree(
        ROOT / "extproc", directory / "extproc", ignore=shutil.ignore_patterns("__pycache__")
    )
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(directory.parent)}
    applied = subprocess.run(
        ["git", "apply", "--unidiff-zero", HERE / "patches" / f"{name}.patch"],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert applied.returncode == 0, (
        f"tests/stateful/patches/{name}.patch takes out a fix that is not there as it was: "
        "make it anew, "
        f"`git diff -U1` of the smallest change that opens the hole again\n{applied.stderr}"
    )
    return directory


def test_each_patch_has_its_hole_and_each_hole_its_patch() -> None:
    assert {path.stem for path in (HERE / "patches").glob("*.patch")} == set(HOLES)


@pytest.mark.parametrize("name", HOLES)
def test_the_machine_finds_the_hole_that_a_patch_opens(name: str, tmp_path: Path) -> None:
    hole, package = HOLES[name], patched(name, tmp_path)
    command = [
        sys.executable,
        "-P",
        "-m",
        "stateful",
        "--store",
        hole.store,
        "--examples",
        str(hole.examples),
    ]
    done = subprocess.run(
        [*command, "--rules", hole.rules],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{package}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    print(done.stdout)
    found = f"{hole.store}: ", " does not hold"
    assert any(kind.join(found) in done.stdout for kind in hole.violation), (
        done.stdout + done.stderr[-4000:]
    )
