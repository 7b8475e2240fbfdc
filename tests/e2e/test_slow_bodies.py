"""Clients that send the body of a back-channel logout slowly, or never, keep no other request out.

Such a body is the only part of a request for which the processor waits.
"""

import itertools
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import httpx
import pytest
from harness.envoy import envoys, heavy_oldest
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.processes import wait_until
from harness.raw_http import H2

from extproc.core.oidc.logout_token import EVENT

BACK, FORM = "/oauth2/backchannel-logout", "application/x-www-form-urlencoded"
# fewer streams than slow clients, and fewer places for bodies than that
STREAMS, ROOM, MANY = 12, 4, 20
LIMITS = {"limits": {"streams": STREAMS, "body": ROOM}}
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module", params=heavy_oldest())
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    provider = FakeProvider(behind=False)
    with Stack(provider, envoy=envoys()[request.param], settings=LIMITS) as running:
        yield running


def begun(stack: Stack, length: str) -> socket.socket:
    """A connection with a request whose body lacks everything but its first byte.

    length: the header that announces the body.
    """
    connection = socket.create_connection(("127.0.0.1", stack.port), 30)
    first = "1\r\nl\r\n" if length.startswith("transfer") else "l"
    connection.sendall(
        f"POST {BACK} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {FORM}\r\n{length}\r\n\r\n"
        f"{first}".encode()
    )
    return connection


def has_taken(stack: Stack, before: int, many: int) -> bool:
    """Whether the processor has so many more streams than before, and is not in a burst of them."""
    return stack.streams() == before + many and stack.gauges()["streams"] <= STREAMS


def is_answered(connection: socket.socket) -> bool:
    try:
        connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    return True


def logged_out(stack: Stack, sid: str) -> int:
    now = int(time.time())
    claims = {
        "iss": stack.provider.issuer,
        "aud": "gateway",
        "iat": now,
        "exp": now + 120,
        "jti": f"jti-{next(NUMBERS)}",
        "events": {EVENT: {}},
        "sid": sid,
    }
    token = stack.provider.signer.sign(claims, typ="logout+jwt")
    answer = httpx.post(stack.url(BACK), data={"logout_token": token}, trust_env=False)
    return answer.status_code


def others_get_in(stack: Stack) -> None:
    """A login, a session without an assertion, and a provider's logout are served."""
    sid = stack.provider.claims["sid"] = f"sid-{next(NUMBERS)}"
    with stack.user() as user:
        assert user.go(stack.url("/private")).status_code == 200
        user.cookies.drop("extproc-assertion-app")
        assert user.navigate(stack.url("/private")).status_code == 200
        assert logged_out(stack, sid) == 200
        user.cookies.drop("extproc-assertion-app")
        assert user.navigate(stack.url("/private")).status_code == 303, "signed out"


@pytest.mark.attack("REL-35")
@pytest.mark.threat("bounds")
@pytest.mark.parametrize("length", ["content-length: 100", "transfer-encoding: chunked"])
def test_slow_bodies_have_their_own_places_and_the_oldest_make_room(
    stack: Stack, length: str
) -> None:
    before = stack.streams()
    with ExitStack() as undo:
        slow = []
        for number in range(1, MANY + 1):
            slow.append(undo.enter_context(begun(stack, length)))
            wait_until(partial(has_taken, stack, before, number), 30)
        others_get_in(stack)
        wait_until(lambda: sum(map(is_answered, slow)) >= MANY - ROOM, 30)
        assert stack.gauges()["held.body"] <= ROOM
    wait_until(lambda: not any(stack.held().values()), 30)


@pytest.mark.attack("REL-35")
def test_slow_bodies_of_one_http_2_connection_make_room_too(stack: Stack) -> None:
    headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", BACK),
        ("content-type", FORM),
    ]
    before = stack.streams()
    with H2(stack.port) as client:
        for number in range(1, MANY + 1):
            client.begin(headers, ends=False)
            wait_until(partial(has_taken, stack, before, number), 30)
        others_get_in(stack)
        assert stack.gauges()["held.body"] <= ROOM
    wait_until(lambda: not any(stack.held().values()), 30)
