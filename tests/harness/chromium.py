"""Real Chromium, by Playwright, also in a process in which trio-asyncio was imported."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import (
    BrowserContext,
    Error,
    Page,
    Playwright,
    Response,
    sync_playwright,
)

from harness.downloads import found
from harness.gateway import Stack

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def browser(
    stack: Stack, *flags: str, back_forward_cache: bool = False
) -> Iterator[BrowserContext]:
    """A new profile that accepts the stack's certificate.

    Args:
        stack: the gateway.
        flags: more command-line options.
        back_forward_cache: whether the browser keeps whole pages for Back, as people's do.
            Playwright switches that off.
    """
    trust = [f"--ignore-certificate-errors-spki-list={stack.fingerprint}"] if stack.tls else []
    chromium = found("EXTPROC_CHROMIUM", "Chromium")
    with playwright() as started:
        unwanted = ["--disable-back-forward-cache"] if back_forward_cache else None
        running = started.chromium.launch(
            executable_path=chromium, args=[*FLAGS, *trust, *flags], ignore_default_args=unwanted
        )
        context = running.new_context()
        context.set_default_timeout(60_000)
        yield context
        context.close()
        running.close()


@contextmanager
def profile(context: BrowserContext, timeout: float = 60) -> Iterator[BrowserContext]:
    """Another new profile in the browser of this one, without its cookies and its cache.

    timeout: seconds for each of its operations.
    """
    assert context.browser is not None
    fresh = context.browser.new_context()
    fresh.set_default_timeout(1000 * timeout)
    yield fresh
    fresh.close()


def visit(page: Page, address: str) -> Response | None:
    """Opens an address, once more if an address of the machine has changed meanwhile.

    Chromium then aborts HTTP/2 requests. Containers of another test on this machine are enough.
    """
    for _ in range(5):
        try:
            return page.goto(address)
        except Error as error:
            if "ERR_NETWORK_CHANGED" not in str(error):
                raise
    raise AssertionError(f"the machine's network changes all the time: {address}")


@contextmanager
def playwright() -> Iterator[Playwright]:
    """Playwright on one of asyncio's own event loops.

    trio-asyncio, once imported, makes every new event loop one of its own, and Playwright cannot
    run on those.
    """
    policy = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
    try:
        with sync_playwright() as started:
            yield started
    finally:
        asyncio.set_event_loop_policy(policy)
