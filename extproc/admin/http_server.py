"""Serves the admin listener with hypercorn, on trio."""

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

GRACE = 1.0  # seconds that an answer under way has at the end


async def serve(
    app: ASGIApp,
    address: Address,
    *,
    ready: Callable[[Address], None] = lambda _: None,
    shutdown: trio.Event,
) -> None:
    """Serves an application on one address until `shutdown` is set; `ready` gets the address, with
    the port it has.

    Raises OSError when the address cannot be had. It installs no signal handler and keeps no access
    log, so it may run in a trio that is somebody's guest.
    """
    # by us: out of hypercorn's nurseries the error would come in several groups
    sock = _listening(address)
    bound = Address(host=address.host, port=sock.getsockname()[1])
    config = Config()
    config.bind = [f"fd://{sock.detach()}"]
    config.accesslog = None
    # an endpoint's exception goes where our log goes
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
    """That the admin address cannot be had, for the operator."""
    return f"admin: {address} cannot be bound: {getattr(error, 'strerror', None) or error}"


class _Started(trio.TaskStatus[list[str]]):
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
