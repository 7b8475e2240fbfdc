"""Chromium signs in and out: redirects, cookies and pages of the gateway in a real browser."""

import base64

import pytest
from harness import pictures
from harness.chromium import browser, visit
from harness.echo import ICON
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.journey import stored_sessions
from harness.keycloak import Keycloak
from harness.oidc_provider import OidcProvider
from harness.processes import wait_until
from playwright.sync_api import BrowserContext, ConsoleMessage, Page

START = "/private?a=1&b=%2F&c=d+e"


def ours(context: BrowserContext, stack: Stack) -> dict[str, dict[str, object]]:
    """The gateway's cookies in this browser, by name."""
    cookies = [dict(cookie) for cookie in context.cookies(stack.url("/"))]
    return {str(cookie["name"]): cookie for cookie in cookies if "extproc-" in str(cookie["name"])}


def complaints(page: Page) -> list[str]:
    """Errors in the console on the gateway's pages, collected from now on.

    Without those about the icon, which Chromium requests when it likes, perhaps after the logout
    (401).
    """
    heard: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        wrong = message.type in ("error", "warning") and "//localhost:" in page.url
        if wrong and not message.location["url"].endswith(ICON):
            heard.append(f"{page.url}: {message.text} {message.location['url']}")

    page.on("console", hear)
    page.on("pageerror", lambda error: heard.append(str(error)))
    return heard


def sign_in(page: Page, stack: Stack) -> None:
    visit(page, stack.url(START))
    assert page.url.startswith(stack.place.origin)
    page.fill("input[name=login]", "alice")
    page.fill("input[name=password]", "secret")
    page.click("button[type=submit]")
    page.wait_for_url("**/interaction/*")
    # Consent.
    page.click("button[type=submit]")
    page.wait_for_url(stack.url(START))


def test_the_trace_of_a_page_that_refuses_leads_an_operator_to_the_cause_and_the_user_back_to_what_was_wanted() -> (
    None
):
    """The pictures in docs/pictures show these pages as they are; tools/pictures makes them."""
    with Stack(FakeProvider()) as stack, browser(stack) as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        for name, page in pictures.story(stack, context, START):
            picture = pictures.drawn(page)
            kept = (pictures.FOLDER / f"{name}.svg").read_text()
            assert pictures.skeleton(picture) == pictures.skeleton(kept), f"{name}: tools/pictures"
            shows_something(context, picture)
            if name == "error":
                user, trace_id = page, page.inner_text("#trace")
                assert "id_token_nonce" in page.inner_text("main")
                page.click("#copy")
                page.wait_for_selector("#copy:has-text('Copied')")
                assert page.evaluate("navigator.clipboard.readText()") == trace_id
        assert page.url.endswith(trace_id)
        assert {"id_token_nonce", trace_id} <= set(page.inner_text("header").split())
        line = lambda line: line["trace_id"] == trace_id and line["reason"] == "id_token_nonce"  # noqa: E731
        assert stack.access_log(line)
        stack.provider.claims.clear()
        user.click("text=Try again")
        user.wait_for_url(stack.url(START))


def shows_something(context: BrowserContext, picture: str) -> None:
    """In an <img>, without scripts and loaded parts: small and large, light and dark."""
    data = base64.b64encode(picture.encode()).decode()
    page = context.new_page()
    for width, scheme in ((400, "light"), (1600, "dark")):
        page.set_viewport_size({"width": width, "height": 300})
        page.emulate_media(color_scheme=scheme)
        page.set_content(f'<img src="data:image/svg+xml;base64,{data}" width={width}>')
        page.wait_for_function("document.images[0].complete")
        assert page.evaluate("document.images[0].naturalWidth") in pictures.WIDTHS.values()
        shown = page.screenshot()
        page.set_content("<img width=1 height=1>")
        assert len(shown) > 4 * len(page.screenshot()), f"at {width} there is nothing to see"
    page.close()


@pytest.mark.parametrize("tls", [False, True], ids=["http", "tls"])
def test_a_browser_signs_in_and_out(tls: bool) -> None:
    with Stack(OidcProvider(), tls=tls) as stack, browser(stack) as context:
        page = context.new_page()
        heard = complaints(page)
        sign_in(page, stack)
        assert '"x-auth-email", "alice@example.test"' in page.inner_text("body")

        prefix = "__Host-extproc-" if tls else "extproc-"
        cookies = ours(context, stack)
        # The login cookie is gone.
        assert set(cookies) == {f"{prefix}session-app", f"{prefix}assertion-app"}
        for cookie in cookies.values():
            assert (cookie["domain"], cookie["path"]) == ("localhost", "/")
            assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, tls, "Lax")
        assert page.evaluate("document.cookie") == ""

        streams = stack.streams()
        visit(page, stack.url("/second"))
        assert stack.app.requests[-1].get("x-auth-email") == "alice@example.test"
        assert stack.streams() == streams, "the second page went to the processor"

        visit(page, stack.url("/oauth2/logout"))
        # The provider asks.
        page.click("button[name=logout]")
        page.wait_for_url("**/oauth2/signed-out*")
        assert page.url.startswith(stack.url("/oauth2/signed-out"))
        assert page.get_by_role("heading").inner_text() == "Signed out"
        assert not ours(context, stack), "the browser kept cookies after the logout"

        page.get_by_role("link").click()
        page.wait_for_selector("input[name=password]")
        assert heard == []


