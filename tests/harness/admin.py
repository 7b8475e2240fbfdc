"""The admin listener alone, on a real port, with traces that a test provides."""

import contextlib
from collections.abc import AsyncIterator

import trio

from extproc.addresses import Address
from extproc.admin.app import application
from extproc.admin.http_server import serve
from extproc.traces import TraceStore

LOOPBACK = Address(host="127.0.0.1", port=0)


async def _ready() -> tuple[tuple[str, str], ...]:
    return ()


@contextlib.asynccontextmanager
async def served(
    traces: TraceStore, address: Address = LOOPBACK, mode: int = 0o600
) -> AsyncIterator[str]:
    """The address of the admin, while it runs in the caller's trio.

    Args:
        traces: what it shows.
        address: where it listens.
        mode: the access rights of a unix socket.
    """
    app = application(readiness=_ready, jwks="{}", traces=traces)
    shutdown, ready = trio.Event(), trio.Event()
    addresses: list[Address] = []

    def bound(address: Address) -> None:
        addresses.append(address)
        ready.set()

    async def work() -> None:
        await serve(app, address, ready=bound, shutdown=shutdown, mode=mode)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        await ready.wait()
        yield str(addresses[0]) if address.path else f"http://{addresses[0]}"
        shutdown.set()
