"""Chromium while answers of the application arrive late, with the cookies of their requests' time.

One browser, whose requests for alice are held at the application one after the other: pages that
renew an assertion, record the last use, bring refreshed tokens. Each ends after something else has
happened: a logout, another user's login, a step-up, a refresh, the same user's next login. Whatever
the answer sets, the browser belongs to the user who signed in last. (Findings 30 and 31.)
"""

import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest
from harness.chromium import visit
from harness.processes import wait_for_next_second, wait_until
from harness.redis import Servers
from harness.siblings import Siblings
from playwright.sync_api import BrowserContext, Page

PREFIX = "__Host-extproc-"
_NAMES = (f"h{number}" for number in itertools.count())
HEAVY = [
    pytest.param(kind, marks=pytest.mark.heavy) for kind in ("cookie, marks in memory", "redis")
]


@pytest.fixture(scope="module", params=["sqlite", "cookie", *HEAVY])
def stack(request: pytest.FixtureRequest) -> Iterator[Siblings]:
    store: dict[str, Any] = {}
    more: dict[str, Any] = {}
    if request.param == "cookie":
        folder = request.getfixturevalue("tmp_path_factory").mktemp("marks")
        store = {
            "kind": "cookie",
            "path": None,
            "tombstones": {"path": str(folder / "marks.sqlite3")},
        }
    elif request.param.startswith("cookie"):
        store = {"kind": "cookie", "path": None}
        more = {"providers": {"main": {"backchannel_logout": False}}}
    elif request.param == "redis":
        servers: Servers = request.getfixturevalue("redis_servers")
        store = {"kind": "redis", "path": None, "servers": [servers.redis.address]}
    with Siblings(settings={"store": store, "timeouts": {"call": 55}, **more}) as running:
        yield running


class Person:
    """One browser profile at the gateway."""

    def __init__(self, stack: Siblings, context: BrowserContext) -> None:
        self.stack, self.context = stack, context
        self.page = context.new_page()
        # Requests that Chromium reports as failed, and how.
        self.failed: list[str] = []
        context.on(
            "requestfailed", lambda asked: self.failed.append(f"{asked.url}: {asked.failure}")
        )

    def signs_in(self, user: str) -> None:
        self.stack.provider.user = user
        visit(self.page, self.stack.url("/private"))
        assert self.sees() == user

    def signs_out(self) -> None:
        visit(self.page, self.stack.url("/public/"))
        self.page.evaluate("location = '/oauth2/logout'")
        self.page.wait_for_url("**/oauth2/signed-out*")

    def sees(self) -> str | None:
        """The user whom the application sees in this browser, on a public page."""
        visit(self.page, self.stack.url(f"/public/{next(_NAMES)}"))
        return self.stack.app.requests[-1].get("x-auth-sub")

    def is_at_the_provider(self, user: str) -> Page:
        """A tab in which the provider's page waits for `user`."""
        self.stack.provider.user, self.stack.provider.waits = user, True
        tab = self.context.new_page()
        visit(tab, self.stack.url("/private/late"))
        self.stack.provider.waits = False
        return tab

    def goes_on(self, tab: Page) -> None:
        """Go from the provider's page to the callback, which waits for the provider."""
        tab.evaluate("document.querySelector('a').click()")
        wait_until(lambda: self.stack.provider.held == 1, 60)

    def is_asked_about(self) -> None:
        """From now on until its next answer the processor decides about this browser."""
        self.context.clear_cookies(name=f"{PREFIX}assertion-app")

    def begins(self, tab: Page, path: str) -> str:
        """Send a request of an application's page that is held there. Returns its name."""
        name = next(_NAMES)
        before = len(self.stack.app.requests)
        tab.evaluate(
            f"() => {{ window.{name} = fetch('{path}?echo-hold={name}').then(r => r.status, "
            "String) }"
        )
        wait_until(lambda: any(name in r.target for r in self.stack.app.requests[before:]), 60)
        return name

    def ends(self, tab: Page, name: str) -> None:
        """Release the held answer."""
        self.stack.app.release(name)
        answer = tab.evaluate(f"window.{name}")
        assert answer == 200, (
            answer,
            self.failed,
            [line for line in self.stack.access_log() if line["flags"] != "-"],
        )


