"""A user's own sessions, listed and ended through a real Envoy, and their maximum number.

In a store and in cookies.
"""

import itertools
import time
from urllib.parse import urljoin

import httpx
import pytest
from harness.browser import WebUser
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.html_forms import forms
from harness.stored_sessions import Kept

NUMBERS = itertools.count(1)
HOME = "/oauth2/sessions"
SCRIPTLESS = "default-src 'none'; style-src 'sha256-"


@pytest.fixture(scope="module")
def stored():
    def settings(stack: Stack):
        wiki = {
            "hosts": ["localhost"],
            "path_prefix": "/wiki/",
            "upstream": stack.app.url,
            "provider": "main",
        }
        return {"applications": {"wiki": wiki}, "session": {"per_user": 3}}

    with Stack(FakeProvider(), settings=settings) as stack:
        yield stack


@pytest.fixture(scope="module")
def in_cookies():
    def settings(stack: Stack):
        over = {"tombstones": {"path": str(stack.directory / "over.sqlite3")}}
        return {"store": {"kind": "cookie", "path": None, **over}}

    with Stack(FakeProvider(), settings=settings) as stack:
        yield stack


class People:
    """Browsers of one user whom no other test has."""

    def __init__(self, stack: Stack, count: int) -> None:
        self.stack, self.name = stack, f"user-{next(NUMBERS)}"
        self.browsers = [stack.user() for _ in range(count)]

    def __enter__(self) -> list[WebUser]:
        for browser in self.browsers:
            signs_in(self.stack, browser, self.name)
        self.stack.app.requests.clear()
        return self.browsers

    def __exit__(self, *_: object) -> None:
        for browser in self.browsers:
            browser.close()


def signs_in(
    stack: Stack, browser: WebUser, name: str, path: str = "/private", sid: str | None = None
) -> None:
    stack.provider.user, stack.provider.claims["sid"] = name, sid or f"sid-{next(NUMBERS)}"
    assert browser.go(stack.url(path)).status_code == 200


def lives(stack: Stack, browser: WebUser, path: str = "/private") -> bool:
    for cookie in browser.cookies.named("extproc-assertion-"):
        browser.cookies.drop(cookie.name)
    answer = browser.navigate(stack.url(path))
    assert answer.status_code in (200, 303), answer.text
    return answer.status_code == 200


def shows(stack: Stack, browser: WebUser) -> httpx.Response:
    page = browser.navigate(stack.url(HOME))
    assert page.status_code == 200, page.text
    assert (
        page.headers["cache-control"] == "no-store"
        and page.headers["x-content-type-options"] == "nosniff"
    )
    assert (
        page.headers["content-security-policy"].startswith(SCRIPTLESS)
        and "<script" not in page.text
    )
    assert "set-cookie" not in page.headers
    return page


def presses(
    browser: WebUser, page: httpx.Response, wanted: str, at: httpx.Response | str | None = None
) -> httpx.Response:
    """Press the button whose address contains this. at: its page, if that is not `page`."""
    (action,) = [form.action for form in forms(page) if wanted in form.action]
    return browser.navigate(urljoin(str(page.url), action), "POST", page=at or page, content=b"")


def handles(page: httpx.Response) -> list[str]:
    actions = [
        form.action
        for form in forms(page)
        if "end=" in form.action and "end=others" not in form.action
    ]
    return [action.partition("end=")[2].partition("&")[0] for action in actions]


