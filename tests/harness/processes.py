"""Programs that tests run: each in its own process group, with a log file, and surely stopped."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from harness.clients import LEAST, PATIENCE


def resident(pid: int) -> int:
    """The resident memory of a process in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid: int) -> int:
    """The number of open file descriptors of a process."""
    return len(os.listdir(f"/proc/{pid}/fd"))


class ProcessFailed(AssertionError):
    """A process ended or was not ready in time. The text has the end of its log."""


def wait_until(
    check: Callable[[], object], timeout: float = PATIENCE, what: str = "it", every: float = 0.02
) -> None:
    """Poll until `check` returns something true.

    AssertionError after `timeout` seconds, which must be at least LEAST.
    """
    assert timeout >= LEAST, (
        f"a wait of {timeout:g} s fails on a busy machine: no less than {LEAST:g}"
    )
    end = time.monotonic() + timeout
    while not check():
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout:g} s for {what}, in vain")
        time.sleep(every)


def wait_for_next_second() -> None:
    """Wait for the next second of the clock.

    Times in tokens and cookies are whole seconds.
    """
    begun = int(time.time())
    wait_until(lambda: int(time.time()) > begun, 60)


class Process:
    """A program that runs from now on.

    Its output is appended to `log`. It leads a process group. The kernel kills it when the thread
    that started it ends, so only the main thread arranges that.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name, self.log = name, log
        command = [str(word) for word in argv]
        if threading.current_thread() is threading.main_thread() and (
            setpriv := shutil.which("setpriv")
        ):
            command = [setpriv, "--pdeathsig", "KILL", "--", *command]
        with log.open("ab") as out:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **(env or {})},
                cwd=cwd,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs. If a signal ended it: minus the signal's number."""
        return self._popen.poll()

    @property
    def children(self) -> list[int]:
        """The pids of the processes that it started, from any of its threads."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.output().splitlines()[-lines:])

    def wait_ready(self, check: Callable[[], object], timeout: float = PATIENCE) -> Self:
        """Poll `check` until it is true.

        Raises ProcessFailed if the process ends before, or if the time is up, after stopping it.
        """
        assert timeout >= LEAST, (
            f"a wait of {timeout:g} s fails on a busy machine: no less than {LEAST:g}"
        )
        end = time.monotonic() + timeout
        while not check():
            if self.exit_code is not None:
                raise ProcessFailed(
                    f"{self.name} ended with {self.exit_code} before it was ready:\n{self.tail()}"
                )
            if time.monotonic() > end:
                self.kill()
                raise ProcessFailed(f"{self.name} was not ready in {timeout:g} s:\n{self.tail()}")
            time.sleep(0.03)
        return self

    def send(self, number: int) -> None:
        """Send a signal to the process alone, not to its group."""
        self._popen.send_signal(number)

    def wait(self, timeout: float = PATIENCE) -> int:
        return self._popen.wait(timeout)

    def stop(self, grace: float = 10) -> int:
        """Send SIGTERM to the group, and SIGKILL after `grace` seconds. Return the exit code.

        It may be called again.
        """
        self._signal_group(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(grace)
        return self.kill()

    def kill(self) -> int:
        """Send SIGKILL to the whole group, and return the exit code."""
        self._signal_group(signal.SIGKILL)
        return self._popen.wait(PATIENCE)

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
