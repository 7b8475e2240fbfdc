"""Event loop lag: how late timers fire, and so how long one busy task keeps all others waiting.

asyncio and trio share a thread; each is measured by its own timers.
"""

import asyncio

import trio

from extproc.metrics import Metrics

EVERY = 0.5  # seconds


async def of_asyncio(metrics: Metrics) -> None:
    """Measure on the asyncio side until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + EVERY
        await asyncio.sleep(EVERY)
        metrics.lagged("asyncio", loop.time() - due)


async def of_trio(metrics: Metrics) -> None:
    """Measure in trio until cancelled."""
    while True:
        due = trio.current_time() + EVERY
        await trio.sleep_until(due)
        metrics.lagged("trio", trio.current_time() - due)
