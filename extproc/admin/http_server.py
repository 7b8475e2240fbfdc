"""Serves an ASGI application over HTTP with hypercorn, on trio."""

import logging
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import trio
from hypercorn.config import Config
from starlette.types import ASGIApp

from extproc.addresses import Address
from extproc.admin.connections import Connections

# Seconds that a response under way has at the end.
GRACE = 1.0
_BACKLOG = 128


async def serve(
    app: ASGIApp,
    address: Address,
    *,
    ready: Callable[[Address], None] = lambda _: None,
    shutdown: trio.Event,
    mode: int = 0o600,
) -> None:
    """Serve an application on one address, without signal handlers and without an access log.

    So it may run in a trio that is a guest of another event loop.

    Args:
        app: the application.
        address: to bind; port 0 for any port.
        ready: called with the address, and the port that it has, once clients can connect.
        shutdown: ends it when it is set.
        mode: access rights of a unix socket.

    Raises:
        OSError: the address cannot be bound.
    """
    # Bound here, because a nursery would wrap the error in a group.
    with _listening(address, mode) as sock:
        await _serve_on(sock, app, address, ready, shutdown)


async def _serve_on(
    sock: socket.socket,
    app: ASGIApp,
    address: Address,
    ready: Callable[[Address], None],
    shutdown: trio.Event,
) -> None:
    bound = address
    if address.path is None:
        bound = Address(host=address.host, port=sock.getsockname()[1])
    config = Config()
    config.accesslog = None
    # An endpoint's exception goes into the log of the processor.
    config.errorlog = logging.getLogger("extproc.http")
    config.errorlog.setLevel(logging.WARNING)
    config.include_server_header = False
    connections = Connections(app, config)
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
    async with trio.open_nursery() as open_connections:
        async with trio.open_nursery() as accepting:
            accept = partial(
                trio.serve_listeners,
                connections.serve,
                [listener],
                handler_nursery=open_connections,
            )
            await accepting.start(accept)
            ready(bound)
            await shutdown.wait()
            accepting.cancel_scope.cancel()
        await connections.terminate()
        open_connections.cancel_scope.deadline = trio.current_time() + GRACE


def cannot_bind(address: Address, error: Exception) -> str:
    """Explain to the operator that the admin address cannot be bound."""
    reason = error.strerror if isinstance(error, OSError) else None
    return f"admin: {address} cannot be bound: {reason or error}"


@contextmanager
def _listening(address: Address, mode: int) -> Iterator[socket.socket]:
    """A socket that listens. A unix socket's file is gone after the block."""
    if address.path is None:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        with socket.socket(family) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((address.host, address.port))
            sock.listen(_BACKLOG)
            sock.setblocking(False)
            yield sock
        return
    with socket.socket(socket.AF_UNIX) as sock:
        inode = _bind_unix(sock, address.path, mode)
        try:
            sock.listen(_BACKLOG)
            sock.setblocking(False)
            yield sock
        finally:
            # Another process may have made a socket of its own there in the meantime.
            with suppress(OSError):
                if os.lstat(address.path).st_ino == inode:
                    os.unlink(address.path)


def _bind_unix(sock: socket.socket, path: str, mode: int) -> int:
    """Bind a unix socket with its access rights, and return the inode of its file.

    The file is made with its rights: if they were changed later, any user could connect in between.
    """
    _remove_if_left_behind(path)
    before = os.umask(0o777 & ~mode)
    try:
        sock.bind(path)
    finally:
        os.umask(before)
    return os.lstat(path).st_ino


def _remove_if_left_behind(path: str) -> None:
    """Remove the socket of a process that was killed; a file, or a socket in use, stays."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        # A full queue of connections is a socket in use, and not a reason to wait.
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except OSError:
            return
