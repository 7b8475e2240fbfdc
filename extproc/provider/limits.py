"""How many connections to one provider are being made at once, TLS handshakes included. Runs in trio.

A burst of logins that all connect at the same moment takes the CPU from everything else, and from the provider. Whoever finds no
place waits for one, first come first served, inside the deadline of its own call.
"""

from collections.abc import Mapping
from typing import cast

import trio

from extproc.provider.turnstile import Turnstile


class Connecting:
    """httpcore's `trace` of one request: from its connect, if it makes one, until it sends its head, it holds a place.

    Places are a provider's own, so that waiting for one provider starves no other. Call `over` when the request ends, however.
    An answer passes the turnstile before anything is done with it.
    """

    __slots__ = ("_holds", "_places", "_stream", "_turnstile")

    def __init__(self, places: trio.Semaphore, turnstile: Turnstile) -> None:
        self._places, self._turnstile = places, turnstile
        self._holds = False
        self._stream: trio.abc.AsyncResource | None = None

    async def __call__(self, event: str, info: Mapping[str, object]) -> None:
        if event == "connection.connect_tcp.started" and not self._holds:
            await self._places.acquire()
            self._holds = True
        elif event == "connection.connect_tcp.complete":
            self._stream = cast(trio.abc.AsyncResource, info["return_value"])
        elif event.endswith(".send_request_headers.started"):
            self._connected()
        elif event.endswith(".receive_response_headers.complete"):
            await self._turnstile()

    def _connected(self) -> None:
        self._stream = None
        if self._holds:
            self._holds = False
            self._places.release()

    async def over(self) -> None:
        stream = self._stream
        self._connected()
        if stream is not None:  # httpcore leaves the socket of a cancelled handshake to the garbage collector
            with trio.CancelScope(shield=True):
                await stream.aclose()
