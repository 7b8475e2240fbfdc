"""Both bridges, so that one suite runs on each.

`run(body)` awaits `body(bridge)` on the asyncio side.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import trio

from extproc.ext_proc.bridge import Bridge, embedded, guest

Body = Callable[[Bridge], Awaitable[None]]


def run_embedded(body: Body) -> None:
    async def main() -> None:
        async with embedded() as bridge:
            await bridge.on_asyncio(partial(body, bridge))

    trio.run(main)


BRIDGES = {"guest": guest, "embedded": run_embedded}