@pytest.fixture
def person(stack: Siblings) -> Iterator[Person]:
    stack.provider.refreshed.clear()
    stack.provider.expires_in = 300
    # Chromium aborts HTTP/2 requests when an address of the machine changes (ERR_NETWORK_CHANGED).
    with stack.chromium("--disable-http2") as context:
        yield Person(stack, context)


def late(person: Person, tab: Page) -> list[str]:
    """Held requests of the signed-in user, one of each kind whose answer sets a cookie."""
    names = []
    for path in ("/private/slow", "/public/slow"):
        person.is_asked_about()
        names.append(person.begins(tab, path))
    return names


@pytest.mark.attack("COOK-27")
@pytest.mark.threat("late-answer")
def test_an_answer_that_comes_late_makes_nobody_of_who_signed_in_since(person: Person) -> None:
    person.signs_in("alice")
    tab = person.context.new_page()
    visit(tab, person.stack.url("/public/tab"))
    first, second, third, fourth = late(person, tab) + late(person, tab)
    person.signs_out()
    person.ends(tab, first)
    assert person.sees() is None, "after the logout"
    person.signs_in("bob")
    person.ends(tab, second)
    for _ in range(3):
        assert person.sees() == "bob", "after bob's login"
    person.ends(tab, third)
    visit(person.page, person.stack.url("/oauth2/userinfo"))
    assert '"bob"' in person.page.inner_text("body")
    visit(person.page, person.stack.url("/private"))
    assert person.stack.app.requests[-1].get("x-auth-sub") == "bob"
    person.signs_out()
    person.signs_in("alice")
    person.ends(tab, fourth)
    for _ in range(3):
        assert person.sees() == "alice", "after her own next login"
    assert person.stack.app.requests[-1].get("x-auth-sub") == "alice"


@pytest.mark.attack("COOK-27")
@pytest.mark.threat("late-answer")
def test_tokens_that_come_late_bring_no_session_back_and_spend_none(person: Person) -> None:
    provider = person.stack.provider
    provider.expires_in = 12
    person.signs_in("alice")
    signed_in = time.monotonic()
    tab = person.context.new_page()
    visit(tab, person.stack.url("/public/tab"))
    old = late(person, tab)
    grants = len(provider.grants)
    # The tokens are due then; see refresh.due().
    wait_until(lambda: time.monotonic() > signed_in + 8, 60)
    person.is_asked_about()
    renews = person.begins(tab, "/private/slow")
    assert len(provider.grants) == grants + 1, "this request had the tokens renewed"
    # Its answer has not arrived, so the next request has the cookies of before.
    person.is_asked_about()
    assert person.sees() == "alice"
    person.ends(tab, renews)
    for name in old:
        person.ends(tab, name)
    signed_in = time.monotonic()
    wait_until(lambda: time.monotonic() > signed_in + 8, 60)
    person.is_asked_about()
    again = person.begins(tab, "/private/slow")
    assert len(provider.grants) >= grants + 2
    assert len(set(provider.grants)) == len(provider.grants), "no refresh token was used twice"
    provider.expires_in = 300
    person.signs_out()
    person.signs_in("bob")
    person.ends(tab, again)
    for _ in range(3):
        assert person.sees() == "bob"
    visit(person.page, person.stack.url("/private"))
    assert person.stack.app.requests[-1].get("x-auth-sub") == "bob"


@pytest.mark.attack("COOK-27")
def test_a_login_that_ends_late_signs_nobody_in(person: Person) -> None:
    stack, tab = person.stack, person.is_at_the_provider("alice")
    with stack.provider.holding("/token", most=1):
        person.goes_on(tab)
        person.signs_in("bob")
    tab.wait_for_url("**/private/late")
    for _ in range(3):
        assert person.sees() == "bob", "after bob's login"
    assert (
        tab.evaluate("fetch('/oauth2/userinfo').then(r => r.json()).then(said => said.sub)")
        == "bob"
    )
    person.signs_out()
    tab = person.is_at_the_provider("alice")
    person.signs_in("alice")
    wait_for_next_second()
    with stack.provider.holding("/token", most=1):
        person.goes_on(tab)
        person.signs_out()
    tab.wait_for_selector("text=signed_out_meanwhile")
    for _ in range(3):
        assert person.sees() is None, "after the logout"
