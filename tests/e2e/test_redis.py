"""Sessions in Redis behind a real Envoy: away, slow, back; and shared by several processors."""

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from harness.browser import WebUser
from harness.fake_provider import FakeProvider
from harness.gateway import ROOT, Stack
from harness.load import PacedLoad
from harness.ports import free_port
from harness.processes import Process, wait_until
from harness.redis import Cluster, RedisServer, Replicated


def kept_in(server: RedisServer, **more: object) -> dict[str, object]:
    return {"store": {"path": None, "kind": "redis", "servers": [server.address], **more}}


def ready(stack: Stack) -> httpx.Response:
    return httpx.get(f"{stack.admin}/readyz", trust_env=False)


def again(user: WebUser, stack: Stack, path: str = "/private") -> httpx.Response:
    """Make a request without an assertion, so that the processor asks the store."""
    user.cookies.drop("extproc-assertion-app")
    return user.navigate(stack.url(path))


def sign_out(user: WebUser, stack: Stack) -> httpx.Response:
    return user.navigate(stack.url("/oauth2/logout"), "POST", page=stack.url("/"), content=b"")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, RedisServer]]:
    """For tests that leave server and gateway as they found them."""
    server = RedisServer(
        tmp_path_factory.mktemp("redis"), "--appendonly", "yes", "--appendfsync", "always"
    )
    with server, Stack(FakeProvider(), settings=kept_in(server, deadline=2)) as stack:
        yield stack, server


def unavailable(answer: httpx.Response) -> bool:
    """503 with Retry-After and no change of cookies, so that users stay signed in."""
    return (
        (answer.status_code, int(answer.headers.get("retry-after", 0)) > 0) == (503, True)
        and ">store_unavailable<" in answer.text
        and "set-cookie" not in answer.headers
    )


@pytest.mark.attack("REL-15", "REL-38")
def test_redis_goes_down_and_comes_back_and_everybody_is_still_signed_in(
    shared: tuple[Stack, RedisServer],
) -> None:
    stack, server = shared
    with stack.user() as user, stack.user("bob") as other:
        assert user.go(stack.url("/private")).status_code == 200
        assert again(user, stack).status_code == 200
        wait_until(lambda: ready(stack).status_code == 200)
        callback = other.navigate(other.navigate(stack.url("/b")).headers["location"]).headers[
            "location"
        ]
        # It has an assertion again.
        user.navigate(stack.url("/private"))

        redeemed = len(stack.provider.redeemed)

        server.kill()
        asked = stack.streams()
        # The fast path.
        assert user.navigate(stack.url("/private")).status_code == 200 and stack.streams() == asked
        assert unavailable(again(user, stack))
        # nothing was consumed
        assert unavailable(other.navigate(callback)) and len(stack.provider.redeemed) == redeemed
        assert httpx.get(stack.url("/public/x"), trust_env=False).status_code == 200
        wait_until(lambda: ready(stack).status_code == 503)
        assert [part["part"] for part in ready(stack).json()["missing"]] == ["store"]
        assert httpx.get(f"{stack.admin}/livez", trust_env=False).status_code == 200
        # A logout that fails is not reported as a success.
        assert unavailable(sign_out(user, stack))

        server.start()
        wait_until(lambda: again(user, stack).status_code == 200, 60)
        wait_until(lambda: ready(stack).status_code == 200)
        # A reload completes the login.
        assert other.navigate(callback).headers["location"] == stack.url("/b")
        copy = user.cookies.get("extproc-session-app")
        assert sign_out(user, stack).status_code == 303
        user.cookies.put(copy)
        # The session has ended, also for copies of its cookie.
        assert again(user, stack).status_code == 303
        assert "internal_error" not in stack.extproc.output()


@pytest.mark.attack("REL-16")
def test_redis_that_is_silent_holds_nobody_up(shared: tuple[Stack, RedisServer]) -> None:
    stack, server = shared
    with stack.user() as user, ThreadPoolExecutor(10) as pool:
        assert user.go(stack.url("/private")).status_code == 200
        session = {"cookie": f"extproc-session-app={user.cookies.get('extproc-session-app').value}"}
        server.process.send(signal.SIGSTOP)
        try:
            ask = lambda path: httpx.get(  # noqa: E731
                stack.url(path), headers=session, trust_env=False, timeout=60
            )
            private = [pool.submit(ask, "/private") for _ in range(8)]
            assert ask("/public/x").status_code == 200
            assert {answer.result().status_code for answer in private} == {503}
            # By the assertion.
            assert user.navigate(stack.url("/private")).status_code == 200
        finally:
            server.process.send(signal.SIGCONT)
        wait_until(lambda: again(user, stack).status_code == 200, 60)


@pytest.mark.attack("REL-17")
def test_redis_is_restarted_between_two_requests_and_nobody_notices(
    shared: tuple[Stack, RedisServer],
) -> None:
    stack, server = shared
    with stack.user() as user:
        assert user.go(stack.url("/private")).status_code == 200
        for _ in range(3):
            server.kill()
            server.start()
            assert again(user, stack).status_code == 200


