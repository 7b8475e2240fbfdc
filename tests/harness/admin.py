"""The admin listener alone, on a real port, with traces that a test provides."""

import contextlib
from collections.abc import AsyncIterator

import trio

from extproc.addresses import Address
from extproc.admin.app import application
from extproc.admin.http_server import serve
from extproc.traces import TraceStore


async def _ready() -> tuple[tuple[str, str], ...]:
    return ()


@contextlib.asynccontextmanager
async def served(traces: TraceStore) -> AsyncIterator[str]:
    """The address of the admin, while it runs in the caller's trio."""
    app = application(readiness=_ready, jwks="{}", traces=traces)
    shutdown, ready = trio.Event(), trio.Event()
    addresses: list[Address] = []

    def bound(address: Address) -> None:
        addresses.append(address)
        ready.set()

    async def work() -> None:
        await serve(app, Address(host="127.0.0.1", port=0), ready=bound, shutdown=shutdown)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        await ready.wait()
        yield f"http://{addresses[0]}"
        shutdown.set()
