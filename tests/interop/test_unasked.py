"""Chromium opens pages that name the gateway's endpoints in every way that needs no click.

None of them may have an effect. The provider signs in without a question, so that a click or a
typed address leads to a complete login.
"""

from collections.abc import Iterator

import pytest
from harness.chromium import browser, profile, visit
from harness.fake_provider import FakeProvider
from harness.fake_server import Reply, Request
from harness.gateway import Stack
from harness.processes import wait_until
from playwright.sync_api import BrowserContext, Page

LOGIN, CALLBACK, LOGOUT = "/oauth2/login", "/oauth2/callback", "/oauth2/logout"
# Not loopback, so that http there is not trustworthy to a browser.
PLAIN = "app.gw.test"

# Elements of a page that a browser loads immediately. {} is the address.
LOADED = {
    "icon": "<link rel=icon href='{}'>",
    "manifest": "<link rel=manifest crossorigin=use-credentials href='{}'>",
    "style sheet": "<link rel=stylesheet href='{}'>",
    "preload": "<link rel=preload as=fetch crossorigin href='{}'>",
    "script": "<script src='{}'></script>",
    "module": "<script type=module src='{}'></script>",
    "fetch": "<script>fetch('{}')</script>",
    "fetch of a framework": "<script>fetch('{}',{{headers:{{'Next-Router-Prefetch':'1',Purpose:'prefetch'}}}})</script>",
    "picture": "<img src='{}'>",
    "picture of a style": "<div style=\"background:url('{}');height:9px\"></div>",
    "font": "<style>@font-face{{font-family:x;src:url('{}')}}p{{font-family:x}}</style><p>x</p>",
    "poster": "<video poster='{}' width=9 height=9></video>",
    "film": "<video src='{}' preload=auto width=9 height=9></video>",
    "frame": "<iframe src='{}'></iframe>",
    "object": "<object data='{}' type=text/html width=9 height=9></object>",
    "embed": "<embed src='{}' type=text/html width=9 height=9>",
}  # fmt: skip
RULES = (
    "<script "
    'type=speculationrules>{{"HOW":[{{"source":"list","urls":["{}"],"eagerness":"immediate"}}]}}</script>'
)
AHEAD = {
    "prefetch": "<link rel=prefetch href='{}'>",
    "speculative prefetch": RULES.replace("HOW", "prefetch"),
    "speculative prerender": RULES.replace("HOW", "prerender"),
}
PAGES = {"loaded": list(LOADED.values())} | {way: [markup] for way, markup in AHEAD.items()}
WORKER = "onfetch=e=>e.respondWith(fetch(e.request));oninstall=()=>skipWaiting();onactivate=e=>e.waitUntil(clients.claim())"
REGISTERS = "<script>navigator.serviceWorker.register('/sw.js').then(()=>navigator.serviceWorker.ready).then(()=>document.title='ready')</script>"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(FakeProvider()) as running:
        yield running


@pytest.fixture(scope="module")
def chromium(stack: Stack) -> Iterator[BrowserContext]:
    with browser(stack, f"--host-resolver-rules=MAP {PLAIN} 127.0.0.1") as context:
        yield context


@pytest.fixture
def context(stack: Stack, chromium: BrowserContext) -> Iterator[BrowserContext]:
    """A new profile."""
    stack.provider.reset()
    with profile(chromium) as fresh:
        yield fresh


def ours(context: BrowserContext, stack: Stack) -> dict[str, str]:
    """The gateway's cookies in this browser."""
    cookies = context.cookies(stack.url("/"))
    return {cookie["name"]: cookie["value"] for cookie in cookies if "extproc-" in cookie["name"]}


class Reasons:
    """The reasons with which a path is answered from now on."""

    def __init__(self, stack: Stack, path: str) -> None:
        self._stack, self._path, self._before = stack, path, 0
        self._before = len(self())

    def __call__(self) -> list[str]:
        lines = [line for line in self._stack.access_log() if line["path"] == self._path]
        return [line["reason"] for line in lines[self._before :]]

    def end_with(self, *wanted: str) -> bool:
        """Wait until the last reasons are these, because Envoy writes its log a little later."""
        wait_until(
            lambda: self()[-len(wanted) :] == list(wanted),
            60,
            f"{self._path} to be answered {wanted}",
        )
        return True


