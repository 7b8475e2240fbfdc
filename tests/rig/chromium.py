"""Playwright beside trio-asyncio."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Playwright, sync_playwright


@contextmanager
def playwright() -> Iterator[Playwright]:
    """On a loop of asyncio's own: trio-asyncio, once somebody has imported it, gives one of its own to whoever asks for a new one."""
    policy = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
    try:
        with sync_playwright() as started:
            yield started
    finally:
        asyncio.set_event_loop_policy(policy)
