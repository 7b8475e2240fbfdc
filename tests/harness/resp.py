"""A server on loopback that speaks RESP, with replies that a test chooses: for what no real server
says on demand.
"""

import contextlib
import re
from collections.abc import AsyncIterator, Callable

import trio

from extproc.addresses import Address

HELLO = b"%3\r\n$5\r\nproto\r\n:3\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$2\r\nid\r\n:1\r\n"
# The reply to a command (RESP), given its words, the first in capitals; None: the server hangs up.
Replies = Callable[[list[bytes]], bytes | None]


@contextlib.asynccontextmanager
async def serving(replies: Replies) -> AsyncIterator[Address]:
    """Serve in this trio; HELLO is answered as every server does."""

    async def answer(stream: trio.SocketStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            async with contextlib.aclosing(commands(stream)) as received:
                async for words in received:
                    reply = HELLO if words[0] == b"HELLO" else replies(words)
                    if reply is None:
                        return
                    await stream.send_all(reply)

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, answer, listeners)
        yield Address("127.0.0.1", listeners[0].socket.getsockname()[1])
        nursery.cancel_scope.cancel()


async def commands(stream: trio.SocketStream) -> AsyncIterator[list[bytes]]:
    """The words of each command that a client sends, however they come in pieces (RESP: arrays of
    bulk strings).
    """
    unread = b""
    async for data in stream:
        unread += data
        while (array := re.match(rb"\*(\d+)\r\n", unread)) is not None:
            words, at = [], array.end()
            while (
                len(words) < int(array[1])
                and (length := re.compile(rb"\$(\d+)\r\n").match(unread, at)) is not None
            ):
                at = length.end() + int(length[1]) + 2
                words.append(unread[length.end() : at - 2])
            if len(words) < int(array[1]) or at > len(unread):
                break
            unread = unread[at:]
            yield [words[0].upper(), *words[1:]]


def bulk(*values: bytes | None) -> bytes:
    """An array of bulk strings, as RESP 3 has it."""
    return b"*%d\r\n" % len(values) + b"".join(map(_bulk, values))


def _bulk(value: bytes | None) -> bytes:
    return b"_\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)
