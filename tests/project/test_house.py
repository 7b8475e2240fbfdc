"""The house keeps its shape: each module has its test file, and the package's top explains itself."""

import ast
import subprocess
from pathlib import Path

from harness.sources import parsed

ROOT = Path(__file__).parents[2]
# Modules whose tests are elsewhere, with the reason.
ELSEWHERE = {
    "core/page.py": "values without behaviour",
    "core/reasons/reason.py": "a row of that table",
    "ext_proc/bridge.py": "tests/contract/test_bridge.py, for each bridge",
    "ext_proc/context.py": "a type",
    "ext_proc/shared.py": "values without behaviour, see test_stream.py",
    "sessions/interfaces.py": "a protocol: tests/contract/test_sessions.py, for each kind of sessions",
    "sessions/store.py": "a protocol: tests/contract/test_stores.py, for each store",
}
TOP = 5  # modules beside __init__ and __main__ (issue: the house)


def modules() -> list[Path]:
    """The modules of the package that git knows, relative to it."""
    command = ["git", "-C", str(ROOT), "ls-files", "extproc/*.py"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    paths = (Path(line).relative_to("extproc") for line in printed.splitlines())
    return [path for path in paths if path.name not in ("__init__.py", "__main__.py")]


def test_each_module_has_its_test_file() -> None:
    without = {
        str(path)
        for path in modules()
        if not (ROOT / "tests/unit" / path.parent / f"test_{path.name}").exists()
    }
    assert without - set(ELSEWHERE) == set(), "tests/unit mirrors the package: test_<module>.py"
    assert set(ELSEWHERE) - without == set(), "these have their file by now"


def test_each_test_file_of_a_unit_has_its_module() -> None:
    """`test_init.py` and `test_<package>.py` are for a package's `__init__`."""
    folder = ROOT / "tests/unit"
    known = {path.parent / f"test_{path.name}" for path in modules()}
    files = [path.relative_to(folder) for path in folder.rglob("test_*.py")]
    strangers = [
        str(path)
        for path in files
        if path not in known and path.name not in ("test_init.py", f"test_{path.parent.name}.py")
    ]
    assert files and strangers == []


def test_the_top_of_the_package_is_packages() -> None:
    top = [path for path in modules() if len(path.parts) == 1]
    assert len(top) <= TOP, top


def test_docstrings_begin_with_what_the_thing_is() -> None:
    leaning = [
        f"{path}:{node.lineno}"
        for path in modules()
        for node in ast.walk(parsed((ROOT / "extproc" / path).read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if (ast.get_docstring(node) or "").startswith(("The same", "See "))
    ]
    assert leaning == []
