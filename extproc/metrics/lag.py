"""How late timers fire: what one busy loop makes everybody on it wait. asyncio and trio share a
thread, and see it each in its own way.
"""

import asyncio

import trio

from extproc.metrics import Metrics

EVERY = 0.5  # seconds


async def of_asyncio(metrics: Metrics) -> None:
    """Until it is cancelled, on the asyncio side."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + EVERY
        await asyncio.sleep(EVERY)
        metrics.lagged("asyncio", loop.time() - due)


async def of_trio(metrics: Metrics) -> None:
    """Until it is cancelled, in trio."""
    while True:
        due = trio.current_time() + EVERY
        await trio.sleep_until(due)
        metrics.lagged("trio", trio.current_time() - due)
