"""The SBOM of extproc in CycloneDX: its packages, their versions, licences and dependencies.

    tools/sbom                                of .venv (made by tests/run): build/sbom.cdx.json
    tools/sbom --of PYTHON --output FILE      of another environment, which has extproc's
                                              dependencies at least

Other packages of the environment, such as those of tests, are left out. It fails if a package is
missing, if a version differs from .ci/lock.txt, or if the result violates CycloneDX's schema. The
image has its own at /opt/extproc/share/sbom.cdx.json.
"""

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
Graph = dict[str, set[str]]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(text: str) -> dict[str, str]:
    """The versions of a lock file by name."""
    return {
        canonical(name): version
        for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, flags=re.M)
    }


def needs(requirements: list[str], there: dict[str, Distribution]) -> Graph:
    """The dependencies of each package, from extproc ("") on.

    Extras count where a package requires them, and markers as they evaluate on this machine.
    """
    from packaging.requirements import Requirement

    found: Graph = {}
    waiting = [("", frozenset[str](), requirements)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras, lines = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        for wanted in map(Requirement, lines):
            marker = wanted.marker
            if marker is not None and not any(
                marker.evaluate({"extra": extra}) for extra in extras | {""}
            ):
                continue
            to = canonical(wanted.name)
            if to not in there:
                raise SystemExit(
                    f"tools/sbom: {name or 'extproc'} needs {wanted}, which is not installed"
                )
            found.setdefault(name, set()).add(to)
            waiting.append((to, frozenset(wanted.extras), there[to].requires or []))
    return found


def pruned(bom: dict[str, Any], graph: Graph) -> dict[str, Any]:
    """The SBOM with only what is needed.

    Links to web pages are removed, because readers look for names, versions and licences.
    """
    kept = set().union(*graph.values())
    components = [part for part in bom["components"] if canonical(part["name"]) in kept]
    for part in (*components, *bom["metadata"]["tools"]["components"]):
        part.pop("externalReferences", None)
    refs = {canonical(part["name"]): part["bom-ref"] for part in components}
    refs[""] = bom["metadata"]["component"]["bom-ref"]
    dependencies = [
        {"ref": ref, "dependsOn": sorted(refs[to] for to in graph[name])}
        if graph.get(name)
        else {"ref": ref}
        for name, ref in sorted(refs.items())
    ]
    return {**bom, "components": components, "dependencies": dependencies}


def differences(bom: dict[str, Any], graph: Graph, lock: dict[str, str]) -> list[str]:
    """Packages that are not as locked, and needed packages that are missing."""
    versions = {canonical(part["name"]): part["version"] for part in bom["components"]}
    wrong = [
        f"{name} {version}: {lock.get(name, 'not')} locked"
        for name, version in versions.items()
        if lock.get(name) != version
    ]
    return wrong + [
        f"{name}: not in it" for name in sorted(set().union(*graph.values()) - set(versions))
    ]


def described(python: str, pyproject: Path) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "cyclonedx_py",
        "environment",
        "--no-validate",
        "--output-reproducible",
    ]
    done = subprocess.run(
        [*command, "--pyproject", pyproject, python], check=True, capture_output=True, text=True
    )
    return dict(json.loads(done.stdout))


def faults(text: str) -> str:
    """Violations of CycloneDX's schema. Empty: none."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return str(JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) or "")


def sbom(python: str, folder: Path) -> str:
    """The SBOM of this Python's environment. folder: that of pyproject.toml and .ci/lock.txt."""
    pyproject = folder / "pyproject.toml"
    ask = (
        "import sysconfig; print(*{sysconfig.get_path('purelib'), "
        "sysconfig.get_path('platlib')}, sep='\\n')"
    )
    where = subprocess.run(
        [python, "-c", ask], check=True, capture_output=True, text=True
    ).stdout.split()
    there = {canonical(one.name): one for one in distributions(path=where)}
    graph = needs(tomllib.loads(pyproject.read_text())["project"]["dependencies"], there)
    bom = pruned(described(python, pyproject), graph)
    text = json.dumps(bom, indent=1, sort_keys=True) + "\n"
    wrong = differences(bom, graph, locked((folder / ".ci/lock.txt").read_text()))
    if wrong or (against := faults(text)):
        raise SystemExit("tools/sbom: " + ("\n".join(wrong) or against))
    return text


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--of", default=str(ROOT / ".venv/bin/python"), metavar="PYTHON")
    parser.add_argument("--output", type=Path, default=ROOT / "build/sbom.cdx.json", metavar="FILE")
    parser.add_argument("--folder", type=Path, default=ROOT, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if importlib.util.find_spec("cyclonedx_py") is None:
        from supply import tools

        python = tools() / "python"
        os.execv(python, [str(python), *sys.argv])
    text = sbom(asked.of, asked.folder)
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(text)
    print(f"{asked.output}: {len(json.loads(text)['components'])} packages, as locked")


if __name__ == "__main__":
    main()
