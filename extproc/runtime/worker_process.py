"""The process of a worker: a new program, not a fork, that inherits nothing but a socket to its
supervisor.
"""

import os
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Protocol

import trio

from extproc.runtime.control import LONGEST, Message, decode, encode

# What a worker reads of the environment, or a library in it: Python, OpenTelemetry, gRPC, OpenSSL,
# the C library, and proxies where a provider's `trust_env` says so. A worker has its settings, and
# every secret, from its socket: the variables from which the supervisor filled the settings in, and
# whatever else the environment holds, must not be readable in a second process.
_INHERITED = frozenset(
    {
        *("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TZDIR", "TMPDIR", "TERM", "NO_COLOR"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "OPENSSL_CONF", "RES_OPTIONS", "LOCALDOMAIN"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    }
)
_INHERITED_PREFIXES = ("LC_", "PYTHON", "OTEL_", "GRPC_", "LD_", "MALLOC_", "GLIBC_", "COVERAGE_")


class WorkerHandle(Protocol):
    """A process that runs, and the supervisor's end of its stream. Lives in trio."""

    pid: int

    async def send(self, message: Message) -> None:
        """Sends a message. Does nothing if the worker no longer reads."""

    async def receive(self) -> Message | None:
        """The next message; None if the stream has ended."""

    async def wait(self) -> int:
        """Waits for the end. Returns the exit status, or minus the number of the signal."""

    def kill(self) -> None:
        """Ends the process now."""


async def launch() -> WorkerHandle:
    """Starts `python -m extproc.runtime.worker` with the module path of this program.

    Raises OSError.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        environment = inherited(os.environ) | {
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)
        }
        command = [sys.executable, "-P", "-m", "extproc.runtime.worker"]
        try:
            process = await trio.lowlevel.open_process(
                command, stdin=theirs.fileno(), env=environment
            )
        except BaseException:
            ours.close()
            raise
    return _Process(process, trio.SocketStream(trio.socket.from_stdlib_socket(ours)))


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that a worker gets: none by which settings get their secrets."""
    return {
        name: value
        for name, value in environment.items()
        if name.upper() in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }


class _Process:
    def __init__(self, process: trio.Process, stream: trio.SocketStream) -> None:
        self.pid = process.pid
        self._process = process
        self._stream = stream
        self._sending = trio.Lock()
        self._read = bytearray()

    async def send(self, message: Message) -> None:
        try:
            async with self._sending:
                await self._stream.send_all(encode(message))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # `receive` and `wait` report the end.
            pass

    async def receive(self) -> Message | None:
        while (end := self._read.find(b"\n")) < 0:
            try:
                received = await self._stream.receive_some(65536)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return None
            if not received or len(self._read) > LONGEST:
                return None
            self._read += received
        line = bytes(self._read[:end])
        del self._read[: end + 1]
        return decode(line)

    async def wait(self) -> int:
        code = await self._process.wait()
        await self._stream.aclose()
        return code

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()


def how(code: int) -> str:
    """An exit status in words: `exit status 3`, or `signal SIGKILL`."""
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        # Of the real-time signals only two have names.
        return f"signal {-code}"
