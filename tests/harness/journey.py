"""A user's journey through a login and out again, with whatever provider a Stack has."""

from collections.abc import Mapping

import httpx

from harness.browser import WebUser
from harness.gateway import Stack, called

# A query as a browser sends it, with everything that a proxy might rewrite.
FIRST = "/private/report.html?q=a%20b+c&x=%2F%2f&empty=&=&r=http%3A%2F%2Fevil.example%2F&u=%E4%B8%96&a|b=[1]"
EXPECTED = {"x-auth-email": "alice@example.test", "x-auth-name": "Alice Example"}


def to_callback(
    stack: Stack,
    user: WebUser,
    path: str = "/private",
    *,
    headers: Mapping[str, str] | None = None,
    name: str | None = None,
) -> str:
    """Log in up to the provider's redirect: the address of the callback, not requested yet.

    Args:
        path: The page that the login began at, and its headers.
        name: Who signs in at a FakeProvider, instead of its `user`.
    """
    started = user.navigate(stack.url(path), headers=headers)
    assert started.status_code == 303, started.text
    return at_provider(user, started, name)


def stored_sessions(stack: Stack) -> int:
    """How many sessions the store has, as an operator sees it."""
    answer = called(stack.settings["admin"], "/sessions?all=1", headers={"x-extproc-operator": "1"})
    assert answer.status_code == 200, answer.text
    return len(answer.json()["sessions"])


def at_provider(user: WebUser, started: httpx.Response, name: str | None = None) -> str:
    """Follow the redirect to a FakeProvider: the address of the callback, not requested yet."""
    headers = {"x-user": name} if name else {}
    answer = user.navigate(started.headers["location"], headers=headers)
    return str(answer.headers["location"])


def signs_in(stack: Stack, user: WebUser, groups: set[str] | None = None) -> None:
    """Sign in.

    The login ends at the first address, byte for byte, and the application knows the user.
    """
    page = user.go(stack.url(FIRST))
    assert page.status_code == 200, user.journey()
    (received,) = stack.app.requests
    assert received.target == FIRST
    assert user.hops[-1].url == stack.url(FIRST)
    assert {name: received.get(name) for name in EXPECTED} == EXPECTED
    assert received.get("x-auth-sub")
    if groups is not None:
        assert set((received.get("x-auth-groups") or "").split(",")) == groups
    assert "extproc-" not in (received.get("cookie") or ""), (
        "a cookie of the gateway reached the application"
    )
    callback = next(hop for hop in user.hops if "/oauth2/callback" in hop.url)
    assert callback.status == 303
    assert callback.response.headers["cache-control"] == "no-store"


def is_quick_the_second_time(stack: Stack, user: WebUser) -> None:
    """Ask again: Envoy decides alone.

    The application gets the same headers, and none of those that the client sent itself.
    """
    first = stack.app.requests[-1]
    streams = stack.streams()
    spoofed = {"x-auth-sub": "root", "x-auth-email": "root@example.test", "x-auth-evil": "1"}
    page = user.navigate(stack.url("/second"), headers=spoofed)
    assert page.status_code == 200
    second = stack.app.requests[-1]
    ours = [pair for pair in second.headers if pair[0].startswith("x-auth-")]
    assert ours == [pair for pair in first.headers if pair[0].startswith("x-auth-")]
    assert stack.streams() == streams, "the second request went to the processor"


def tells_who_it_is(stack: Stack, user: WebUser) -> None:
    """Read the user at /oauth2/userinfo."""
    answer = user.fetch(stack.url("/oauth2/userinfo"), page=stack.url("/"))
    assert answer.status_code == 200
    assert answer.json()["email"] == EXPECTED["x-auth-email"]
    assert answer.headers["cache-control"] == "no-store"


def signs_out(stack: Stack, user: WebUser) -> None:
    """Sign out here and at the provider, back to the local page.

    Then a login is needed again, with the password.
    """
    before = len(stack.app.requests)
    start = len(user.hops)
    answer = user.navigate(stack.url("/oauth2/logout"), "POST", page=stack.url("/"))
    assert answer.status_code == 303
    assert not user.cookies.named("__Host-extproc-") + user.cookies.named("extproc-")
    page = user.go(answer.headers["location"], page=stack.url("/"))
    assert page.status_code == 200, user.journey()
    assert page.url.copy_with(query=None) == stack.url("/oauth2/signed-out")
    assert any(hop.url.startswith(stack.place.origin) for hop in user.hops[start:]), (
        "the provider was not asked to sign the user out"
    )
    assert user.fetch(stack.url("/oauth2/userinfo"), page=page).status_code == 401
    again = user.navigate(stack.url("/private"))
    assert again.status_code == 303
    asked = user.follow(again)
    assert "password" in asked.text, "the provider did not ask for the password again"
    assert len(stack.app.requests) == before


def whole_journey(stack: Stack, groups: set[str] | None = None, name: str = "alice") -> None:
    """Sign in, ask again, read the user, and sign out."""
    with stack.user(name) as user:
        signs_in(stack, user, groups)
        is_quick_the_second_time(stack, user)
        tells_who_it_is(stack, user)
        signs_out(stack, user)
