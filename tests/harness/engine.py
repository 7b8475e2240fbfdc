"""A Docker engine for the compose test: the machine's own, or one that the test starts as root.

The machine's engine is used as it is, with the images that it has or pulls. One that the test
starts gets stand-ins for the images, built from Debian, Keycloak's distribution and the wheel's
Envoy. They have the names in Dockerfile and compose.yaml, which stay as users have them.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self, TextIO

from harness.downloads import CACHE, found, missing
from harness.gateway import ROOT, envoy_program
from harness.processes import Process

# The image that the Dockerfile builds on, and that of the run on Debian 13.
PYTHON = "python:3.11-slim-bookworm"
DEBIAN_13 = "python:3.13-slim-trixie"
BASES = {PYTHON: "EXTPROC_BASE_BOOKWORM", DEBIAN_13: "EXTPROC_BASE_TRIXIE"}
ENVOY = "envoyproxy/envoy:distroless-v1.40.0"
KEYCLOAK = "keycloak/keycloak:26.7"
VALKEY = "valkey/valkey:8"
APT = "apt-get update -q && apt-get install -y -q --no-install-recommends"


class Engine:
    """Runs from `with` to the block's end. `compose` and `docker` run those commands."""

    def __init__(self) -> None:
        # Short, because the path of a unix socket has at most 107 bytes.
        self._directory = Path(tempfile.mkdtemp(prefix="engine-"))
        self._environment: dict[str, str] = {}
        self._process: Process | None = None
        self._turn: TextIO | None = None
        self.ours = False

    def docker(
        self, *words: str | Path, check: bool = True, env: Mapping[str, str] | None = None
    ) -> str:
        """The output of a docker command. AssertionError with all output if it fails."""
        return self._run(["docker", *words], check=check, env=env)

    def compose(self, *words: str, check: bool = True, env: Mapping[str, str] | None = None) -> str:
        return self._run(["docker", "compose", *words], check=check, env=env)

    def __enter__(self) -> Self:
        if shutil.which("docker") is None:
            missing("docker is not installed")
        if self._answers():
            return self
        if os.geteuid() != 0 or shutil.which("dockerd") is None:
            missing("no Docker engine runs, and only root can start one of its own (dockerd)")
        self.ours = True
        self._plug_in_compose()
        self._environment["DOCKER_HOST"] = f"unix://{self._directory}/docker.sock"
        data = CACHE / "engine"
        data.mkdir(parents=True, exist_ok=True)
        self._turn = (CACHE / "engine.lock").open("w")
        # One engine at a time uses the data, so another test run waits here.
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        roots = [
            "--data-root",
            data,
            "--exec-root",
            self._directory / "exec",
            "-p",
            self._directory / "pid",
        ]
        address = ["-H", self._environment["DOCKER_HOST"]]
        self._process = Process(
            "dockerd", ["dockerd", *roots, *address], log=self._directory / "dockerd.log"
        )
        self._process.wait_ready(self._answers, 120)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.docker("image", "prune", "-f", check=False)
            self._process.stop(20)
            subprocess.run(["ip", "link", "del", "docker0"], capture_output=True, check=False)
        if self._turn is not None:
            self._turn.close()
        for name in (self._directory / "exec" / "netns").glob("*"):
            subprocess.run(["umount", name], capture_output=True, check=False)
        shutil.rmtree(self._directory, ignore_errors=True)

    def images(self) -> None:
        """Build the stand-ins. With the machine's own engine: do nothing."""
        if not self.ours:
            return
        self._base_image(PYTHON)
        self._build(
            ENVOY,
            f'FROM {PYTHON}\nCOPY envoy /usr/local/bin/envoy\nUSER 101:101\nENTRYPOINT ["envoy"]\n',
            envoy_program(),
        )
        names = "ln -s redis-server /usr/bin/valkey-server && ln -s redis-cli /usr/bin/valkey-cli"
        self._build(
            VALKEY, f'FROM {PYTHON}\nRUN {APT} redis-server && {names}\nCMD ["valkey-server"]\n'
        )
        keycloak = (
            f"FROM {PYTHON}\nRUN mkdir -p /usr/share/man/man1 && {APT} openjdk-17-jre-headless\n"
            "COPY --chown=1000:0 keycloak /opt/keycloak\n"
            "RUN rm -rf /opt/keycloak/data && install -d -o 1000 -g 0 /opt/keycloak/data "
            "/opt/keycloak/data/import\n"
            'ENV KC_RUN_IN_CONTAINER=true\nUSER 1000\nENTRYPOINT ["/opt/keycloak/bin/kc.sh"]\n'
        )
        self._build(KEYCLOAK, keycloak, found("EXTPROC_KEYCLOAK", "Keycloak"), "keycloak")

    def debian_13(self, tag: str, *packages: str) -> None:
        """Make an image of Debian 13 with its Python and these packages."""
        if self.ours:
            self._base_image(DEBIAN_13)
        self._build(tag, f"FROM {DEBIAN_13}\nRUN {APT} {' '.join(packages)}\n")

    def _base_image(self, name: str) -> None:
        """Import Debian and Python under the name of Docker's image.

        It has this machine's certificates. pip has its own, so a variable points it to them.
        """
        base = found(BASES[name], f"the base image {name}")
        certificates = "ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt"
        # A new image would make every layer above it new.
        if not self.docker("images", "-q", name).strip():
            self.docker(
                "import", "--change", certificates, "--change", 'CMD ["python3"]', base, name
            )

    def _build(
        self, tag: str, dockerfile: str, copied: Path | None = None, name: str | None = None
    ) -> None:
        with tempfile.TemporaryDirectory(prefix="image-") as folder:
            if copied is not None:
                target = Path(folder) / (name or copied.name)
                if copied.is_dir():
                    shutil.copytree(copied, target)
                else:
                    shutil.copy(copied, target)
            (Path(folder) / "Dockerfile").write_text(dockerfile)
            self.docker("build", "-q", "-t", tag, folder)

    def _plug_in_compose(self) -> None:
        plugins = self._directory / "config" / "cli-plugins"
        plugins.mkdir(parents=True)
        (plugins / "docker-compose").symlink_to(found("EXTPROC_COMPOSE", "Docker Compose"))
        self._environment["DOCKER_CONFIG"] = str(self._directory / "config")

    def _answers(self) -> bool:
        command = ["docker", "info"]
        return (
            subprocess.run(command, capture_output=True, check=False, env=self._all()).returncode
            == 0
        )

    def _all(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**os.environ, "DOCKER_CLI_HINTS": "false", **self._environment, **(more or {})}

    def _run(
        self, command: Sequence[str | Path], *, check: bool, env: Mapping[str, str] | None
    ) -> str:
        words = [str(word) for word in command]
        started = time.monotonic()
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, cwd=ROOT, env=self._all(env)
        )
        print(f"{time.monotonic() - started:6.1f} s  {' '.join(words)[:100]}")
        output = done.stdout + done.stderr
        assert not check or done.returncode == 0, (
            f"{' '.join(words)}: {done.returncode}\n{output[-6000:]}"
        )
        return output
