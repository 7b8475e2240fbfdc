"""Endings of a TCP connection that a well-behaved program never causes."""

import asyncio
import socket
import struct

NO_LINGER = struct.pack("ii", 1, 0)


def reset_on_close(connection: socket.socket) -> None:
    """Make the next close of this socket a reset (RST) instead of an orderly end (FIN)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)


def reset(writer: asyncio.StreamWriter) -> None:
    """Reset an asyncio connection now. Raises OSError if its socket is closed already."""
    reset_on_close(writer.get_extra_info("socket"))
    writer.transport.abort()
