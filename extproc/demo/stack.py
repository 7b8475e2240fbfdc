"""The demo's processes: started in order, waited for, watched, and ended together.

Each is a session of its own, so that Ctrl-C reaches us alone and we end them in order; and each
asks the kernel to be killed when we are, so that nothing is left even after `kill -9`. That request
holds for the thread that started them: hence no threads here.
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

from extproc.demo.files import Layout
from extproc.envoyconfig import find_envoy

STARTS = 60.0  # seconds that a part may take to answer; a machine under load takes some
ENDS = 6.0  # and to end, before it is killed
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)  # loaded here: between fork and exec is no place for it


class PartDied(Exception):
    """A part ended by itself or did not come up; the text says which, and has the end of its
    log.
    """


@dataclass(frozen=True, slots=True)
class Part:
    """One process: its role, how it is started, and an address that answers 200 once it is up."""

    role: str
    command: tuple[str, ...]
    up: str


def parts(layout: Layout) -> tuple[Part, ...]:
    """All parts. The processor is last: it may start whenever it likes, but earlier it would first
    find no provider.
    """
    python = (sys.executable, "-m")
    spans = f"{layout.admin}v1/traces"
    # the envoy of this Python's own environment first: the version that this was tested with
    envoy = shutil.which("envoy", path=str(Path(sys.executable).parent)) or str(
        find_envoy() or "envoy"
    )
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


# one worker, as the design wants it shown; no hot restart, whose shared memory two demos would
# fight over; logs and spans at once instead of after seconds
ENVOY = (
    *("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"),
    *("--file-flush-interval-msec", "200"),
    "--config-yaml",
    "{layered_runtime: {layers: [{name: demo, static_layer: {tracing.opentelemetry."
    "flush_interval_ms: 300, tracing.opentelemetry.min_flush_spans: 1}}]}}",
)


class Stack:
    """The processes of one layout. Leaving the context ends whatever was started."""

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
        """Starts all parts and returns when each of them answers. Raises PartDied."""
        *before, processor = parts(self._layout)
        for part in before:
            self._launch(part)
        for part in before:
            self._wait(part)
        self._launch(processor)
        self._wait(processor)

    def pids(self) -> tuple[tuple[str, int], ...]:
        return tuple((part.role, process.pid) for part, process in self._running)

    def watch(self) -> None:
        """Returns never; raises PartDied when a part ends."""
        while True:
            self.look()
            time.sleep(0.25)

    def look(self) -> None:
        """Raises PartDied when a part has ended."""
        for part, process in self._running:
            status = process.poll()
            if status is not None:
                how = (
                    f"signal {signal.Signals(-status).name}"
                    if status < 0
                    else f"exit status {status}"
                )
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
                    preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509  # there are no threads here
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
            f"{part.role} did not come up in {STARTS:.0f} s ({last}).{self._tail(part.role)}"
        )

    def _tail(self, role: str, lines: int = 15) -> str:
        with suppress(OSError):
            end = (
                (self._layout.folder / f"{role}.log")
                .read_text(errors="replace")
                .splitlines()[-lines:]
            )
            if end:
                return " The end of its log:\n" + "\n".join(f"  {line[:400]}" for line in end)
        return " Its log is empty."

    def _stop(self) -> None:
        """All are told before any is waited for; what does not end in time is killed, with what it
        may have started.
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
    """Ours, without what would send spans elsewhere or calls through a proxy; caches and homes in
    the demo's folder.
    """
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("OTEL_", "NANOIDP_")) and k.lower() not in PROXIES
    }
    # they run in another folder: a relative PYTHONPATH would not do
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH", ""))))
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONPATH": path, "TMPDIR": str(layout.folder)}


PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def _die_with(parent: int) -> Callable[[], None]:
    def ask() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it went before we asked
            os._exit(1)

    return ask
