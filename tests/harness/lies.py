"""Answers that a decent server never gives: a script of what goes on the wire, step by step, until
the connection is closed.

[HEAD, b"{", HANG]                       # headers and the first byte, then nothing
[*drip(whole, every=0.05)]               # a byte now and then
[head(2_000_000), Endless(b"x" * 65536)] # a body without end
[b"HTTP/1.1 200 OK\\r\\n", RESET]        # a reset in the middle
"""

import asyncio
import gzip
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class Endless:
    """The same bytes until the reader leaves."""

    data: bytes


class _Reset: ...


RESET = _Reset()
HANG = Pause(3600)
Script = list[bytes | Pause | Endless | _Reset]


# what an HTTP client, a resolver or an IDNA codec chokes on, or refuses
BAD_URLS = (
    "https://999.1.1.1/x", "https://1.2.3/x", "https://0x7f.1/x", "https://[v1.a]/x", "https://[x", "https://[::1/x", "https://[fe80::1%25eth0]/x",
    "https://xn--/x", "https://xn--a-ecp.ru/x", "https://a.xn--a-ecp.ru/x", "https://xn--xn--a/x", "https://" + "a" * 64 + "/x",
    "https://" + "a." * 127 + "example/x", "https://idp..example/x", "https://.example/x", "https:///x", "https://-a-/x", "https://a b/x",
    "https://a:99999/x", "https://a:b/x", "https://a:0/x", "https://a:-1/x", "https://user@a/x", "https://a%zz/x", "https://\u00e9/x",
    "https://a\x00/x", "https:/x", "//a/x", "/x", "", "file:///etc/passwd", "https://a/x#y", "https://a\\@b/x",
)  # fmt: skip


def head(
    length: int | None = None, *lines: str, status: str = "200 OK", kind: str = "application/json"
) -> bytes:
    said = [f"HTTP/1.1 {status}", f"content-type: {kind}", *lines]
    if length is not None:
        said.append(f"content-length: {length}")
    return "\r\n".join([*said, "", ""]).encode("latin-1")


def drip(data: bytes, every: float) -> Iterator[bytes | Pause]:
    for byte in data:
        yield from (bytes([byte]), Pause(every))


def gzip_bomb(size: int) -> bytes:
    """Inflates to so many bytes, a thousand times its own."""
    return gzip.compress(b"{" + b" " * size, 9)


async def play(script: Script, writer: asyncio.StreamWriter) -> None:
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
                linger = struct.pack("ii", 1, 0)  # close is a reset
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, linger
                )
                writer.transport.abort()
                return