@pytest.mark.attack("WEB-09", "WEB-13")
def test_a_user_sees_their_sessions_and_ends_one_then_all_others(stored):
    with People(stored, 3) as (mine, phone, tablet), People(stored, 1) as (stranger,):
        page = shows(stored, mine)
        # Each session has a heading and a button's label.
        assert page.text.count("Chrome on Linux") == 3 * 2 and page.text.count("This one") == 1
        assert "127.0.0.1" in page.text or "192." in page.text
        for secret in [
            cookie.value
            for browser in (mine, phone, tablet)
            for cookie in browser.cookies.named("extproc-")
        ]:
            assert secret not in page.text
        first, _ = handles(page)
        answer = presses(mine, page, first)
        assert (answer.status_code, answer.headers["location"]) == (303, stored.url(HOME))
        assert sorted([lives(stored, phone), lives(stored, tablet)]) == [False, True] and lives(
            stored, mine
        )
        assert len(handles(shows(stored, mine))) == 1
        assert presses(mine, shows(stored, mine), "end=others").status_code == 303
        assert (
            not lives(stored, phone)
            and not lives(stored, tablet)
            and lives(stored, mine)
            and lives(stored, stranger)
        )
        assert "nowhere else" in shows(stored, mine).text
        assert not [seen for seen in stored.app.requests if "oauth2" in seen.target]
        log = stored.extproc.output()
        assert '"own_sessions_ended"' in log and '"wanted": "one", "ended": 1' in log


def test_this_session_is_signed_out_by_the_logout(stored):
    with People(stored, 1) as (mine,):
        answer = presses(mine, shows(stored, mine), "/oauth2/logout")
        assert answer.headers["location"].startswith(
            f"{stored.provider.issuer}/logout?"
        ) and not lives(stored, mine)


def test_a_sign_in_is_one_whatever_the_applications(stored):
    with People(stored, 1) as (mine,), stored.user() as phone:
        name = stored.provider.user
        signs_in(stored, phone, name)
        signs_in(stored, phone, name, "/wiki/", sid=stored.provider.claims["sid"])
        page = shows(stored, mine)
        assert "app, wiki" in page.text and len(handles(page)) == 1
        presses(mine, page, handles(page)[0])
        assert (
            not lives(stored, phone) and not lives(stored, phone, "/wiki/") and lives(stored, mine)
        )


def test_nobody_is_shown_the_page_without_a_login_which_ends_there(stored):
    with stored.user() as user:
        stored.provider.user, stored.provider.claims["sid"] = "somebody", f"sid-{next(NUMBERS)}"
        refused = user.fetch(stored.url(HOME), page=stored.url("/public/"))
        assert refused.status_code == 401 and "set-cookie" not in refused.headers
        answer = user.navigate(stored.url(HOME))
        # To the provider, and to the callback.
        for _ in range(2):
            answer = user.navigate(answer.headers["location"])
        assert (answer.status_code, answer.headers["location"]) == (303, stored.url(HOME))
        assert "Your sessions" in shows(stored, user).text


@pytest.mark.attack("WEB-11")
def test_another_site_or_a_page_that_was_not_ours_ends_nothing(stored):
    with People(stored, 2) as (mine, phone), People(stored, 1) as (thief,):
        page = shows(stored, mine)
        evil = presses(mine, page, "end=others", at="http://evil.example/")
        assert evil.status_code in (401, 403) and "set-cookie" not in evil.headers
        # The browser sent no cookie (SameSite). With cookies it is refused as well.
        (action,) = [form.action for form in forms(page) if "end=others" in form.action]
        sent = {
            "sec-fetch-site": "cross-site",
            "origin": "http://evil.example",
            "accept": "text/html",
        }
        evil = mine.request("POST", stored.url(action), headers=sent)
        assert evil.status_code == 403 and "cross_site_logout" in evil.text
        # A form token of another page, and none.
        for url in (action.replace("form=", "form=x"), HOME + "?end=others"):
            stale = mine.navigate(stored.url(url), "POST", page=page, content=b"")
            assert (stale.status_code, stale.headers["location"]) == (
                303,
                stored.url(HOME + "?stale"),
            )
        theirs = thief.navigate(stored.url(action), "POST", page=shows(stored, thief), content=b"")
        assert theirs.headers["location"] == stored.url(HOME + "?stale")
        assert "Nothing was ended" in mine.navigate(stored.url(HOME + "?stale")).text
        assert lives(stored, phone) and lives(stored, mine)
        # It is no error to press twice, or to end what has ended meanwhile.
        assert [presses(mine, page, "end=others").headers["location"] for _ in range(2)] == [
            stored.url(HOME)
        ] * 2