def opens(page: Page, stack: Stack, way: str, url: str) -> Reasons:
    """A page of the application with the address in that element, and with a link to it.

    Returns when Chromium has requested the address as often as it may.
    """
    path, mark = url.partition("?")[0].removeprefix(stack.url("")), "&" if "?" in url else "?"
    # Each has an address of its own, because Chromium would request a common one only once.
    markup = "".join(
        held.format(f"{url}{mark}n={n}" if way == "loaded" else url)
        for n, held in enumerate(PAGES[way])
    )
    stack.app.pages["/public/wiki"] = (
        "text/html",
        f"<!doctype html><title>wiki</title>{markup}<a id=link href='{url}'>x</a>",
    )
    reasons = Reasons(stack, path)
    visit(page, stack.url("/public/wiki"))
    if way == "loaded":
        page.context.new_cdp_session(page).send("Page.getAppManifest")
    wait_until(lambda: len(reasons()) >= len(PAGES[way]), 60, f"Chromium to ask for all of: {way}")
    return reasons


def waits_at_the_provider(page: Page, stack: Stack, link: str) -> str:
    """Follow a link to a login at which the provider waits.

    Returns the address of the callback that it will lead to.
    """
    back: list[str] = []

    def waits(asked: Request) -> Reply:
        back.append(stack.provider.truthful(asked)[1]["location"])
        return 200, {"content-type": "text/html"}, b"<title>wait</title>"

    stack.provider.answers["/auth"] = waits
    page.click(link)
    page.wait_for_function("document.title == 'wait'")
    del stack.provider.answers["/auth"]
    return back[0]


def lives(context: BrowserContext, stack: Stack) -> bool:
    """Whether the session is accepted without its assertion and without a new login."""
    context.clear_cookies(name="extproc-assertion-app")
    logins, page = len(stack.provider.requests_to("/auth")), context.new_page()
    visit(page, stack.url("/private"))
    page.close()
    return len(stack.provider.requests_to("/auth")) == logins


def signed_out(context: BrowserContext, stack: Stack) -> bool:
    """Whether the user is signed out here and at the provider."""
    wait_until(lambda: stack.provider.requests_to("/logout"), 60, "the browser at the provider")
    wait_until(lambda: not ours(context, stack), 60, "the cookies to go")
    return len(stack.provider.revoked) == 1


@pytest.mark.attack("REDI-10", "WEB-19")
@pytest.mark.threat("unasked-request")
@pytest.mark.parametrize("way", PAGES)
def test_what_a_page_holds_changes_nothing_and_a_click_on_it_does(
    stack: Stack, context: BrowserContext, way: str
) -> None:
    """Login, callback and logout, one after the other.

    Chromium drops what it prefetched, because it is an error, and requests it again on the click.
    """
    page = context.new_page()
    reasons = opens(page, stack, way, "/oauth2/login?return_to=/private")
    assert set(reasons()) == {"login_required"} and ours(context, stack) == {}
    back = waits_at_the_provider(page, stack, "#link")
    before = ours(context, stack)

    reasons = opens(page, stack, way, back)
    assert set(reasons()) == {"user_navigation_required"} and ours(context, stack) == before
    assert stack.provider.requests_to("/token") == [] and [name[:14] for name in before] == [
        "extproc-login-"
    ]
    page.click("#link")
    page.wait_for_url(stack.url("/private"))
    assert reasons.end_with("signed_in") and "x-auth-sub" in page.inner_text("body")
    before = ours(context, stack)

    reasons = opens(page, stack, way, LOGOUT)
    asks = (
        {"user_navigation_required"}
        if way in AHEAD
        else {"logout_confirmation", "user_navigation_required"}
    )
    assert set(reasons()) == asks
    assert ours(context, stack)["extproc-session-app"] == before["extproc-session-app"]
    assert stack.provider.revoked == [] == stack.provider.requests_to("/logout") and lives(
        context, stack
    )
    page.click("#link")
    assert signed_out(context, stack) and reasons.end_with("signed_out")


