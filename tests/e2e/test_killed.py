"""kill -9 of each part at each step of a login, while other users keep using the gateway.

Only requests in progress are lost, and a retry works. Steps that other tests have: a processor
alone before the callback and during the token request (test_held.py), Envoy during UserInfo
(attack/test_gateway.py), Redis before the callback (test_redis.py), workers under load without a
login (test_workers.py).
"""

import html
import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import httpx
import pytest
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.journey import to_callback
from harness.load import MOST, PacedLoad
from harness.processes import wait_until
from harness.redis import RedisServer

RATE = 100  # requests a second of signed-in users
ENOUGH = 20  # good answers in a row
# The steps by victim.
LISTED = {
    "worker": ("redirected", "/token", "/me", "written"),
    "processor": ("/me", "written"),
    "envoy": ("redirected", "/token", "written"),
    "provider": ("redirected", "/token", "/me"),
    "redis": ("/token", "/me", "written"),
}
# Statuses that signed-in users may get while the victim is away. 0: no answer.
BACKGROUND = {
    "worker": {503},
    "processor": {503},
    "envoy": {0},
    "provider": set[int](),
    "redis": {503},
}
# Statuses that the interrupted login may get.
INTERRUPTED = {
    "worker": {303, 503},
    "processor": {503},
    "envoy": {0},
    "provider": {303, 502, 503},
    "redis": {303, 503},
}


@dataclass
class Gateway:
    stack: Stack
    redis: RedisServer
    load: PacedLoad
    killed: int = 0  # workers

    def kill(self, victim: str) -> None:
        match victim:
            case "worker":
                workers = self.stack.extproc.children
                self.killed += 1
                os.kill(workers[self.killed % len(workers)], signal.SIGKILL)
            case "processor":
                self.stack.kill_extproc()
            case "envoy":
                self.stack.envoy.process.kill()
            case "provider":
                self.stack.provider.kill()
            case "redis":
                self.redis.kill()

    def restart(self, victim: str) -> None:
        match victim:
            case "worker":
                wait_until(
                    lambda: self.stack.extproc.output().count('"worker_restarted"') == self.killed,
                    60,
                )
            case "processor":
                self.stack.start_extproc()
            case "envoy":
                self.stack.stop_envoy()
                self.stack.start_envoy()
            case "provider":
                self.stack.provider.restart()
            case "redis":
                self.redis.start()
        wait_until(lambda: self.stack.stat("cluster.processor.membership_healthy") == 2, 30)
        self.load.wait_until_well(ENOUGH)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    server = RedisServer(
        tmp_path_factory.mktemp("redis"), "--appendonly", "yes", "--appendfsync", "always"
    )
    settings = {"workers": 2, "store": {"path": None, "kind": "redis", "servers": [server.address]}}
    with server, Stack(FakeProvider(behind=False), settings=settings) as stack, ExitStack() as undo:
        cookies = []
        for _ in range(4):
            user = undo.enter_context(stack.user())
            assert user.go(stack.url("/private")).status_code == 200
            user.cookies.drop("extproc-assertion-app")
            cookies.append(user.cookies.header(stack.url("/")))
        load = undo.enter_context(PacedLoad(stack, cookies, RATE))
        load.wait_until_well(ENOUGH)
        yield Gateway(stack, server, load)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("victim", "step"),
    [(victim, step) for victim, steps in LISTED.items() for step in steps],
    ids=lambda value: value,
)
def test_what_is_killed_in_mid_login_loses_what_it_had_in_hand_and_a_retry_works(
    gateway: Gateway, victim: str, step: str
) -> None:
    stack = gateway.stack
    with stack.user() as user, ThreadPoolExecutor(1) as pool:
        callback = to_callback(stack, user, "/wanted")
        began, first = time.monotonic(), None
        if step.startswith("/"):
            with stack.provider.holding(step):
                first = pool.submit(user.navigate, callback)
                wait_until(lambda: stack.provider.held == 1, 60)
                gateway.kill(victim)
            assert status(first) in INTERRUPTED[victim]
        else:
            if step == "written":
                assert user.navigate(callback).status_code == 303
            gateway.kill(victim)
        gateway.restart(victim)
        user.cookies.drop("extproc-assertion-app")
        if step == "written":
            assert user.navigate(stack.url("/wanted")).status_code == 200, "the session is there"
        else:
            late = user.navigate(callback)
            if first is None:
                assert late.headers["location"] == stack.url("/wanted"), "nothing had been begun"
            elif late.status_code != 303:
                assert late.status_code == 400 and user.go(way_on(late)).status_code == 200, (
                    late.text
                )
            assert user.go(stack.url("/wanted")).status_code == 200, user.journey()
    bad = [answer for answer in gateway.load.answers if answer.at >= began and answer.status != 200]
    assert {answer.status for answer in bad} <= BACKGROUND[victim], gateway.load.summary(began)
    # Only the requests in progress may fail.
    if victim == "worker":
        assert len(bad) <= MOST, f"more than it can have had in hand: {gateway.load.summary(began)}"
    assert all(request.get("x-auth-sub") == "alice" for request in stack.app.requests)
    assert "internal_error" not in stack.extproc.output()


def way_on(page: httpx.Response) -> str:
    """The link of an error page by which the user continues."""
    found = re.search(r'class="?go"? href="([^"]+)"', page.text)
    assert found, page.text
    return str(page.url.join(html.unescape(found[1])))


def status(answer: Future[httpx.Response]) -> int:
    with suppress(httpx.TransportError):
        return answer.result(60).status_code
    return 0