@pytest.mark.attack("FLOW-11")
@pytest.mark.parametrize(
    ("tabs", "length", "tls"),
    [(30, 1, False), (8, 900, True)],
    ids=["many", "long"],
)
def test_restored_tabs_all_end_signed_in_on_their_pages(tabs: int, length: int, tls: bool) -> None:
    """The provider answers by itself, after every tab has begun its login."""
    paths = [
        f"/private/{tab}?" + f"{tab}-{length}-x"[: length + 5] * (length // 7 + 1)
        for tab in range(tabs)
    ]
    with Stack(FakeProvider(), tls=tls) as stack, browser(stack) as context:
        pages = [context.new_page() for _ in paths]
        with stack.provider.holding("/auth", most=tabs):
            for page, path in zip(pages, paths, strict=True):
                page.evaluate(
                    "address => { setTimeout(() => { location = address }) }", stack.url(path)
                )
            wait_until(
                lambda: sum("login" in name for name in ours(context, stack)) == tabs,
                60,
                what="the logins of all tabs",
            )
        for page, path in zip(pages, paths, strict=True):
            page.wait_for_url(stack.url(path))
            assert "x-auth-sub" in page.inner_text("body")
        assert sorted(ours(context, stack)) == sorted(
            f"{'__Host-' if tls else ''}extproc-{kind}-app" for kind in ("assertion", "session")
        )
        assert stored_sessions(stack) == 1
        visit(pages[0], stack.url("/oauth2/signed-out"))
        visit(pages[0], stack.url("/oauth2/logout"))
        assert not ours(context, stack) and stored_sessions(stack) == 0


@pytest.mark.attack("WEB-11")
def test_a_user_ends_their_other_sessions_without_javascript_on_any_screen() -> None:
    with Stack(FakeProvider()) as stack, stack.user() as phone, browser(stack) as context:
        stack.provider.claims["sid"] = "phone"
        assert phone.go(stack.url("/private")).status_code == 200
        stack.provider.claims["sid"] = "here"
        assert context.browser is not None
        for width, scheme in ((400, "light"), (400, "dark"), (1600, "light"), (1600, "dark")):
            plain = context.browser.new_context(
                viewport={"width": width, "height": 800},
                color_scheme=scheme,
                java_script_enabled=False,
            )
            page = plain.new_page()
            heard = complaints(page)
            visit(page, stack.url("/oauth2/sessions"))
            assert page.url == stack.url("/oauth2/sessions")
            wide = page.locator("main").bounding_box()
            assert wide is not None and wide["x"] >= 0 and wide["x"] + wide["width"] <= width
            if (width, scheme) == (1600, "dark"):
                page.get_by_role("button", name="End: Chrome on Linux").click()
                assert page.url == stack.url(
                    "/oauth2/sessions"
                ) and "nowhere else" in page.inner_text("main")
            assert heard == []
            plain.close()
        phone.cookies.drop("extproc-assertion-app")
        assert phone.navigate(stack.url("/private")).status_code == 303


def test_a_script_without_a_session_is_refused_and_not_redirected() -> None:
    with Stack(OidcProvider()) as stack, browser(stack) as context:
        page = context.new_page()
        visit(page, stack.url("/public/page"))
        answer = page.evaluate("fetch('/api').then(r => [r.status, r.redirected, r.type])")
        assert answer == [401, False, "basic"]
        assert not ours(context, stack)


def test_a_browser_signs_in_at_keycloak(keycloak: Keycloak) -> None:
    with Stack(keycloak) as stack, browser(stack) as context:
        page = context.new_page()
        visit(page, stack.url(START))
        page.fill("#username", "alice")
        page.fill("#password", "secret")
        page.click("#kc-login")
        page.wait_for_url(stack.url(START))
        assert '"x-auth-email", "alice@example.test"' in page.inner_text("body")


def test_another_site_can_neither_sign_a_browser_out_nor_use_its_session() -> None:
    with Stack(OidcProvider()) as stack, browser(stack) as context:
        page = context.new_page()
        sign_in(page, stack)
        before = ours(context, stack)
        # A page of another site.
        visit(page, stack.place.origin + "/.well-known/openid-configuration")
        seen = len(stack.app.requests)
        page.set_content(
            f'<form method="post" action="{stack.url("/oauth2/logout")}"><button>x</button></form>'
        )
        page.click("button")
        page.wait_for_load_state()
        assert ours(context, stack) == before
        visit(page, stack.place.origin + "/.well-known/openid-configuration")
        page.set_content(f'<a href="{stack.url("/oauth2/logout")}">x</a>')
        page.click("a")
        page.wait_for_url("**/oauth2/logout")
        assert ours(context, stack) == before
        assert len(stack.app.requests) == seen
        # The gateway's page asks, and the user confirms.
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/session/end*")
        assert not ours(context, stack)
