"""Pages as pictures for the docs: SVG with the page's own DOM and style sheet.

    story(stack, context, start)    each page, with its name, in the order of the story
    drawn(page)                     the SVG of what the browser shows
    skeleton(svg)                   the SVG without what differs from run to run: ids, times,
                                    durations, and the order of simultaneous steps

A picture is text, so a test can make it again and compare. An <img> runs no script and loads
nothing, so pictures have neither scripts nor addresses.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import BrowserContext, Page

from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.processes import wait_until

FOLDER = Path(__file__).resolve().parents[2] / "docs/pictures"
WIDTHS = {"error": 640, "traces": 960, "trace": 960}
# The page as XML without links and scripts. The style sheet goes where SVG looks for one.
SERIALISED = """() => {
    const root = document.documentElement.cloneNode(true);
    for (const gone of root.querySelectorAll("script, meta, title, style, .skip, details:not([open]) > .details, option:not([selected])")) gone.remove();
    for (const each of root.querySelectorAll("*"))
        for (const name of ["href", "action", "for", "placeholder", "aria-describedby"]) {
            if (name !== "placeholder" || each.getAttribute("value")) each.removeAttribute(name);
        }
    return new XMLSerializer().serializeToString(root);
}"""
TAKEN = (
    "document.activeElement.blur(), [innerWidth, "
    "Math.ceil(document.documentElement.getBoundingClientRect().height)]"
)


def story(stack: Stack, context: BrowserContext, start: str) -> Iterator[tuple[str, Page]]:
    """Logins that fail, one after the other; the list of problems; the trace of the last failure.

    The trace is found by the id on the last user's page. Needs a FakeProvider without changes, and
    a browser without a session. The pages stay open.
    """
    provider, page, operator = stack.provider, context.new_page(), context.new_page()
    assert isinstance(provider, FakeProvider)
    page.set_viewport_size({"width": WIDTHS["error"], "height": 420})
    operator.set_viewport_size({"width": WIDTHS["traces"], "height": 300})
    page.goto(
        stack.url(start)
    )  # One login succeeds first, so that the processor knows the provider's keys.
    context.clear_cookies()
    page.goto(stack.url("/oauth2/callback?code=old&state=old"))
    provider.callback.update(code=None, error="access_denied")
    page.goto(stack.url(start))
    provider.callback.clear()
    provider.claims["nonce"] = "another"
    page.goto(stack.url(start))
    trace_id = page.inner_text("#trace")
    yield "error", page
    wait_until(lambda: _whole(stack, trace_id), 30, "the traces", every=0.2)
    operator.goto(f"{stack.admin}/traces")
    operator.check("text=Errors and refusals only")
    operator.click("text=Show")
    yield "traces", operator
    # as a user reads it out
    operator.fill("#id", " ".join(trace_id[at : at + 8] for at in range(0, 32, 8)))
    operator.keyboard.press("Enter")
    operator.wait_for_url(f"**/traces/{trace_id}")
    yield "trace", operator


def _whole(stack: Stack, trace_id: str) -> bool:
    """Wait for Envoy's spans, which come last.

    They are those of each refusal, and in one trace that of the processor's request to the
    provider.
    """

    def read(path: str) -> Any:
        return httpx.get(f"{stack.admin}{path}", trust_env=False).json()

    wrong = read("/traces.json?errors=1")["traces"]
    spans = Counter(span["name"] for span in read(f"/traces/{trace_id}.json").get("spans", ()))
    return len(wrong) == 3 and all("://" in one["request"] for one in wrong) and spans["idp"] == 3


def drawn(page: Page) -> str:
    """The page as it stands, at its own width.

    Media queries by width and units of the window are resolved, because in an <img> they would
    depend on the size at which the picture is shown. The light and dark schemes stay.
    """
    width, height = page.evaluate(TAKEN)
    style = page.evaluate("document.querySelector('style').textContent")
    style = re.sub(r"@media ?\(max-width[^{]*\{(?:[^{}]*\{[^{}]*\})*\s*\}", "", style)
    style = re.sub(
        r"([\d.]+)v([wh])",
        lambda unit: f"{float(unit[1]) * (width if unit[2] == 'w' else height) / 100:g}px",
        style,
    )
    dom = re.sub(r"(localhost|127\.0\.0\.1):\d+", r"\1:8080", page.evaluate(SERIALISED))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">\n'
        f"<style>{style}\nhtml{{display:block;min-height:100%;background:var(--back,var(--paper))}} "
        ""
        ""
        ""
        ""
        "svg:root{border:0;width:auto;height:auto}</style>\n"
        f'<foreignObject width="{width}" height="{height}">{_lines(dom)}</foreignObject>\n</svg>\n'
    )


def _lines(dom: str) -> str:
    """One line for each element that begins a part of the page, so that diffs can be read."""
    return re.sub(
        r"(?=<(?:body|header|main|section|h1|h2|p|ul|ol|li|table|tr|dl|form|details)\b)", "\n", dom
    )


def skeleton(svg: str) -> list[str]:
    text = re.sub(r"\b[0-9a-f]{32}\b|\b[0-9a-f]{16}\b", "ID", svg)
    text = re.sub(r"[\d.,]+\s*(ns|µs|ms|s)\b", "DURATION", text)
    return sorted(re.sub(r"[\d.]+", "N", text).splitlines())
