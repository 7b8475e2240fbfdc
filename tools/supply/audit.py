"""Known vulnerabilities in the locked packages of .ci/lock.txt and .ci/supply.txt.

    tools/audit                   asks pip-audit's advisory source (OSV)
    tools/audit --source URL      asks another source with OSV's interface

Exit code: 0, no vulnerability; 1, at least one; 2, pip-audit could not run; 3, "not checked", no
source of advisories answered for every package. In that case pip-audit itself reports "none found".
"""

import argparse
import json
import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from supply import LOCK, TOOLS, tools

NONE, FOUND, BROKEN, UNCHECKED = range(4)
TIMEOUT = 5  # seconds, of each question
# pip-audit's errors when the source is unreachable, or does not answer as OSV does.
AWAY = re.compile(
    r"^(?:requests\.exceptions|pip_audit\._service\.interface)\.(\w+)|(Could not connect) to ",
    flags=re.M,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    exit_code: int
    lines: list[str] = field(default_factory=list)


def verdict(code: int, stdout: str, stderr: str, wanted: set[str]) -> Verdict:
    """The meaning of pip-audit's exit code and output. wanted: the packages that it must check."""
    if not stdout.strip():
        if away := AWAY.search(stderr):
            return Verdict(UNCHECKED, [f"not checked: no advisory source ({away[1] or away[2]})"])
        return Verdict(BROKEN, ["pip-audit failed", *stderr.strip().splitlines()[-5:]])
    packages = json.loads(stdout)["dependencies"]
    found = [
        f"{of['name']} {of['version']}: {one['id']}, fixed in "
        f"{', '.join(one['fix_versions']) or 'no version'}"
        for of in packages
        for one in of.get("vulns", [])
    ]
    if found:
        return Verdict(FOUND, [f"known vulnerabilities: {len(found)}", *found])
    missing = wanted - {of["name"] for of in packages if "vulns" in of}
    if missing:
        return Verdict(
            UNCHECKED,
            [f"not checked: no advisory source for {len(missing)} of {len(wanted)} packages"],
        )
    return (
        Verdict(BROKEN, ["pip-audit failed", stderr])
        if code
        else Verdict(NONE, [f"none known in {len(packages)} packages"])
    )


def audit(locks: list[Path], source: str | None) -> Verdict:
    # An empty cache, because earlier answers may be out of date.

    with tempfile.TemporaryDirectory() as cache:
        command = [
            tools() / "python",
            "-m",
            "pip_audit",
            "--require-hashes",
            "--disable-pip",
            "--progress-spinner",
            "off",
            "--format",
            "json",
        ]
        command += [
            "--timeout",
            str(TIMEOUT),
            "--cache-dir",
            cache,
            "--vulnerability-service",
            "osv",
        ]
        command += [word for lock in locks for word in ("--requirement", lock)]
        done = subprocess.run(
            [*command, *(["--osv-url", source] if source else [])],
            capture_output=True,
            text=True,
            check=False,
        )
    names = {
        name for lock in locks for name in re.findall(r"^([\w.-]+)==", lock.read_text(), flags=re.M)
    }
    return verdict(done.returncode, done.stdout, done.stderr, names)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", metavar="URL")
    parser.add_argument("locks", nargs="*", type=Path, default=[LOCK, TOOLS])
    asked = parser.parse_args()
    verdict = audit(asked.locks, asked.source)
    print("\n".join(verdict.lines))
    return verdict.exit_code
