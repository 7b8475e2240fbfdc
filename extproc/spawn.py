"""A worker as a process of its own: started afresh (no fork, nothing inherited), and the socket by which one speaks to it."""

import os
import signal
import socket
import sys
from typing import Protocol

import trio

from extproc.channel import LONGEST, Message, decode, encode


class Handle(Protocol):
    """A worker that runs, and the supervisor's end of the channel. In trio."""

    pid: int

    async def send(self, message: Message) -> None:
        """Says something; nothing happens when nobody listens any more."""

    async def receive(self) -> Message | None:
        """What it says next; None when it will say nothing any more."""

    async def wait(self) -> int:
        """Its exit status, minus the signal's number when one ended it."""

    def kill(self) -> None:
        """Ends it now."""


async def launch() -> Handle:
    """Starts `python -m extproc.worker`, with this program's own module path. Raises OSError."""
    ours, theirs = socket.socketpair()
    with theirs:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        command = [sys.executable, "-P", "-m", "extproc.worker"]
        try:
            process = await trio.lowlevel.open_process(command, stdin=theirs.fileno(), env=environment)
        except BaseException:
            ours.close()
            raise
    return _Process(process, trio.SocketStream(trio.socket.from_stdlib_socket(ours)))


class _Process:
    def __init__(self, process: trio.Process, stream: trio.SocketStream) -> None:
        self.pid = process.pid
        self._process, self._stream = process, stream
        self._sending = trio.Lock()
        self._read = bytearray()

    async def send(self, message: Message) -> None:
        try:
            async with self._sending:
                await self._stream.send_all(encode(message))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # its end is seen elsewhere

    async def receive(self) -> Message | None:
        while (end := self._read.find(b"\n")) < 0:
            try:
                some = await self._stream.receive_some(65536)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return None
            if not some or len(self._read) > LONGEST:
                return None
            self._read += some
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
    """An exit status in words."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
