"""The demo's processes: started in order, waited for, watched, and ended together.

Each has a session of its own, so that Ctrl-C reaches the demo alone, which ends them in order. Each
asks the kernel to be killed when the demo ends, so that none is left even after `kill -9`. That
request is bound to the thread that started the process: hence the demo has no threads.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from extproc.demo.layout import Layout
from extproc.envoyconfig import find_envoy

STARTS = 60.0  # seconds that a part may take to answer, on a machine under load
ENDS = 6.0  # seconds that all parts may take to end, before they are killed
PR_SET_PDEATHSIG = 1  # Linux, prctl(2)
# Loaded here, because a new process must not load a library between fork and exec.
LIBC = ctypes.CDLL(None, use_errno=True)
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
# One worker, so that the demo shows what one core does. No hot restart, because two demos would
# share its memory. Logs and spans are written immediately instead of after seconds.
ENVOY = (
    *("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"),
    *("--file-flush-interval-msec", "200"),
    "--config-yaml",
    "{layered_runtime: {layers: [{name: demo, static_layer: {tracing.opentelemetry."
    "flush_interval_ms: 300, tracing.opentelemetry.min_flush_spans: 1}}]}}",
)


class PartDied(Exception):
    """A part ended by itself or did not start. The text names it and has the end of its log."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process.

    role: its name in the demo.
    command: how it is started.
    up: an address that answers 200 when it is up.
    """

    role: str
    command: tuple[str, ...]
    up: str


def envoy_program() -> str | None:
    """The Envoy beside this Python, because that version was tested; otherwise the one on PATH."""
    beside = shutil.which("envoy", path=str(Path(sys.executable).parent))
    found = beside or find_envoy()
    return str(found) if found is not None else None


def parts(layout: Layout) -> tuple[Part, ...]:
    """All parts, in the order of their start. The processor is last, because its first attempt to
    reach the provider would fail otherwise.
    """
    python = (sys.executable, "-m")
    spans = f"{layout.admin}v1/traces"
    envoy = envoy_program() or "envoy"
    discovery = ".well-known/openid-configuration"
    idp = (*python, "extproc.demo.idp", str(layout.idp_folder), str(layout.idp_port), spans)
    app = (*python, "extproc.demo.app", str(layout.app_port), layout.idp, layout.traces, spans)
    return (
        Part("idp", idp, f"http://127.0.0.1:{layout.idp_port}/{discovery}"),
        Part("app", app, f"http://127.0.0.1:{layout.app_port}/public/"),
        Part(
            "envoy",
            (envoy, "-c", str(layout.envoy_file), *ENVOY),
            f"http://127.0.0.1:{layout.envoy_admin_port}/ready",
        ),
        Part(
            "extproc",
            (*python, "extproc", "serve", "--config", str(layout.settings_file)),
            f"{layout.admin}readyz",
        ),
    )


class Stack:
    """The processes of one layout. Leaving the block ends those that were started."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._running: list[tuple[Part, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._stop()

    def start(self) -> None:
        """Starts all parts and returns when every one answers. Raises PartDied."""
        *before, processor = parts(self._layout)
        for part in before:
            self._launch(part)
        for part in before:
            self._wait(part)
        self._launch(processor)
        self._wait(processor)

    def pids(self) -> tuple[tuple[str, int], ...]:
        """The process id of each role."""
        return tuple((part.role, process.pid) for part, process in self._running)

    def watch(self) -> None:
        """Waits until a part ends, and raises PartDied."""
        while True:
            self.look()
            time.sleep(0.25)

    def look(self) -> None:
        """Raises PartDied when a part has ended."""
        for part, process in self._running:
            status = process.poll()
            if status is not None:
                how = f"exit status {status}"
                if status < 0:
                    how = f"signal {signal.Signals(-status).name}"
                raise PartDied(f"{part.role} ended ({how}).{self._tail(part.role)}")

    def _launch(self, part: Part) -> None:
        log = self._layout.folder / f"{part.role}.log"
        with open(log, "wb") as output:
            try:
                process = subprocess.Popen(
                    part.command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=self._layout.folder,
                    env=_environment(self._layout),
                    start_new_session=True,
                    # Safe, because the demo has no threads.
                    preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509
                )
            except OSError as error:
                raise PartDied(
                    f"{part.role} cannot be started: {part.command[0]}: {error.strerror}"
                ) from None
        self._running.append((part, process))

    def _wait(self, part: Part) -> None:
        deadline = time.monotonic() + STARTS
        last = ""
        while time.monotonic() < deadline:
            self.look()
            try:
                answer = httpx.get(part.up, timeout=5, trust_env=False)
                if answer.status_code == 200:
                    return
                last = f"it answers {answer.status_code} at {part.up}: {answer.text[:300]}"
            except httpx.HTTPError as error:
                last = f"{part.up}: {type(error).__name__}"
            time.sleep(0.1)
        raise PartDied(
            f"{part.role} did not start in {STARTS:.0f} s ({last}).{self._tail(part.role)}"
        )

    def _tail(self, role: str, lines: int = 15) -> str:
        """The end of a part's log, as the end of a message."""
        log = self._layout.folder / f"{role}.log"
        end: list[str] = []
        with suppress(OSError):
            end = log.read_text(errors="replace").splitlines()[-lines:]
        if not end:
            return " Its log is empty."
        return " The end of its log:\n" + "\n".join(f"  {line[:400]}" for line in end)

    def _stop(self) -> None:
        """Terminates all parts, waits for them together, and kills those that do not end in ENDS
        seconds, with the processes that they started.
        """
        processes = [process for _, process in reversed(self._running)]
        for process in processes:
            with suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + ENDS
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(deadline - time.monotonic(), 0.01))
        for process in processes:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._running.clear()


def _environment(layout: Layout) -> dict[str, str]:
    """The environment of this process, without variables that would send spans elsewhere or calls
    through a proxy, and with temporary files in the demo's folder.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "NANOIDP_")) and name.lower() not in PROXIES
    }
    # Absolute, because the parts run in another folder.
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH", ""))))
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONPATH": path, "TMPDIR": str(layout.folder)}


def _die_with(parent: int) -> Callable[[], None]:
    """Runs in a new process: has the kernel kill it when its parent ends."""

    def ask() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # The parent ended before the kernel was asked.
        if os.getppid() != parent:
            os._exit(1)

    return ask
