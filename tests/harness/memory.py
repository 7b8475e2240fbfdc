"""A limit on a process's memory: the kernel kills a process that needs more.

with limited(256 << 20) as group: Process("extproc", [*group.within, ...])

It needs root, and a control group that can be made; otherwise the test is skipped.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness.downloads import missing
from harness.processes import wait_until

ROOT = Path("/sys/fs/cgroup")
# of each version: the folder, the file of the limit, the file of the peak
VERSIONS = (
    (ROOT / "memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes"),
    (ROOT, "memory.max", "memory.peak"),
)


@dataclass(frozen=True, slots=True)
class Group:
    folder: Path
    peak_file: str

    @property
    def within(self) -> Sequence[str]:
        """The words before a command that start it in this group."""
        return ("sh", "-c", 'echo $$ >"$0" && exec "$@"', str(self.folder / "cgroup.procs"))

    @property
    def peak(self) -> int:
        """The most memory in bytes that it had, including cached files."""
        return int((self.folder / self.peak_file).read_text())


@contextmanager
def limited(size: int) -> Iterator[Group]:
    """A control group with this limit in bytes."""
    for root, limit, peak in VERSIONS:
        folder = root / f"extproc-tests-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        if not (
            folder / limit
        ).exists():  # It is an ordinary folder, or memory is not counted there.
            folder.rmdir()
            continue
        try:
            with suppress(OSError):
                (folder / limit).write_text(str(size))
            if int((folder / limit).read_text()) != size:
                continue
            yield Group(folder, peak)
            return
        finally:
            wait_until(
                lambda folder=folder: not (folder / "cgroup.procs").read_text(),
                60,
                "its processes to end",
            )
            folder.rmdir()
    missing("memory cannot be limited: no control group can be made, which needs root")
