"""Chromium with a neighbouring host that plants cookies for the whole domain, over https.

Chromium decides what its jar takes and sends. A planted cookie that it refuses does no harm.
(Findings 1, 56 and similar ones.)
"""

from collections.abc import Iterator
from typing import Any

import pytest
from harness.chromium import profile, visit
from harness.envoy import envoys, heavy_oldest
from harness.fake_server import Reply, Request
from harness.processes import wait_until
from harness.siblings import APP, DOMAIN, Siblings
from playwright.sync_api import BrowserContext, Page

PREFIX = "__Host-extproc-"
# The ways in which a neighbouring host may plant a pair of its own under a name of the gateway.
PLANTS = [
    "prefs=dark,PAIR",
    "prefs=dark, PAIR",
    "a=,PAIR,b",
    'b="x,PAIR"',
    "c=PAIR",
    "d=x PAIR",
    "=PAIR",
    "=x,PAIR",
    "PAIR",
    "\tPAIR",
    "PAIR,x",
    "e,PAIR",
    "$Version=1,PAIR",
]


@pytest.fixture(scope="module", params=heavy_oldest())
def stack(request: pytest.FixtureRequest) -> Iterator[Siblings]:
    with Siblings(envoys()[request.param]) as running:
        yield running


@pytest.fixture(scope="module")
def chromium(stack: Siblings) -> Iterator[BrowserContext]:
    with stack.chromium() as context:
        yield context


@pytest.fixture
def context(stack: Siblings, chromium: BrowserContext) -> Iterator[BrowserContext]:
    """A new profile."""
    stack.app.requests.clear()
    stack.provider.user = "alice"
    with profile(chromium) as fresh:
        yield fresh


def pairs_of(context: BrowserContext, stack: Siblings) -> dict[str, str]:
    """The gateway's cookies in this browser, by kind."""
    cookies = context.cookies(stack.url("/"))
    named = {
        cookie["name"]: cookie["value"] for cookie in cookies if cookie["name"].startswith(PREFIX)
    }
    return {
        name.removeprefix(PREFIX).partition("-")[0]: f"{name}={value}"
        for name, value in named.items()
    }


def mallory_s(stack: Siblings, chromium: BrowserContext) -> dict[str, str]:
    """A session and an assertion of mallory's own, from a normal login."""
    stack.provider.user = "mallory"
    with profile(chromium) as context:
        visit(context.new_page(), stack.url("/private"))
        pairs = pairs_of(context, stack)
    stack.provider.user = "alice"
    stack.app.requests.clear()
    assert set(pairs) == {"session", "assertion"}
    return pairs


def plant(page: Page, stack: Siblings, pairs: list[str]) -> int:
    """Let a page of the neighbouring host set this.

    Returns how many of its cookies the browser then sends to the application.
    """
    visit(page, stack.evil("/"))
    for pair in pairs:
        for kind in PLANTS:
            page.evaluate(
                "c => { document.cookie = c }",
                f"{kind.replace('PAIR', pair)}; Domain={DOMAIN}; Path=/; Max-Age=3600",
            )
            unprefixed = kind.replace("PAIR", pair.removeprefix("__Host-"))
            page.evaluate(
                "c => { document.cookie = c }",
                f"{unprefixed}; Domain={DOMAIN}; Path=/; Max-Age=3600",
            )
    return sum(cookie["domain"] == f".{DOMAIN}" for cookie in page.context.cookies(stack.url("/")))


def users(stack: Siblings) -> set[str | None]:
    """The users whom the application saw."""
    return {
        received.get("x-auth-sub")
        for received in stack.app.requests
        if str(received.get("host")).startswith(APP)
    }


@pytest.mark.attack("COOK-26")
@pytest.mark.threat("planted-cookie")
def test_what_a_neighbouring_host_plants_signs_nobody_in(
    stack: Siblings, chromium: BrowserContext, context: BrowserContext
) -> None:
    evil = mallory_s(stack, chromium)
    page = context.new_page()
    assert plant(page, stack, [evil["session"], evil["assertion"]]) >= 5
    stack.app.requests.clear()
    visit(page, stack.url("/public/x"))
    assert users(stack) == {None}
    visit(page, stack.url("/private?a=1"))
    assert page.url == stack.url("/private?a=1"), "the user signs in as ever"
    visit(page, stack.url("/public/y"))
    assert users(stack) == {None, "alice"}
    assert not any("mallory" in str(received.headers) for received in stack.app.requests)


