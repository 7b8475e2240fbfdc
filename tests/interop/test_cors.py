"""Chromium with pages of neighbouring hosts that call an application behind the gateway by script,
over https (wild case 27).
"""

from collections.abc import Iterator
from typing import Any

import pytest
from harness.chromium import profile, visit
from harness.envoy import envoys, heavy_oldest
from harness.siblings import APP, EVIL, Siblings
from playwright.sync_api import BrowserContext, Page

WWW = "www.gw.test"
# The status and the JSON of an answer, or `unreadable`.
FETCH = """([method, address]) =>
    fetch(address, {method, credentials: "include", headers: {"accept": "application/json"}})
        .then(async answer => [answer.status, await answer.json()], error => "unreadable")"""


class Three(Siblings):
    """On one host `/` without CORS, `/api/` with `cors` for www.gw.test, and `/self/`, which
    answers preflights itself.
    """

    names = (APP, EVIL, WWW, "127.0.0.1")

    def _settings(self) -> dict[str, Any]:
        made = super()._settings()
        cors = {"origins": [self.www("")], "methods": ["GET", "PUT"], "credentials": True}
        base = {"hosts": [APP], "provider": "main", "upstream": self.app.url}
        made["applications"] |= {
            "www": {"hosts": [WWW], "upstream": self.app.url, "exclude": True},
            "api": {**base, "path_prefix": "/api/", "cors": cors},
            "self": {**base, "path_prefix": "/self/", "preflight": "pass"},
        }
        return made

    def www(self, path: str) -> str:
        return f"https://{WWW}:{self.port}{path}"


@pytest.fixture(scope="module", params=heavy_oldest())
def stack(request: pytest.FixtureRequest) -> Iterator[Three]:
    with Three(envoys()[request.param]) as running:
        yield running


@pytest.fixture(scope="module")
def chromium(stack: Three) -> Iterator[BrowserContext]:
    with stack.chromium() as context:
        yield context


@pytest.fixture
def page(stack: Three, chromium: BrowserContext) -> Iterator[Page]:
    """A page of a new profile."""
    with profile(chromium) as context:
        stack.app.requests.clear()
        yield context.new_page()


def reached(stack: Three) -> list[tuple[str, str, str | None]]:
    """What reached the applications behind the login: method, path, user."""
    return [
        (each.method, each.path, each.get("x-auth-sub"))
        for each in stack.app.requests
        if str(each.get("host")).startswith(APP)
    ]


def sign_in(stack: Three, page: Page) -> str:
    """Signs in at every application, and returns the user."""
    stack.app.requests.clear()
    for path in ("/private", "/api/private", "/self/private"):
        visit(page, stack.url(path))
        assert '"alice"' in page.inner_text("body")
    (user,) = {who for _, _, who in reached(stack)}
    assert user is not None
    stack.app.requests.clear()
    return user


@pytest.mark.attack("WEB-12")
def test_a_script_of_a_listed_page_learns_why_it_was_refused_and_works_after_a_login(
    stack: Three, page: Page
) -> None:
    visit(page, stack.www("/"))
    status, problem = page.evaluate(FETCH, ["PUT", stack.url("/api/items")])
    assert status == 401 and problem["login_url"].startswith(stack.url("/api/oauth2/login"))
    assert reached(stack) == [], "neither the preflight nor the PUT"
    user = sign_in(stack, page)
    visit(page, stack.www("/"))
    status, answer = page.evaluate(FETCH, ["PUT", stack.url("/api/items")])
    assert (status, answer["method"]) == (200, "PUT")
    assert reached(stack) == [("PUT", "/api/items", user)]
    assert page.evaluate(FETCH, ["DELETE", stack.url("/api/items")]) == "unreadable"
    assert len(reached(stack)) == 1, "cors does not list DELETE"


@pytest.mark.attack("WEB-12")
@pytest.mark.threat("foreign-page")
def test_a_page_of_another_origin_reads_nothing(stack: Three, page: Page) -> None:
    user = sign_in(stack, page)
    visit(page, stack.evil("/"))
    for path in ("/api/items", "/api/items?echo-cors=PUT", "/api/oauth2/sessions", "/items"):
        assert page.evaluate(FETCH, ["PUT", stack.url(path)]) == "unreadable", path
    assert reached(stack) == [], "no preflight was allowed"
    for path in ("/api/items", "/api/items?echo-cors=PUT", "/api/oauth2/userinfo"):
        assert page.evaluate(FETCH, ["GET", stack.url(path)]) == "unreadable", path
    assert set(reached(stack)) == {("GET", "/api/items", user)}, "as a picture would"
    visit(page, stack.www("/"))
    assert page.evaluate(FETCH, ["GET", stack.url("/api/oauth2/userinfo")]) == "unreadable"
    assert page.evaluate(FETCH, ["GET", stack.url("/api/items")])[0] == 200


@pytest.mark.attack("WEB-12")
def test_an_application_that_answers_preflights_gets_them_without_the_user(
    stack: Three, page: Page
) -> None:
    user = sign_in(stack, page)
    visit(page, stack.www("/"))
    assert page.evaluate(FETCH, ["PUT", stack.url("/self/items?echo-cors=PUT")])[0] == 200
    assert reached(stack) == [("OPTIONS", "/self/items", None), ("PUT", "/self/items", user)]
    assert page.evaluate(FETCH, ["PUT", stack.url("/self/items")]) == "unreadable"
    assert reached(stack)[2:] == [("OPTIONS", "/self/items", None)]
