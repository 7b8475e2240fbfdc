"""Chromium with a page of a neighbouring host that uses the application as its user would, over
https (finding 54).

SameSite=Lax keeps the pages of other sites away, and a neighbouring host belongs to the same site.
"""

from collections.abc import Iterator

import pytest
from harness.chromium import profile, visit
from harness.envoy import envoys, heavy_oldest
from harness.siblings import APP, EVIL, Siblings
from playwright.sync_api import BrowserContext, Page

# The result of a WebSocket: `open` with the first message, or `closed`.
WEBSOCKET = """address => new Promise(done => {
    const socket = new WebSocket(address);
    socket.onopen = () => socket.send("hi");
    socket.onmessage = message => done("open " + message.data);
    socket.onclose = () => done("closed");
})"""
POST = """address => fetch(address, {method: "POST", mode: "no-cors", credentials: "include"})
    .then(() => "sent", error => "failed")"""
FORM = """address => {
    const form = document.createElement("form");
    form.method = "POST"; form.action = address;
    document.body.append(form); form.submit();
}"""
STRICT = {"path_prefix": "/strict/", "csrf": "same_origin", "hosts": [APP], "provider": "main"}


class Two(Siblings):
    """`/` with the default, and `/strict/` with csrf: same_origin."""

    def _settings(self) -> dict[str, object]:
        made = super()._settings()
        made["applications"]["strict"] = {**STRICT, "upstream": self.app.url}
        return made


@pytest.fixture(scope="module", params=heavy_oldest())
def stack(request: pytest.FixtureRequest) -> Iterator[Two]:
    with Two(envoys()[request.param]) as running:
        yield running


@pytest.fixture(scope="module")
def chromium(stack: Two) -> Iterator[BrowserContext]:
    with stack.chromium() as context:
        yield context


@pytest.fixture
def page(stack: Two, chromium: BrowserContext) -> Iterator[Page]:
    """A page of a new profile in which alice is signed in at both applications."""
    with profile(chromium) as context:
        found = context.new_page()
        for path in ("/private", "/strict/private"):
            visit(found, stack.url(path))
            assert '"alice"' in found.inner_text("body")
        stack.app.requests.clear()
        yield found


def reached(stack: Two) -> list[tuple[str, str]]:
    """What reached the application's host."""
    return [
        (received.method, received.path)
        for received in stack.app.requests
        if str(received.get("host")).startswith(APP)
    ]


@pytest.mark.attack("PATH-17")
@pytest.mark.threat("foreign-page")
def test_a_page_of_a_neighbouring_host_opens_no_websocket_as_the_user(
    stack: Two, page: Page
) -> None:
    socket = stack.url("/chat").replace("https", "wss")
    visit(page, stack.evil("/"))
    for path in ("/chat", "/public/chat", "/strict/chat"):
        assert page.evaluate(WEBSOCKET, socket.replace("/chat", path)) == "closed", path
    assert reached(stack) == []
    visit(page, stack.url("/public/"))
    assert page.evaluate(WEBSOCKET, socket).startswith("open"), "the own page's opens"
    assert ("GET", "/chat") in reached(stack)


@pytest.mark.threat("foreign-page")
def test_with_same_origin_a_page_of_a_neighbouring_host_posts_nothing(
    stack: Two, page: Page
) -> None:
    visit(page, stack.evil("/"))
    assert page.evaluate(POST, stack.url("/strict/transfer")) == "sent"
    with page.expect_navigation() as navigation:
        page.evaluate(FORM, stack.url("/strict/transfer"))
    assert navigation.value.status == 403
    assert reached(stack) == []
    visit(page, stack.url("/strict/"))
    assert page.evaluate(POST, stack.url("/strict/transfer")) == "sent"
    with page.expect_navigation() as navigation:
        page.evaluate(FORM, stack.url("/strict/transfer"))
    assert navigation.value.status == 200
    assert reached(stack).count(("POST", "/strict/transfer")) == 2


@pytest.mark.threat("foreign-page")
def test_a_page_that_hides_its_address_from_others_posts_to_its_own_application(
    stack: Two, page: Page
) -> None:
    """Referrer-Policy: no-referrer makes Origin null, for its own application as well."""
    hidden = "<meta name=referrer content=no-referrer><body>"
    stack.app.pages["/strict/hidden"] = ("text/html", hidden)
    stack.app.pages["/hidden"] = ("text/html", hidden)
    visit(page, stack.url("/strict/hidden"))
    with page.expect_navigation() as navigation:
        page.evaluate(FORM, stack.url("/strict/transfer"))
    assert navigation.value.status == 200
    assert stack.app.requests[-1].get("origin") == "null"
    visit(page, stack.evil("/hidden"))
    with page.expect_navigation() as navigation:
        page.evaluate(FORM, stack.url("/strict/transfer"))
    assert navigation.value.status == 403
    assert str(stack.app.requests[-1].get("host")).startswith(EVIL)
