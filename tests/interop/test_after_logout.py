"""Chromium after a logout: what it has kept of the application's pages (finding 53).

The application lets browsers keep its page for ten minutes. Each test looks at what reaches the
application: a page from the cache reaches nothing.
"""

from collections.abc import Iterator

import pytest
from harness.chromium import visit
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
        visit(page, stack.url(KEPT))
        assert '"alice"' in page.inner_text("body")
        visit(page, stack.url("/oauth2/logout"))
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


UNSAID = "/notes"


@pytest.fixture(scope="module", params=["no-cache", "no-store", "off"])
def running(request: pytest.FixtureRequest) -> Iterator[tuple[str, Siblings]]:
    """The application says nothing about caches, and a logout empties none."""
    settings = {
        "applications": {"app": {"cache_control": request.param}},
        "session": {"clear_site_data": "off"},
    }
    with Siblings(settings=settings) as running:
        running.app.pages[UNSAID] = "text/html", "<title>Notes</title>secret of alice"
        yield request.param, running


@pytest.fixture
def unsaid(running: tuple[str, Siblings]) -> Iterator[tuple[str, Siblings]]:
    """The same; the user at the provider is alice again afterwards, whatever the test came to."""
    yield running
    running[1].provider.user = "alice"


@pytest.mark.threat("ended-session")
@pytest.mark.parametrize("way", ["link", "back"])
def test_a_page_about_which_the_application_says_nothing_is_not_shown_after_a_logout(
    unsaid: tuple[str, Siblings], way: str
) -> None:
    """Finding 53: a link is safe by default, Back needs no-store: the browser keeps whole pages."""
    setting, stack = unsaid
    with stack.chromium(back_forward_cache=True) as context:
        page = context.new_page()
        visit(page, stack.url(UNSAID))
        assert "secret of alice" in page.inner_text("body")
        visit(page, stack.url("/oauth2/logout"))
        stack.app.requests.clear()
        stack.provider.user = "bob"
        if way == "link":
            page.evaluate("address => { location.href = address }", stack.url(UNSAID))
            page.wait_for_url(f"https://{APP}:*{UNSAID}")
        else:
            # A page that the browser kept whole is not loaded once more.
            page.go_back(wait_until="commit")
        page.wait_for_function("() => document.title === 'Notes'")
        asked = is_asked_for(stack, UNSAID)
        # With no-cache, Back shows what the browser has: the check could fail.
        assert asked == (way == "link" or setting == "no-store")
        users = {one.get("x-auth-sub") for one in stack.app.requests}
        assert users == ({"bob"} if asked else set())