def test_one_login_more_than_a_user_may_have_ends_the_oldest(stored):
    with People(stored, 3) as browsers, stored.user() as last:
        # So that no two sessions begin in the same second.
        for age, browser in zip((30, 20, 10), browsers, strict=True):
            Kept(stored).age(
                browser, created=int(time.time()) - age, access_expires=int(time.time()) + 300
            )
        signs_in(stored, last, stored.provider.user)
        browsers.append(last)
        assert [lives(stored, browser) for browser in browsers] == [False, True, True, True]
        script = browsers[0].fetch(stored.url("/private"), page=stored.url("/"))
        assert script.status_code == 401
        # Each application has a limit of its own.
        signs_in(stored, browsers[1], stored.provider.user, "/wiki/")
        assert [lives(stored, browser) for browser in browsers[1:]] == [True] * 3
        assert '"surplus_ended"' in stored.extproc.output()


@pytest.fixture(scope="module")
def as_it_comes():
    with Stack(FakeProvider()) as stack:
        yield stack


@pytest.mark.attack("REL-35")
def test_a_user_with_very_many_sessions_costs_a_page_and_the_next_login_ends_the_surplus(
    as_it_comes,
):
    """From before there was a limit, or from a time without one: 100 is the default."""
    stack = as_it_comes
    with People(stack, 1) as (mine,):
        Kept(stack).multiply(mine, 3000)
        page = shows(stack, mine)
        assert page.text.count("<li>") == 100 and len(page.content) < 100_000
        assert "and 2901 more exist." in page.text
        assert page.text.count("This one") == 1
        with stack.user() as phone:
            # Each login ends some of them, until there are as many as a user may have.
            for _ in range(3):
                signs_in(stack, phone, stack.provider.user)
                phone.cookies.drop(*[cookie.name for cookie in phone.cookies])
            signs_in(stack, phone, stack.provider.user)
            assert Kept(stack).of_user(phone) == 100
            assert lives(stack, phone) and lives(stack, mine)
            Kept(stack).multiply(mine, 300)
            assert presses(mine, shows(stack, mine), "end=others").status_code == 303
            assert Kept(stack).of_user(mine) == 1
            assert lives(stack, mine) and not lives(stack, phone)


def test_in_cookies_the_page_says_that_nobody_knows_and_signs_out_everywhere(in_cookies):
    with People(in_cookies, 2) as (mine, phone), People(in_cookies, 1) as (stranger,):
        page = shows(in_cookies, mine)
        assert "keeps no list of sessions" in page.text and page.text.count("Chrome on Linux") == 2
        answer = presses(mine, page, "end=everywhere")
        assert (answer.status_code, answer.headers["location"]) == (
            303,
            in_cookies.url("/oauth2/signed-out"),
        )
        assert not mine.cookies.named("extproc-")
        assert (
            not lives(in_cookies, phone)
            and not lives(in_cookies, mine)
            and lives(in_cookies, stranger)
        )


@pytest.mark.attack("WEB-11")
def test_the_page_s_own_buttons_work_where_a_browser_sends_no_fetch_metadata(stored):
    name = f"user-{next(NUMBERS)}"
    with WebUser(fetch_metadata=False) as mine, WebUser(fetch_metadata=False) as phone:
        signs_in(stored, mine, name)
        signs_in(stored, phone, name)
        page = mine.navigate(stored.url(HOME))
        assert (
            page.headers["referrer-policy"] == "same-origin"
            and "sec-fetch-mode" not in mine.hops[-1].sent
        )
        assert presses(mine, page, "end=others").headers["location"] == stored.url(HOME)
        assert lives(stored, mine) and not lives(stored, phone)
        (action,) = [form.action for form in forms(page) if "end=others" in form.action]
        for elsewhere in ("http://evil.localhost/", None):
            assert (
                mine.navigate(stored.url(action), "POST", page=elsewhere, content=b"").status_code
                == 403
            )
        # The page has a button for this session.
        alone = mine.navigate(stored.url(HOME))
        assert (
            "nowhere else" in alone.text
            and mine.submit(alone).status_code == 303
            and not lives(stored, mine)
        )
