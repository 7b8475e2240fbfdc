"""Serves an ASGI application over HTTP with hypercorn, on trio."""

import logging
import socket
from collections.abc import Callable
from typing import cast

import trio
from hypercorn.config import Config
from hypercorn.trio import serve as hypercorn_serve
from hypercorn.typing import ASGIFramework
from starlette.types import ASGIApp

from extproc.addresses import Address

# Seconds that a response under way has at the end.
GRACE = 1.0


async def serve(
    app: ASGIApp,
    address: Address,
    *,
    ready: Callable[[Address], None] = lambda _: None,
    shutdown: trio.Event,
) -> None:
    """Serve an application on one address, without signal handlers and without an access log.

    So it may run in a trio that is a guest of another event loop.

    Args:
        app: the application.
        address: to bind; port 0 for any port.
        ready: called with the address, and the port that it has, once clients can connect.
        shutdown: ends it when it is set.

    Raises:
        OSError: the address cannot be bound.
    """
    # Bound here, because hypercorn's nurseries would wrap the error in several groups.
    sock = _listening(address)
    bound = Address(host=address.host, port=sock.getsockname()[1])
    config = Config()
    config.bind = [f"fd://{sock.detach()}"]
    config.accesslog = None
    # An endpoint's exception goes into the log of the processor.
    config.errorlog = logging.getLogger("extproc.http")
    config.errorlog.setLevel(logging.WARNING)
    config.graceful_timeout = config.shutdown_timeout = GRACE
    config.include_server_header = False
    await hypercorn_serve(
        cast(ASGIFramework, app),
        config,
        shutdown_trigger=shutdown.wait,
        task_status=_Started(lambda: ready(bound)),
    )


def cannot_bind(address: Address, error: Exception) -> str:
    """Explain to the operator that the admin address cannot be bound."""
    reason = error.strerror if isinstance(error, OSError) else None
    return f"admin: {address} cannot be bound: {reason or error}"


class _Started(trio.TaskStatus[list[str]]):
    """A task status that calls a function when hypercorn has started."""

    def __init__(self, then: Callable[[], None]) -> None:
        self._then = then

    def started(self, value: list[str] | None = None) -> None:
        self._then()


def _listening(address: Address) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address.host, address.port))
        sock.listen(128)
    except BaseException:
        sock.close()
        raise
    sock.setblocking(False)
    return sock
