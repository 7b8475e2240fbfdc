"""The tools for the supply chain, cyclonedx-bom and pip-audit, in an environment of their own.

They are pinned in .ci/supply.txt. They need fifty packages that neither the processor nor its tests
need, so they stay out of .ci/lock.txt.
"""

import os
import subprocess
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / ".ci/lock.txt"
TOOLS = ROOT / ".ci/supply.txt"


def tools() -> Path:
    """The environment's `bin`: EXTPROC_SUPPLY (set by tests/run), or .venv-supply.

    The latter is made if it is missing.
    """
    if there := os.environ.get("EXTPROC_SUPPLY"):
        return Path(there) / "bin"
    own = ROOT / ".venv-supply"
    pinned = TOOLS.read_text()
    if not (own / "ready").exists() or (own / "ready").read_text() != pinned:
        venv.create(own, clear=True, with_pip=True)
        pip = [
            own / "bin/python",
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "--no-compile",
        ]
        subprocess.run([*pip, "--require-hashes", "-r", TOOLS], check=True)
        (own / "ready").write_text(pinned)
    return own / "bin"
