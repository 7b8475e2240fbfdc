"""Both bridges, so that one suite runs on each.

`run(body)` awaits `body(bridge)` on the asyncio side.
"""

from collections.abc import Awaitable, Callable

import trio

from extproc.ext_proc.bridge import Bridge, embedded, guest

Body = Callable[[Bridge], Awaitable[None]]


def run_embedded(body: Body) -> None:
    trio.run(embedded, body)


BRIDGES = {"guest": guest, "embedded": run_embedded}
