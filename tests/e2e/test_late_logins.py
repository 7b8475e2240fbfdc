"""Logins of one browser whose answers arrive late, with every kind of store.

A login is late in two ways: the provider keeps its callback waiting, or its answer is complete and
still on its way to the browser. Meanwhile the user signs out, or another user signs in with the
same browser. The late answer must sign in no user.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from harness.browser import NAVIGATION_ACCEPT, WebUser
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.journey import stored_sessions
from harness.processes import wait_for_next_second, wait_until

STORES = [
    "sqlite",
    "cookie",
    *(pytest.param(each, marks=pytest.mark.heavy) for each in ("cookie, marks in memory", "redis")),
]
TABS = 30


@pytest.fixture(scope="module", params=STORES)
def running(request: pytest.FixtureRequest) -> Iterator[Stack]:
    def settings(stack: Stack) -> dict[str, Any]:
        marks = {"tombstones": {"path": str(stack.directory / "over.sqlite3")}}
        store: dict[str, Any] = {}
        if request.param.startswith("cookie"):
            store = {"kind": "cookie", "path": None, **(marks if request.param == "cookie" else {})}
        elif request.param == "redis":
            servers = request.getfixturevalue("redis_servers")
            store = {"kind": "redis", "path": None, "servers": [servers.redis.address]}
        provider = (
            {"providers": {"main": {"backchannel_logout": False}}}
            if "memory" in request.param
            else {}
        )
        wiki = {
            "hosts": ["localhost"],
            "path_prefix": "/wiki/",
            "upstream": stack.app.url,
            "provider": "main",
        }
        return {
            "store": store,
            "timeouts": {"call": 55},
            "applications": {"wiki": wiki},
            **provider,
        }

    with Stack(FakeProvider(), settings=settings) as stack:
        yield stack


@pytest.fixture
def stack(running: Stack) -> Stack:
    running.provider.forget()
    return running


@pytest.fixture
def browser(stack: Stack) -> Iterator[WebUser]:
    with stack.user() as user:
        yield user


def begins(stack: Stack, browser: WebUser, name: str, path: str = "/private") -> str:
    """Sign in as `name` at the provider, in a tab. Returns the callback that it would open."""
    stack.provider.user = name
    started = browser.navigate(stack.url(path))
    return str(browser.navigate(started.headers["location"]).headers["location"])


def opens(browser: WebUser, callback: str) -> httpx.Response:
    """Open a callback in a tab of its own.

    The browser has not received its cookies yet; see comes().
    """
    headers = {"accept": NAVIGATION_ACCEPT, "cookie": browser.cookies.header(callback)}
    headers |= {
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "document",
    }
    return httpx.get(callback, headers=headers, trust_env=False)


def comes(browser: WebUser, answer: httpx.Response) -> httpx.Response:
    browser.cookies.receive(str(answer.url), answer.headers.get_list("set-cookie"))
    return answer


@contextmanager
def kept_waiting(
    stack: Stack, browser: WebUser, *callbacks: str
) -> Iterator[list[Future[httpx.Response]]]:
    """Callbacks whose codes the provider holds until the block ends.

    The provider answers other requests in the block immediately.
    """
    with (
        ThreadPoolExecutor(len(callbacks)) as pool,
        stack.provider.holding("/token", most=len(callbacks)),
    ):
        late = [pool.submit(opens, browser, callback) for callback in callbacks]
        wait_until(
            lambda: stack.provider.held == len(callbacks), 60, what="the callbacks at the provider"
        )
        yield late


def sees(stack: Stack, browser: WebUser, path: str = "/public/") -> str | None:
    """The user whom the application sees in this browser, or None.

    The processor decides it, without an earlier assertion.
    """
    for cookie in browser.cookies.named("extproc-assertion-"):
        browser.cookies.drop(cookie.name)
    # The second time Envoy decides, by the new assertion.
    for _ in range(2):
        assert browser.navigate(stack.url(path)).status_code == 200
    return stack.app.requests[-1].get("x-auth-sub")


def signs_out(stack: Stack, browser: WebUser) -> None:
    answer = browser.navigate(stack.url("/oauth2/logout"), "POST", page=stack.url("/"), content=b"")
    assert answer.status_code == 303 and not browser.cookies.named("extproc-session-app")


@pytest.mark.attack("COOK-27")
def test_a_login_that_the_provider_keeps_waiting_is_over_with_a_logout(
    stack: Stack, browser: WebUser
) -> None:
    callback, other = begins(stack, browser, "alice"), begins(stack, browser, "alice")
    comes(browser, opens(browser, other))
    assert sees(stack, browser) == "alice"
    wait_for_next_second()
    with kept_waiting(stack, browser, callback) as (late,):
        signs_out(stack, browser)
        before = len(stack.provider.revoked)
    answer = comes(browser, late.result(60))
    assert answer.status_code == 400 and ">signed_out_meanwhile<" in answer.text
    assert (
        "/oauth2/login?return_to=/private" in answer.text
        and len(stack.provider.revoked) == before + 1
    )
    assert sees(stack, browser) is None


def test_a_session_lasts_as_long_as_the_settings_say_however_long_the_provider_kept_its_login_waiting(
    stack: Stack, browser: WebUser
) -> None:
    callback = begins(stack, browser, "alice")
    with kept_waiting(stack, browser, callback) as (late,):
        wait_for_next_second()
        wait_for_next_second()
    set_cookies = late.result(60).headers.get_list("set-cookie")
    ages = {
        line.partition("=")[0]: int(line.partition("Max-Age=")[2].partition(";")[0])
        for line in set_cookies
    }
    assert ages["extproc-session-app"] == max(ages.values()) == 43_200


@pytest.mark.attack("COOK-27")
def test_a_login_that_the_provider_keeps_waiting_is_over_with_the_login_of_somebody_else(
    stack: Stack, browser: WebUser
) -> None:
    alice, bob = begins(stack, browser, "alice"), begins(stack, browser, "bob")
    with kept_waiting(stack, browser, alice) as (late,):
        assert comes(browser, opens(browser, bob)).status_code == 303
        assert sees(stack, browser) == "bob"
        before = list(stack.provider.revoked)
    answer = comes(browser, late.result(60))
    assert answer.status_code == 303 and answer.headers["location"] == stack.url("/private")
    assert [line.partition("=")[0] for line in answer.headers.get_list("set-cookie")] == [
        f"extproc-login-app-{alice.partition('state=')[2][:8]}"
    ]
    assert sees(stack, browser) == "bob" and stack.provider.revoked == before
    trace_id = answer.headers["x-trace-id"]
    (entry,) = stack.access_log(
        lambda line: line["trace_id"] == trace_id and line["application"] != "idp"
    )
    assert (entry["details"], entry["reason"], entry["lane"]) == ("overtaken", "overtaken", "held")


@pytest.mark.attack("COOK-27")
def test_a_login_that_the_login_of_somebody_else_overtook_is_over_with_the_logout_after_it(
    stack: Stack, browser: WebUser
) -> None:
    alice, bob = begins(stack, browser, "alice"), begins(stack, browser, "bob")
    with kept_waiting(stack, browser, alice) as (late,):
        comes(browser, opens(browser, bob))
        wait_for_next_second()
        signs_out(stack, browser)
    answer = comes(browser, late.result(60))
    assert answer.status_code == 400 and ">signed_out_meanwhile<" in answer.text
    assert sees(stack, browser) is None


@pytest.mark.attack("COOK-27")
def test_a_login_begun_before_that_of_somebody_else_is_over_wherever_its_answer_is(
    stack: Stack, browser: WebUser
) -> None:
    alice = begins(stack, browser, "alice")
    wait_for_next_second()
    bob = begins(stack, browser, "bob")
    late = opens(browser, alice)
    wait_for_next_second()
    assert comes(browser, opens(browser, bob)).status_code == 303 and sees(stack, browser) == "bob"
    comes(browser, late)
    assert sees(stack, browser) is None


@pytest.mark.attack("COOK-27")
def test_a_login_whose_answer_is_on_its_way_is_over_with_a_logout(
    stack: Stack, browser: WebUser
) -> None:
    callback, other = begins(stack, browser, "alice"), begins(stack, browser, "alice")
    comes(browser, opens(browser, other))
    wait_for_next_second()
    late = opens(browser, callback)
    assert late.status_code == 303 and any(
        "extproc-session-app=" in line for line in late.headers.get_list("set-cookie")
    )
    signs_out(stack, browser)
    comes(browser, late)
    assert sees(stack, browser) is None


@pytest.mark.attack("COOK-27")
def test_a_logout_for_all_ends_the_logins_under_way_at_the_other_applications(
    stack: Stack, browser: WebUser
) -> None:
    wiki, app = begins(stack, browser, "alice", "/wiki/"), begins(stack, browser, "alice")
    comes(browser, opens(browser, app))
    with kept_waiting(stack, browser, wiki) as (late,):
        signs_out(stack, browser)
    answer = comes(browser, late.result(60))
    assert answer.status_code == 400 and ">signed_out_meanwhile<" in answer.text


def test_a_login_that_goes_on_after_a_logout_or_after_another_login_signs_in(
    stack: Stack, browser: WebUser
) -> None:
    """The user returns to the tab in which the provider waits: that answer is not late."""
    first, second, third = (begins(stack, browser, name) for name in ("alice", "alice", "bob"))
    comes(browser, opens(browser, first))
    wait_for_next_second()
    assert (
        comes(browser, opens(browser, second)).status_code == 303
        and sees(stack, browser) == "alice"
    )
    signs_out(stack, browser)
    wait_for_next_second()
    assert (
        comes(browser, opens(browser, third)).status_code == 303 and sees(stack, browser) == "bob"
    )


def test_somebody_without_a_session_ends_no_login_by_a_logout(
    stack: Stack, browser: WebUser
) -> None:
    callback = begins(stack, browser, "alice")
    with kept_waiting(stack, browser, callback) as (late,):
        signs_out(stack, browser)
    assert comes(browser, late.result(60)).status_code == 303 and sees(stack, browser) == "alice"


def test_tabs_of_one_browser_sign_no_other_device_of_the_user_out() -> None:
    """Although a user has two sessions at most, and each tab signs in."""
    settings = {"session": {"per_user": 2}, "timeouts": {"call": 55}}
    with Stack(FakeProvider(), settings=settings) as stack, stack.user() as elsewhere:
        comes(elsewhere, opens(elsewhere, begins(stack, elsewhere, "alice")))
        with stack.user() as browser:
            callbacks = [begins(stack, browser, "alice", f"/private/{tab}") for tab in range(20)]
            with kept_waiting(stack, browser, *callbacks) as late:
                pass
            for answer in late:
                comes(browser, answer.result(60))
            assert sees(stack, browser) == "alice"
        assert sees(stack, elsewhere) == "alice"


def test_of_many_tabs_at_once_each_gets_its_page_and_one_session_stays(
    stack: Stack, browser: WebUser
) -> None:
    callbacks = [begins(stack, browser, "alice", f"/private/{number}") for number in range(TABS)]
    with kept_waiting(stack, browser, *callbacks) as late:
        pass
    answers = [answer.result(60) for answer in late]
    assert [(answer.status_code, answer.headers.get("location")) for answer in answers] == [
        (303, stack.url(f"/private/{number}")) for number in range(TABS)
    ]
    with_a_session = []
    for answer in answers:
        with stack.user() as alone:
            comes(alone, answer)
            held = alone.cookies.get("extproc-session-app")
            if held is not None and sees(stack, alone) == "alice":
                with_a_session.append((held.value, answer))
    assert len({value for value, _ in with_a_session}) == 1
    comes(browser, with_a_session[0][1])
    assert sees(stack, browser) == "alice"


@pytest.mark.attack("FLOW-11")
@pytest.mark.parametrize("running", ["sqlite", "redis"], indirect=True)
@pytest.mark.parametrize("last", [0, 1, 3], ids=lambda last: f"{last} comes last")
def test_callbacks_that_cross_each_other_s_answers_leave_one_session_whichever_comes_last(
    stack: Stack, browser: WebUser, last: int
) -> None:
    before = stored_sessions(stack)
    callbacks = [begins(stack, browser, "alice", f"/private/{number}") for number in range(4)]
    # Each is answered before the browser has received the answer to any other.
    answers = [opens(browser, callbacks[number]) for number in (2, 0, 3, 1)]
    for answer in (*answers[:last], *answers[last + 1 :], answers[last]):
        assert (answer.status_code, answer.headers["location"][:4]) == (303, "http")
        comes(browser, answer)
    assert sees(stack, browser) == "alice"
    assert stored_sessions(stack) == before + 1
    signs_out(stack, browser)
    assert stored_sessions(stack) == before