@pytest.mark.attack("COOK-26")
@pytest.mark.threat("planted-cookie")
def test_what_a_neighbouring_host_plants_takes_nobody_s_session_away(
    stack: Siblings, chromium: BrowserContext, context: BrowserContext
) -> None:
    evil = mallory_s(stack, chromium)
    garbage = [
        f"{PREFIX}session-app=x",
        f"{PREFIX}assertion-app=x.y.z",
        f"{PREFIX}login-app-00000000=x",
    ]
    page = context.new_page()
    visit(page, stack.url("/private"))
    before = pairs_of(context, stack)["session"]
    plant(page, stack, [evil["session"], evil["assertion"], *garbage])
    expired: list[str] = []
    page.on("response", lambda answer: expired.append(answer.headers.get("set-cookie", "")))
    stack.app.requests.clear()
    visit(page, stack.url("/private?fast"))
    context.clear_cookies(name=f"{PREFIX}assertion-app", domain=APP)
    visit(page, stack.url("/private?processor"))
    visit(page, stack.url("/private?fast-again"))
    visit(page, stack.url("/oauth2/userinfo"))
    assert '"alice"' in page.inner_text("body")
    assert users(stack) == {"alice"} and len(stack.app.requests) >= 3
    assert pairs_of(context, stack)["session"] == before
    assert not any("Max-Age=0" in line for line in expired)


@pytest.mark.attack("COOK-26")
@pytest.mark.threat("planted-cookie")
def test_what_a_neighbouring_host_plants_unbinds_no_login(
    stack: Siblings, chromium: BrowserContext, context: BrowserContext
) -> None:
    """Mallory's login cookie is planted and her callback opened here.

    The login stays mallory's, and the user's own login continues.
    """

    def shown(asked: Request) -> Reply:
        """The provider's page shows the address that it would redirect to."""
        return (
            200,
            {"content-type": "text/plain"},
            stack.provider._authorize(asked)[1]["location"].encode(),
        )

    stack.provider.user = "mallory"
    stack.provider.answers["/auth"] = shown
    with profile(chromium) as theirs:
        other = theirs.new_page()
        visit(other, stack.url("/private"))
        callback = other.inner_text("body")
        evil = pairs_of(theirs, stack)["login"]
    del stack.provider.answers["/auth"]
    stack.provider.user = "alice"
    stack.app.requests.clear()
    page = context.new_page()
    plant(page, stack, [evil])
    assert callback.startswith(stack.url("/oauth2/callback?"))
    answer = visit(page, callback)
    assert (
        answer is not None and answer.status == 400 and "state_mismatch" in page.inner_text("body")
    )
    assert "session" not in pairs_of(context, stack)
    visit(page, stack.url("/private"))
    assert users(stack) == {"alice"}


# 16 cookies of 4 kB: more than gateway.max_request_headers_kb.
FLOOD = [f"bomb{number}={'x' * 4000}" for number in range(16)]


def flood(page: Page, stack: Siblings) -> None:
    """Let a page of the neighbouring host fill the browser's jar for the whole domain."""
    visit(page, stack.evil("/"))
    for pair in FLOOD:
        page.evaluate(
            "c => { document.cookie = c }", f"{pair}; Domain={DOMAIN}; Path=/; Max-Age=3600"
        )
    # The page's process hands cookies on to the one that keeps them.
    wait_until(lambda: flooded(page.context) == len(FLOOD))


def _is_picture(line: dict[str, Any]) -> bool:
    return str(line["path"]).endswith("/picture")


def flooded(context: BrowserContext) -> int:
    """How many of these cookies the browser still has."""
    return sum(cookie["name"].startswith("bomb") for cookie in context.cookies())


@pytest.mark.attack("COOK-26")
@pytest.mark.threat("planted-cookie")
@pytest.mark.parametrize("path", ["/private?a=1", "/oauth2/login", "/public/x"])
def test_a_browser_whose_jar_a_neighbouring_host_filled_gets_out_by_opening_a_page_again(
    stack: Siblings, context: BrowserContext, path: str
) -> None:
    """Finding 56: it was locked out for as long as the cookies live."""
    page = context.new_page()
    flood(page, stack)
    refused = visit(page, stack.url(path))
    assert refused is not None and refused.status == 431
    assert refused.all_headers()["clear-site-data"] == '"cookies"'
    assert "Too many cookies" in page.inner_text("body") and users(stack) == set()
    wait_until(lambda: flooded(context) == 0)
    visit(page, stack.url("/private?a=1"))
    assert users(stack) == {"alice"} and "session" in pairs_of(context, stack)


@pytest.mark.attack("COOK-26")
@pytest.mark.threat("unasked-request")
def test_a_picture_on_another_page_deletes_no_cookies_of_a_browser_whose_jar_is_full(
    stack: Siblings, context: BrowserContext
) -> None:
    page = context.new_page()
    visit(page, stack.url("/private"))
    before = pairs_of(context, stack)["session"]
    flood(page, stack)
    # The browser hides an answer that is no picture from the page.
    with page.expect_event("requestfailed", lambda one: one.url.endswith("/picture")):
        page.evaluate("address => { new Image().src = address }", stack.url("/picture"))
    assert {line["status"] for line in stack.access_log(_is_picture)} == {431}
    assert flooded(context) == len(FLOOD) and pairs_of(context, stack)["session"] == before
