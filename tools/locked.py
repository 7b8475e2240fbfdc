"""Prints the entries of a lock, with their hashes, for the packages that pip resolved:

    pip install --dry-run --report report.json -c constraints.txt extproc_oidc-0.1.0-py3-none-any.whl
    python tools/locked.py .ci/lock.txt report.json > requirements.txt
    pip install --no-deps --require-hashes -r requirements.txt

pip can demand hashes only for a whole list, and the lock has the packages of the tests as well. The
image is built in this way (Dockerfile).
"""

import json
import re
import sys
from pathlib import Path

OWN = "extproc-oidc"


def main(lock: Path, report: Path) -> int:
    """Print the entries. Return the exit code: 1 if a package is not in the lock."""
    entries = read(lock.read_text())
    wanted = resolved(report.read_text())
    missing = [name for name in wanted if name not in entries]
    if missing:
        print(f"{lock} has no entry for {', '.join(missing)}", file=sys.stderr)
        return 1
    print(*(entries[name] for name in wanted), sep="\n")
    return 0


def read(lock: str) -> dict[str, str]:
    """The entries of a lock by `name==version`, each with the lines of its hashes."""
    entries: dict[str, str] = {}
    for entry in re.split(r"(?m)^(?=[a-z0-9])", lock):
        if entry.startswith("#") or not entry.strip():
            continue
        entries[entry.split()[0]] = entry.rstrip()
    return entries


def resolved(report: str) -> list[str]:
    """The packages of pip's report as `name==version`, sorted, without extproc itself."""
    found = [entry["metadata"] for entry in json.loads(report)["install"]]
    names = {(re.sub(r"[-_.]+", "-", each["name"]).lower(), each["version"]) for each in found}
    return sorted(f"{name}=={version}" for name, version in names if name != OWN)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
