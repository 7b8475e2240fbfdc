"""The processor's log and Envoy's access log say who signed in and out (log.users)."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from harness.envoy import envoys, in_turns
from harness.fake_provider import FakeProvider
from harness.gateway import Stack

NAMES = {"none": None, "sub": "alice", "email": "alice@example.com"}


@pytest.fixture(
    scope="module",
    params=in_turns(envoys(), NAMES),
    ids=lambda value: "-".join(value),
)
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    version, users = request.param
    settings = {"log": {"users": users, "format": "json"}}
    with Stack(FakeProvider(behind=False), envoy=envoys()[version], settings=settings) as running:
        yield running


@pytest.fixture
def name(stack: Stack) -> str | None:
    return NAMES[stack.settings["log"]["users"]]


def lines(stack: Stack, path: str, **wanted: Any) -> list[dict[str, Any]]:
    """The lines of Envoy's access log for a path, of which there is at least one."""
    wanted["path"] = path
    return stack.access_log(lambda line: wanted.items() <= line.items())


def logged(stack: Stack, reason: str) -> dict[str, Any]:
    """The last line of the processor's log with this reason."""
    found = [json.loads(line) for line in stack.extproc.output().splitlines() if reason in line]
    return [line for line in found if line.get("reason") == reason][-1]


def test_the_logs_say_who_signed_in_who_came_and_who_signed_out(stack, name):
    with stack.user() as user:
        user.go(stack.url("/by-the-assertion"))
        user.cookies.drop("extproc-assertion-app")
        assert user.navigate(stack.url("/by-the-session")).status_code == 200
        user.navigate(stack.url("/oauth2/logout"), page=stack.url("/by-the-session"))
    (signed_in,) = lines(stack, "/oauth2/callback", reason="signed_in")
    (fast,) = lines(stack, "/by-the-assertion", status=200)
    (asked,) = lines(stack, "/by-the-session", status=200)
    (signed_out,) = lines(stack, "/oauth2/logout")
    assert fast["lane"] is None and asked["lane"] == "inline"
    assert {line.get("user") for line in (signed_in, fast, asked, signed_out)} == {name}
    assert logged(stack, "signed_in").get("user") == name
    assert logged(stack, "signed_out").get("user") == name


def test_no_client_writes_a_name_into_the_access_log(stack, name):
    """Envoy refuses the first two before its filters, which drop such headers."""
    forged = {"x-auth-sub": "root", "x-auth-email": "root@example.com", "user": "root"}
    with stack.user() as user:
        for path in ("/a%00b", "/%2e%2e/..%2f..%2fb", "/plain", "/oauth2/userinfo"):
            user.request("GET", stack.url(path), headers=forged)
    with stack.user() as user:
        user.go(stack.url("/mine"))
        user.request("GET", stack.url("/mine-forged"), headers=forged)
    stack.access_log(lambda line: line["path"] == "/mine-forged" and line["status"] == 200)
    assert {line.get("user") for line in stack.access_log()} <= {None, name}
