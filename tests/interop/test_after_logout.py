"""Chromium after a logout: what it has kept of the application's pages (finding 53).

The application lets browsers keep its page for ten minutes. Each test looks at what reaches the
application: a page from the cache reaches nothing.
"""

from collections.abc import Iterator

import pytest
from harness.siblings import APP, Siblings
from playwright.sync_api import Page

KEPT = "/report?echo-cache=600"


@pytest.fixture(scope="module", params=["cache", "off"])
def stack(request: pytest.FixtureRequest) -> Iterator[Siblings]:
    with Siblings(settings={"session": {"clear_site_data": request.param}}) as running:
        yield running


@pytest.fixture
def page(stack: Siblings) -> Iterator[Page]:
    """A page of alice's that the browser has kept, in a browser that is signed out by now."""
    with stack.chromium() as context:
        page = context.new_page()
        page.goto(stack.url(KEPT))
        assert '"alice"' in page.inner_text("body")
        page.goto(stack.url("/oauth2/logout"))
        assert not [c for c in context.cookies() if "extproc-session" in c["name"]]
        stack.app.requests.clear()
        yield page


def is_asked_for(stack: Siblings, target: str) -> bool:
    return target in [one.target for one in stack.app.requests]


@pytest.mark.threat("ended-session")
def test_a_link_to_a_page_that_was_kept_asks_for_it_again(stack: Siblings, page: Page) -> None:
    page.evaluate("address => { location.href = address }", stack.url(KEPT))
    page.wait_for_url(f"https://{APP}:*/report*")
    page.wait_for_load_state()
    # Without the setting the browser shows what it has: the check could fail.
    assert is_asked_for(stack, KEPT) == (stack.settings["session"]["clear_site_data"] == "cache")


@pytest.mark.threat("ended-session")
def test_back_asks_for_the_page_again(stack: Siblings, page: Page) -> None:
    page.go_back()
    page.wait_for_url(f"https://{APP}:*/report*")
    page.wait_for_load_state()
    if stack.settings["session"]["clear_site_data"] == "cache":
        assert is_asked_for(stack, KEPT)