@pytest.mark.attack("WEB-19")
@pytest.mark.threat("unasked-request")
def test_a_typed_address_signs_out_and_a_ping_does_not(
    stack: Stack, context: BrowserContext
) -> None:
    """A ping is a POST that a browser sends when the user follows a link to another address."""
    page, reasons = context.new_page(), Reasons(stack, LOGOUT)
    visit(page, stack.url("/private"))
    stack.app.pages["/public/wiki"] = "text/html", f"<a id=link href='#x' ping={LOGOUT}>x</a>"
    visit(page, stack.url("/public/wiki"))
    page.click("#link")
    wait_until(reasons, 60, "the ping")
    assert (
        reasons() == ["cross_site_logout"]
        and stack.provider.revoked == []
        and lives(context, stack)
    )
    visit(page, stack.url(LOGOUT))
    assert signed_out(context, stack) and reasons.end_with("cross_site_logout", "signed_out")


@pytest.mark.attack("REDI-09")
def test_an_application_s_service_worker_keeps_nobody_from_signing_in_or_out(
    stack: Stack, context: BrowserContext
) -> None:
    """What it fetches for the browser has Sec-Fetch-Dest empty.

    This is so for a page and for a frame, which therefore ends no session.
    """
    stack.app.pages["/sw.js"] = "text/javascript", WORKER
    stack.app.pages["/worker"] = "text/html", f"<iframe src={LOGOUT}></iframe>{REGISTERS}"
    page, reasons = context.new_page(), Reasons(stack, LOGOUT)
    visit(page, stack.url("/worker"))
    page.wait_for_function("document.title == 'ready'")
    # The session has expired.
    context.clear_cookies()
    visit(page, stack.url("/private"))
    assert page.url == stack.url("/private") and "x-auth-sub" in page.inner_text("body"), "no login"
    assert stack.app.seen("/private")[-1].get("sec-fetch-dest") == "empty", (
        "the worker was not asked"
    )
    earlier = len(reasons())
    visit(page, stack.url("/worker"))
    wait_until(lambda: len(reasons()) > earlier, 60, "the frame")
    assert set(reasons()) == {"logout_confirmation"} and lives(context, stack)
    visit(page, stack.url(LOGOUT))
    page.get_by_role("button", name="Sign out").click()
    assert signed_out(context, stack)


@pytest.mark.attack("WEB-11")
@pytest.mark.threat("unasked-request")
def test_our_own_buttons_work_on_plain_http_where_chromium_sends_no_fetch_metadata(
    context: BrowserContext,
) -> None:
    stack = Stack(FakeProvider(), settings={"applications": {"app": {"hosts": [PLAIN]}}})
    stack.gateway = f"http://{PLAIN}:{stack.port}"
    with stack:
        page, reasons = context.new_page(), Reasons(stack, LOGOUT)
        visit(page, stack.url("/private"))
        assert stack.app.requests[-1].get("sec-fetch-mode") is None, (
            "Chromium sends Sec-Fetch-Mode there now"
        )
        # With its own Origin, and with null.
        for policy in ("unsafe-url", "no-referrer"):
            visit(page, f"{stack.provider.issuer}/.well-known/openid-configuration")
            form = f"<form method=post action='{stack.url(LOGOUT)}'><button>x</button></form>"
            page.set_content(f"<meta name=referrer content={policy}>{form}")
            page.click("button")
            page.wait_for_url(stack.url(LOGOUT))
        assert reasons.end_with("cross_site_logout", "cross_site_logout")
        assert "extproc-session-app" in ours(context, stack) and stack.provider.revoked == []
        for start in ("/oauth2/sessions", LOGOUT):
            visit(page, stack.url("/private"))
            visit(page, stack.url(start))
            page.get_by_role("button", name="Sign out").click()
            assert signed_out(context, stack)
            stack.provider.forget()
        assert reasons.end_with("signed_out", "logout_confirmation", "signed_out")
