"""The trace pages in Chromium: nothing overflows a phone or a wide screen, and a keyboard is enough."""

from dataclasses import replace

import pytest
import trio
from harness import spans
from harness.admin import served
from harness.chromium import playwright, visit
from harness.downloads import found
from playwright.sync_api import Page

from extproc.traces import Link, TraceStore

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
]
LONG = "GET /" + "a-long-segment-that-does-not-end/" * 12
CALLBACK = f"/traces/{spans.TRACE}"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
FOCUS = "[document.activeElement.tagName, getComputedStyle(document.activeElement).outlineStyle]"


@pytest.fixture
def store():
    store = TraceStore()
    redirect = spans.span(
        1,
        0,
        "envoy",
        LONG,
        -900,
        -890,
        kind="server",
        trace_id="1" * 32,
        attributes=spans.http("GET", LONG[4:], 303),
    )
    callback = [
        replace(span, links=(Link("1" * 32, redirect.span_id),))
        if span.name == "ext_proc callback"
        else span
        for span in spans.callback()
    ]
    store.add((redirect, *callback, *spans.fast_path()))
    return store


def check_pages(base: str, width: int, scheme: str) -> None:
    """Open every page with all its spans, at this width in pixels and in this colour scheme."""
    with playwright() as started:
        browser = started.chromium.launch(
            executable_path=found("EXTPROC_CHROMIUM", "Chromium"), args=FLAGS
        )
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
        console: list[str] = []
        page.on("console", lambda message: console.append(message.text))
        for path in ("/traces", "/traces?errors=1", CALLBACK, "/traces/" + "1" * 32):
            visit(page, base + path)
            for summary in page.locator("summary").all():
                summary.click()
            assert page.evaluate(OVERFLOW) == 0, path
        # the content security policy blocks nothing that the pages need
        assert console == []
        check_keyboard(page, base)
        browser.close()


def check_keyboard(page: Page, base: str) -> None:
    """Find a trace by its id from the list, skip the head of its page, and open a span."""
    visit(page, f"{base}/traces")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for _ in range(2):
        page.keyboard.press("Tab")
        assert page.evaluate(FOCUS)[1] != "none"
    if page.evaluate(FOCUS)[0] != "INPUT":
        page.keyboard.press("Tab")
    page.keyboard.type(" ".join(spans.TRACE[at : at + 8] for at in range(0, 32, 8)))
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{CALLBACK}")
    for role in (page.get_by_role("main"), page.get_by_role("search")):
        assert role.count() == 1
    assert page.get_by_role("heading", level=1).count() == 1
    # the first link skips the head of the page
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    while page.evaluate(FOCUS)[0] != "SUMMARY":
        page.keyboard.press("Tab")
        assert page.evaluate(FOCUS)[0] != "BODY"
    assert page.evaluate(FOCUS)[1] != "none"
    page.keyboard.press("Enter")
    assert page.locator("details[open]").count() == 1


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (1600, "dark")])
async def test_the_trace_pages_fit_any_screen_and_need_no_mouse(store, width, scheme):
    async with served(store) as base:
        await trio.to_thread.run_sync(check_pages, base, width, scheme)
