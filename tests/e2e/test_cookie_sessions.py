"""Sessions kept entirely in cookies, through a real Envoy, and the revocations that end them."""

import random
import time
from dataclasses import replace

import httpx
import pytest
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.tokens import ENTROPY_BYTES, application, client, request

from extproc.core.oidc.claims import Claims
from extproc.core.sealing import KeyRing
from extproc.core.session import Session, SessionId
from extproc.core.session_cookie import session_cookies

SESSION, DATA = "extproc-session-app", "extproc-data-app"


def noise(length: int) -> str:
    """Text that does not compress well."""
    return "".join(random.Random(length).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length))


@pytest.fixture(scope="module")
def running():
    def settings(stack: Stack):
        return {
            "store": {
                "kind": "cookie",
                "path": None,
                "tombstones": {"path": str(stack.directory / "over.sqlite3")},
            }
        }

    with Stack(FakeProvider(), settings=settings) as stack:
        yield stack


def jar(user) -> dict[str, str]:
    return {
        cookie.name: cookie.value
        for cookie in user.cookies
        if cookie.name.startswith((SESSION, DATA))
    }


def asks(
    stack: Stack, cookies: dict[str, str], path: str = "/private", accept: str = "application/json"
) -> httpx.Response:
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return httpx.get(stack.url(path), headers={"cookie": header, "accept": accept}, trust_env=False)


def made(stack: Stack, hidden: str = "", **changes) -> dict[str, str]:
    """The cookies of a session that this gateway might have made at another time."""
    app = application(
        url=stack.url("/"),
        client=client(issuer=stack.provider.issuer),
        ring=KeyRing.of([stack.settings["secret"].encode()]),
    )
    now = int(time.time())
    known = Session(
        SessionId.of(b"s" * 32), stack.provider.issuer, "alice", Claims({"sub": "alice"}), "idt", "at" + hidden, None,
        now + 300, now - 600, now + 10_000, now,
    )  # fmt: skip
    cookies = session_cookies(
        app, request(cookie=""), replace(known, **changes), now, ENTROPY_BYTES
    )
    return {cookie.name: cookie.value for cookie in cookies}


@pytest.mark.attack("COOK-02")
def test_a_large_session_is_in_pieces_serves_and_ends_with_all_of_them(stack):
    stack.provider.claims["noise"] = noise(3500)
    with stack.user() as user:
        page = user.go(stack.url("/private?a=1"))
        assert page.status_code == 200 and ["x-auth-sub", "alice"] in page.json()["headers"]
        kept = jar(user)
        session, *data = kept
        assert session == SESSION and [name[-3:] for name in data] == ["0.0", "0.1", "0.2"]
        assert all(name.startswith(f"{DATA}.") for name in data) and kept[data[0]].startswith("3.")
        assert all(
            "extproc" not in value
            for received in stack.app.requests
            for _, value in received.headers
        )
        assert asks(stack, kept).status_code == 200  # without an assertion
        out = user.navigate(stack.url("/oauth2/logout"), "POST", page=page, content=b"")
        # The ID token is too long for a hint in an address.
        assert "client_id=" in out.headers["location"] and not user.cookies.named("extproc-")
        gone = [
            line for line in out.headers.get_list("set-cookie") if line.startswith((SESSION, DATA))
        ]
        assert len(gone) == 4 and all(
            "Path=/; HttpOnly; SameSite=Lax; Max-Age=0" in line for line in gone
        )
        # A copy of the cookies is revoked as well.
        assert asks(stack, kept).status_code == 401


@pytest.mark.attack("LOGO-19", "LOGO-23")
def test_what_is_over_stays_over_after_a_restart_and_what_is_not_lives_on(stack):
    with stack.user() as leaves, stack.user("bob") as stays:
        page = leaves.go(stack.url("/private"))
        copy = jar(leaves)
        leaves.navigate(stack.url("/oauth2/logout"), "POST", page=page, content=b"")
        stack.provider.user = "bob"
        try:
            stays.go(stack.url("/private"))
        finally:
            stack.provider.user = "alice"
        stack.stop_extproc()
        stack.start_extproc()
        assert asks(stack, copy).status_code == 401
        stays.cookies.drop("extproc-assertion-app")
        assert ["x-auth-sub", "bob"] in stays.navigate(stack.url("/private")).json()["headers"]


