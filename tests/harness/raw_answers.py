"""Answers of a FakeServer byte by byte, for what no well-behaved server sends.

An answer is a script: a list of steps that are carried out in order, after which the server closes
the connection.

[HEAD, b"{", HANG]                       # headers and the first byte, then nothing
[*drip(whole, every=0.05)]               # one byte at a time
[head(2_000_000), Endless(b"x" * 65536)] # a body without an end
[b"HTTP/1.1 200 OK\\r\\n", RESET]        # a reset in the middle
"""

import asyncio
import gzip
from collections.abc import Iterator
from dataclasses import dataclass

from harness import sockets


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class Endless:
    """Send these bytes again and again, until the client closes the connection."""

    data: bytes


class _Reset: ...


RESET = _Reset()
HANG = Pause(3600)
Script = list[bytes | Pause | Endless | _Reset]


def head(
    length: int | None = None, *lines: str, status: str = "200 OK", kind: str = "application/json"
) -> bytes:
    """The status line and headers of an answer. Without `length` there is no Content-Length."""
    head = [f"HTTP/1.1 {status}", f"content-type: {kind}", *lines]
    if length is not None:
        head.append(f"content-length: {length}")
    return "\r\n".join([*head, "", ""]).encode("latin-1")


def drip(data: bytes, every: float) -> Iterator[bytes | Pause]:
    """Steps that send one byte every so many seconds."""
    for byte in data:
        yield from (bytes([byte]), Pause(every))


def gzip_bomb(size: int) -> bytes:
    """A gzip body of a thousandth of `size` bytes that inflates to `size` bytes."""
    return gzip.compress(b"{" + b" " * size, 9)


async def play(script: Script, writer: asyncio.StreamWriter) -> None:
    """Carry out the steps on this connection."""
    for step in script:
        match step:
            case bytes():
                writer.write(step)
                await writer.drain()
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Endless(data):
                while not writer.is_closing():
                    writer.write(data)
                    await writer.drain()
                    await asyncio.sleep(0)
            case _:
                sockets.reset(writer)
                return