def test_a_wrong_password_keeps_the_processor_serving_and_is_said_where_an_operator_looks(
    server: RedisServer,
) -> None:
    server.config("requirepass", "right-password")
    server.password = "right-password"
    with (
        Stack(FakeProvider(), settings=kept_in(server, password="wrong-password")) as stack,
        stack.user() as user,
    ):
        wait_until(lambda: "store.password" in ready(stack).text)
        assert httpx.get(stack.url("/public/x"), trust_env=False).status_code == 200
        callback = user.navigate(user.navigate(stack.url("/private")).headers["location"]).headers[
            "location"
        ]
        assert unavailable(user.navigate(callback))
        lines = [json.loads(line) for line in stack.extproc.output().splitlines()]
        assert any(
            line["event"] == "store_not_ready" and "store.password" in line["detail"]
            for line in lines
        )
        argv = [sys.executable, "-m", "extproc", "check", "--config", stack.config]
        check = Process(
            "check", argv, log=stack.directory / "check.log", env={"PYTHONPATH": str(ROOT)}
        )
        assert (
            check.wait(60) == 1
            and "error: store: " in check.output()
            and "store.password" in check.output()
        )
        server.config("requirepass", "wrong-password")
        server.password = "wrong-password"
        wait_until(lambda: user.navigate(callback).status_code == 303, 60, every=0.2)
        assert "wrong-password" not in stack.extproc.output() + check.output()


def processors(stack: Stack, number: int, undo: ExitStack) -> list[Process]:
    """More processors, with the same settings except the address they listen on."""
    settings, more = yaml.safe_load(stack.config.read_text()), []
    for place, listen in enumerate(settings["gateway"]["processors"][1:]):
        own = settings | {"listen": listen, "admin": f"127.0.0.1:{free_port()}"}
        config = stack.directory / f"{place}.yaml"
        config.write_text(yaml.safe_dump(own))
        argv = [sys.executable, "-m", "extproc", "serve", "--config", config]
        env = {"PYTHONPATH": str(ROOT)}
        one = Process(
            f"processor {place}", argv, log=config.with_suffix(".log"), env=env, cwd=stack.directory
        )
        undo.callback(one.stop)
        more.append(one.wait_ready(lambda one=one: '"serving"' in one.output(), 60))
    known = "cluster.processor.membership_healthy"
    wait_until(lambda: stack.stat(known) == len(more) + 1, 60, "Envoy to find them all")
    return more


@pytest.mark.attack("REL-36")
@pytest.mark.heavy
def test_a_login_begins_at_one_processor_is_finished_at_another_and_ends_at_a_third(
    tmp_path: Path,
) -> None:
    with Cluster(tmp_path) as cluster, ExitStack() as undo:

        def three(stack: Stack) -> dict[str, object]:
            store = {
                "path": None,
                "kind": "redis",
                "mode": "cluster",
                "servers": cluster.addresses[:3],
                "deadline": 2,
            }
            listen = stack.settings.get("listen", "127.0.0.1:1")
            return {"gateway": {"processors": [listen, *more]}, "store": store}

        more = [f"127.0.0.1:{free_port()}" for _ in range(2)]
        stack = undo.enter_context(Stack(FakeProvider(), settings=three))
        all_three = [stack.extproc, *processors(stack, 2, undo)]
        # Envoy chooses a processor at random, and of a user's requests only a login and a logout
        # are in its log.
        users = 0
        while users < 5 or not all('"answered"' in each.output() for each in all_three):
            users += 1
            assert users < 60, "a processor that Envoy never chooses"
            with stack.user(f"user{users}") as user:
                assert user.go(stack.url("/private")).status_code == 200
                assert again(user, stack).status_code == 200
                copy = user.cookies.get("extproc-session-app")
                assert sign_out(user, stack).status_code == 303
                user.cookies.put(copy)
                assert {again(user, stack).status_code for _ in range(4)} == {303}


def watched(folder: Path) -> tuple[Replicated, Callable[[Replicated], dict[str, object]]]:
    return Replicated(folder), lambda it: {
        "mode": "sentinel",
        "servers": it.sentinels,
        "master": it.name,
    }


def sharded(folder: Path) -> tuple[Cluster, Callable[[Cluster], dict[str, object]]]:
    return Cluster(folder), lambda it: {"mode": "cluster", "servers": it.addresses}


@pytest.mark.heavy
@pytest.mark.parametrize("servers", [watched, sharded])
def test_a_failover_under_200_requests_a_second_costs_no_session_and_answers_200_or_503_alone(
    tmp_path: Path, servers: Callable[[Path], Any]
) -> None:
    several, settings = servers(tmp_path)
    with several:
        # A deadline that a busy machine keeps, because only the servers' failures count here.
        store = {"path": None, "kind": "redis", "deadline": 1, **settings(several)}
        with Stack(FakeProvider(), settings={"store": store}) as stack:
            cookies = []
            for number in range(20):
                stack.provider.user = f"user{number}"
                with stack.user() as user:
                    assert user.go(stack.url("/private")).status_code == 200
                    user.cookies.drop("extproc-assertion-app")
                    cookies.append(user.cookies.header(stack.url("/private")))
            with PacedLoad(stack, cookies) as load:
                load.wait_until_well()
                master = several.master() if isinstance(several, Replicated) else several.masters[0]
                before, killed = len(load.answers), time.monotonic()
                master.kill()
                wait_until(
                    lambda: any(answer.status == 503 for answer in load.answers[before:]),
                    60,
                    "a 503",
                )
                load.wait_until_well()
            print(f"{servers.__name__}: {load.summary(killed)}")
            for answer in load.answers:
                assert answer.status in (200, 503), answer
                if answer.status == 503:
                    assert (
                        int(answer.head.partition("\r\nretry-after: ")[2].partition("\r\n")[0]) > 0
                    )
                    assert (
                        "store_unavailable" in answer.body and "\r\nset-cookie:" not in answer.head
                    )
                else:
                    assert ["x-auth-sub", f"user{answer.session}"] in json.loads(answer.body)[
                        "headers"
                    ]
            assert {answer.session for answer in load.answers[-200:]} == set(range(20))