@pytest.mark.attack("COOK-11")
def test_a_session_that_does_not_fit_is_a_page_that_names_no_setting_and_no_loop(stack):
    stack.provider.claims["noise"] = noise(14_000)
    with stack.user() as user:
        page = user.go(stack.url("/private"))
        assert (
            page.status_code == 500
            and ">session_too_large<" in page.text
            and "Please contact the administrator." in page.text
            and "store" not in page.text
        )
        assert page.headers["x-trace-id"] in page.text
        assert not user.cookies.named("extproc-") and not stack.app.requests
        # The tokens that no session kept.
        assert len(stack.provider.revoked) == 1
    assert "session_too_large" in stack.extproc.output()


@pytest.mark.attack("COOK-08")
def test_pieces_of_two_sessions_are_nobody_and_are_cleared(stack):
    one, two = made(stack, noise(6000)), made(stack, noise(6001))
    assert (
        len(one) == 3
        and asks(stack, one).status_code == 200
        and asks(stack, two).status_code == 200
    )
    second = list(one)[2]
    mixed = one | {second: two[second]}
    stack.app.requests.clear()
    assert asks(stack, mixed).status_code == 401
    answer = asks(stack, mixed, accept="text/html")
    cleared = {
        line.partition("=")[0]
        for line in answer.headers.get_list("set-cookie")
        if "Max-Age=0" in line
    }
    assert answer.status_code == 303 and cleared == set(mixed) and not stack.app.requests


@pytest.mark.attack("COOK-17")
def test_both_limits_are_inside_the_seal(stack):
    now = int(time.time())
    assert asks(stack, made(stack)).status_code == 200
    assert asks(stack, made(stack, touched=now - 3601)).status_code == 401
    assert asks(stack, made(stack, expires=now)).status_code == 401


def test_last_use_is_written_with_the_application_s_answer_once_a_minute(stack):
    """The last use has a cookie of its own.

    A request that changes nothing sets no session cookie, however late its answer arrives.
    """
    cookies = made(stack, noise(14_000), touched=int(time.time()) - 3000)
    assert len(cookies) == 5
    answer = asks(stack, cookies, "/private?echo-cookie=own")
    assert answer.status_code == 200 and "private" in answer.headers["cache-control"]
    sets = dict(
        line.partition(";")[0].split("=", 1) for line in answer.headers.get_list("set-cookie")
    )
    used = next(name for name in sets if name.startswith("extproc-used-app."))
    assert set(sets) == {"own", "extproc-assertion-app", used}
    again = asks(stack, cookies | {used: sets[used]})
    assert again.status_code == 200
    assert [line.partition("=")[0] for line in again.headers.get_list("set-cookie")] == [
        "extproc-assertion-app"
    ]


@pytest.mark.attack("COOK-15")
def test_a_browser_whose_jar_is_full_gets_an_answer_and_a_way_out(stack):
    planted = {f"{DATA}.00ff.{number}.0": "A" * 300 for number in range(150)}
    answer = asks(stack, planted | {SESSION: "4." + "A" * 3000}, accept="text/html")
    assert answer.status_code in (303, 431) and not stack.app.requests


def test_without_a_store_for_tombstones_a_logout_holds_at_this_process_and_the_start_says_what_is_missing():
    settings = {
        "store": {"kind": "cookie", "path": None},
        "providers": {"main": {"backchannel_logout": False}},
    }
    with Stack(FakeProvider(), settings=settings) as stack, stack.user() as user:
        assert "tombstones_not_shared" in stack.extproc.output()
        page = user.go(stack.url("/private"))
        copy = jar(user)
        assert asks(stack, copy).status_code == 200
        user.navigate(stack.url("/oauth2/logout"), "POST", page=page, content=b"")
        assert asks(stack, copy).status_code == 401
