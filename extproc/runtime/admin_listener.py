"""The admin listener of a process: restarted after errors, with an application that can be
replaced while it serves.
"""

from collections.abc import Callable

import trio
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from extproc import background
from extproc.addresses import Address
from extproc.admin import http_server


class CannotServeAdmin(Exception):
    """The admin address cannot be bound. The text is for the operator."""


class AdminListener:
    """Serves on one address until it is closed. Lives in trio.

    app: the application that answers; another one can be assigned at any time.
    """

    def __init__(self, address: Address, app: Starlette, mode: int = 0o600) -> None:
        """mode: the access rights of a unix socket."""
        self.app = app
        self._address = address
        self._mode = mode
        self._bound = False
        self._closed = trio.Event()

    async def serve(self, started: Callable[[], None]) -> None:
        """Serves until `close`, and again after errors.

        started: called once, when the address is bound for the first time.

        Raises:
            CannotServeAdmin: the address cannot be bound the first time.
        """
        failed: Exception | None = None

        def ready(_: Address) -> None:
            if not self._bound:
                self._bound = True
                started()

        async def work() -> None:
            nonlocal failed
            try:
                await http_server.serve(
                    self._answer,
                    self._address,
                    ready=ready,
                    shutdown=self._closed,
                    mode=self._mode,
                )
            except Exception as error:
                if self._bound:
                    raise
                failed = error

        await background.keep("admin", work)
        if failed is not None:
            raise CannotServeAdmin(http_server.cannot_bind(self._address, failed)) from None

    def close(self) -> None:
        """Ends `serve`; answers that are being written may finish."""
        self._closed.set()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)
