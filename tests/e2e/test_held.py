"""Logins that the processor holds: beyond the limit, abandoned, drained, killed.

Envoy has one worker, and the provider is behind it.
"""

import json
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest
import trio
import yaml
from harness.fake_provider import FakeProvider
from harness.gateway import ROOT, Stack
from harness.journey import to_callback
from harness.ports import free_port
from harness.processes import Process, descriptors, wait_until


def test_a_provider_behind_the_same_envoy_and_more_callbacks_than_the_lane_holds_deadlock_nothing() -> (
    None
):
    with (
        Stack(FakeProvider(), settings={"limits": {"callback": 5}}) as stack,
        ThreadPoolExecutor(12) as pool,
    ):
        users = [stack.user(f"user{n}") for n in range(12)]
        callbacks = [to_callback(stack, user, f"/page/{n}") for n, user in enumerate(users)]
        with stack.provider.holding("/token"):
            answers = [
                pool.submit(user.navigate, callback)
                for user, callback in zip(users, callbacks, strict=True)
            ]
            wait_until(
                lambda: sum(answer.done() for answer in answers) == 7 and stack.provider.held == 5,
                60,
            )
            refused = [n for n, answer in enumerate(answers) if answer.done()]
            for n in refused:
                answer = answers[n].result()
                assert (
                    answer.status_code,
                    ">overloaded<" in answer.text,
                    int(answer.headers["retry-after"]) > 0,
                ) == (
                    503,
                    True,
                    True,
                )
                # The login can still be completed.
                assert "set-cookie" not in answer.headers
            # Other requests are served meanwhile: public pages, new logins, and the provider's own
            # pages behind this Envoy.
            assert httpx.get(stack.url("/public/x"), trust_env=False).status_code == 200
            with stack.user() as other:
                assert to_callback(stack, other)
        finished = [n for n in range(12) if n not in refused]
        assert [answers[n].result().headers["location"] for n in finished] == [
            stack.url(f"/page/{n}") for n in finished
        ]
        # The user reloads the same address.
        for n in refused:
            assert users[n].navigate(callbacks[n]).headers["location"] == stack.url(f"/page/{n}")
        wait_until(lambda: stack.gauges()["held.callback"] == 0, 60)
        for user in users:
            user.close()


@pytest.mark.threat("bounds")
def test_callbacks_stuck_at_one_provider_starve_no_other() -> None:
    stuck, other = FakeProvider(), FakeProvider(behind=False)
    applications = lambda stack: {  # noqa: E731
        "providers": {"other": {"issuer": other.url, "client_id": "gateway", "client_secret": "x"}},
        "applications": {
            "two": {
                "hosts": ["localhost"],
                "path_prefix": "/two/",
                "upstream": stack.app.url,
                "provider": "other",
            }
        },
        "limits": {"callback": 10, "per_provider": 2},
    }
    other._thread.start()
    try:
        with Stack(stuck, settings=applications) as stack, ThreadPoolExecutor(4) as pool:
            users = [stack.user() for _ in range(4)]
            callbacks = [to_callback(stack, user) for user in users]
            with stuck.holding("/token"):
                answers = [
                    pool.submit(user.navigate, callback)
                    for user, callback in zip(users, callbacks, strict=True)
                ]
                wait_until(
                    lambda: sum(answer.done() for answer in answers) == 2 and stuck.held == 2, 60
                )
                with stack.user() as free:
                    assert free.go(stack.url("/two/x")).status_code == 200
            assert sorted(answer.result().status_code for answer in answers) == [303, 303, 503, 503]
            for user in users:
                user.close()
    finally:
        other.close()


@pytest.mark.attack("EXTP-04", "REL-03")
def test_a_login_that_takes_longer_than_envoy_waits_for_a_message_is_held() -> None:
    with (
        Stack(FakeProvider(), settings={"timeouts": {"message": 1}}) as stack,
        stack.user() as user,
        ThreadPoolExecutor(1) as pool,
    ):
        callback = to_callback(stack, user)
        with stack.provider.holding("/token"):
            answer = pool.submit(user.navigate, callback)
            wait_until(lambda: stack.provider.held == 1, 60)
            # By time: twice as long as Envoy waits without the override.
            time.sleep(2)
            assert not answer.done()
        assert answer.result(60).status_code == 303


@pytest.mark.attack("EXTP-05", "REL-29")
@pytest.mark.parametrize("where", ["/token", "/me"])
def test_a_client_that_leaves_in_mid_callback_leaks_no_token(where: str) -> None:
    with Stack(FakeProvider()) as stack, stack.user() as user:
        callback = to_callback(stack, user)
        host, _, path = callback.removeprefix("http://").partition("/")
        head = (
            f"GET /{path} HTTP/1.1\r\nhost: {host}\r\ncookie: "
            f"{user.cookies.header(callback)}\r\n\r\n"
        )
        with stack.provider.holding(where):
            with socket.create_connection(("127.0.0.1", stack.port)) as connection:
                connection.sendall(head.encode())
                wait_until(lambda: stack.provider.held == 1, 60)
            if where == "/me":
                # What can be cancelled is cancelled immediately.
                wait_until(lambda: stack.provider.revoked, 60)
            else:
                # By time: a cancelled call would have ended.
                time.sleep(0.3)
                assert stack.provider.held == 1
        # The token request that was sent is completed, and its tokens are revoked.
        wait_until(lambda: len(stack.provider.revoked) == 1, 60)
        assert len(stack.provider.redeemed) == 1
        wait_until(lambda: stack.gauges()["held.callback"] == 0, 60, every=0.2)


async def abandon(stack: Stack, callbacks: list[tuple[str, str]]) -> None:
    """Open every callback, and disconnect when the provider holds a request for each."""

    async def one(callback: str, cookies: str) -> None:
        host, _, path = callback.removeprefix("http://").partition("/")
        async with await trio.open_tcp_stream("127.0.0.1", int(host.rpartition(":")[2])) as stream:
            await stream.send_all(
                f"GET /{path} HTTP/1.1\r\nhost: {host}\r\ncookie: {cookies}\r\n\r\n".encode()
            )
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for callback, cookies in callbacks:
            nursery.start_soon(one, callback, cookies)
        with trio.fail_after(60):
            while stack.provider.held < len(callbacks):
                await trio.sleep(0.02)
        nursery.cancel_scope.cancel()


def abandoned(stack: Stack, logins: int) -> None:
    """Abandon so many logins in the callback, and wait until the processor holds none."""
    callbacks = []
    for _ in range(logins):
        with stack.user() as user:
            callback = to_callback(stack, user)
            callbacks.append((callback, user.cookies.header(callback)))
    with stack.provider.holding("/token"):
        trio.run(abandon, stack, callbacks)
    wait_until(
        lambda: stack.gauges()["held.callback"] == 0 and stack.gauges()["streams"] == 0,
        60,
        every=0.2,
    )


@pytest.mark.attack("REL-29")
@pytest.mark.threat("bounds")
@pytest.mark.heavy
def test_a_thousand_logins_abandoned_in_mid_callback_leave_nothing_behind() -> None:
    with Stack(FakeProvider(), settings={"timeouts": {"call": 60, "callback": 90}}) as stack:
        with stack.user() as user:
            assert user.go(stack.url("/private")).status_code == 200
        # A few first, so that everything exists that the processor makes at its first use.
        abandoned(stack, 25)
        base, fds = stack.gauges(), descriptors(stack.extproc.pid)
        for _ in range(4):
            abandoned(stack, 250)
        for side in ("trio.tasks", "asyncio.tasks"):
            wait_until(
                lambda side=side: stack.gauges()[side] <= base[side] + 2,
                60,
                f"the {side} to end",
                every=0.5,
            )
        # What stays open are idle connections, which the pool limits.
        wait_until(lambda: descriptors(stack.extproc.pid) <= fds + 40, 60)
        wait_until(lambda: stack.stat("cluster.processor.upstream_rq_active") == 0, 60)
        assert stack.stat("http.in.ext_proc.failure_mode_allowed") == 0
        assert "internal_error" not in stack.extproc.output()
        with stack.user() as user:
            assert user.go(stack.url("/private")).status_code == 200


@pytest.mark.attack("REL-22")
def test_a_processor_killed_between_redirect_and_callback_completes_the_login_after_its_restart() -> (
    None
):
    with Stack(FakeProvider()) as stack, stack.user() as user, stack.user() as signed_in:
        signed_in.go(stack.url("/private"))
        callback = to_callback(stack, user, "/wanted?a=1")
        stack.kill_extproc()
        signed_in.cookies.drop("extproc-assertion-app")
        # A processor that is down causes an error, and never access.
        assert signed_in.navigate(stack.url("/private")).status_code >= 500
        stack.app.requests.clear()
        stack.start_extproc()
        wait_until(
            lambda: user.navigate(callback).headers.get("location") == stack.url("/wanted?a=1"),
            60,
            every=0.3,
        )
        # The session is still there.
        assert signed_in.navigate(stack.url("/private")).status_code == 200


@pytest.mark.attack("REL-23")
def test_a_processor_killed_in_mid_exchange_leaves_no_half_session() -> None:
    with Stack(FakeProvider()) as stack, stack.user() as user, ThreadPoolExecutor(1) as pool:
        callback = to_callback(stack, user)
        with stack.provider.holding("/token"):
            answer = pool.submit(user.navigate, callback)
            wait_until(lambda: stack.provider.held == 1, 60)
            stack.kill_extproc()
            assert answer.result(60).status_code >= 500
        stack.start_extproc()
        assert (
            user.navigate(callback).status_code == 400
            and len(stack.provider.requests_to("/token")) == 1
        )
        assert user.go(stack.url("/private")).status_code == 200


@pytest.mark.attack("REL-24")
def test_sigterm_lets_a_held_login_finish() -> None:
    with Stack(FakeProvider()) as stack, stack.user() as user, ThreadPoolExecutor(2) as pool:
        callback = to_callback(stack, user)
        with stack.provider.holding("/token"):
            answer = pool.submit(user.navigate, callback)
            wait_until(lambda: stack.provider.held == 1, 60)
            stopped = pool.submit(stack.stop_extproc)
            wait_until(lambda: '"draining"' in stack.extproc.output(), 60)
        assert answer.result(60).status_code == 303 and stopped.result(60) == 0
        lines = [json.loads(line) for line in stack.extproc.output().splitlines()]
        assert lines[-1]["event"] == "stopped"
        stack.start_extproc()
        assert user.navigate(stack.url("/private")).status_code == 200


def test_two_applications_on_one_host_do_not_take_each_other_s_cookies() -> None:
    both: Callable[[Stack], dict[str, object]] = lambda stack: {  # noqa: E731
        "applications": {
            "two": {
                "hosts": ["localhost"],
                "path_prefix": "/two/",
                "upstream": stack.app.url,
                "provider": "main",
            }
        }
    }
    with Stack(FakeProvider(), settings=both) as stack, stack.user() as user:
        user.go(stack.url("/private"))
        for kind in ("session", "assertion"):
            value = user.cookies.get(f"extproc-{kind}-app").value
            answer = httpx.get(
                stack.url("/two/x"),
                headers={
                    "cookie": f"extproc-{kind}-two={value}; extproc-{kind}-app={value}; a=1",
                    "accept": "application/json",
                },
                trust_env=False,
            )
            assert answer.status_code == 401
        user.go(stack.url("/two/x"))
        assert len(list(user.cookies.named("extproc-session-"))) == 2
        for path in ("/private", "/two/x"):
            page = user.navigate(stack.url(path))
            assert page.status_code == 200 and "extproc-" not in str(page.json()["headers"])


def test_the_processor_on_a_unix_socket() -> None:
    listen = lambda stack: {"listen": f"unix:{stack.directory}/extproc.sock"}  # noqa: E731
    with Stack(FakeProvider(), settings=listen) as stack, stack.user() as user:
        assert user.go(stack.url("/private")).status_code == 200


def test_an_excluded_application_and_public_paths() -> None:
    with Stack(FakeProvider()) as stack:
        streams = stack.streams()
        for _ in range(5):
            assert (
                httpx.get(
                    f"{stack.origin}/.well-known/openid-configuration",
                    headers={"x-auth-sub": "evil"},
                    trust_env=False,
                ).status_code
                == 200
            )
        assert stack.streams() == streams
        assert all("x-auth-sub" not in asked.headers for asked in stack.provider.requests)
        page = httpx.get(stack.url("/public/x"), headers={"x-auth-sub": "evil"}, trust_env=False)
        assert page.status_code == 200 and "x-auth-sub" not in dict(page.json()["headers"])


@pytest.mark.attack("WEB-05")
@pytest.mark.threat("secrets")
def test_no_secret_is_in_the_log_at_debug() -> None:
    with Stack(FakeProvider(), settings={"log": {"level": "DEBUG"}}) as stack, stack.user() as user:
        callback = to_callback(stack, user)
        cookies = user.cookies.header(callback)
        user.navigate(callback)
        session = user.cookies.get("extproc-session-app").value
        for lie in ({"nonce": "x"}, {"iss": "x"}):
            stack.provider.claims.update(lie)
            with stack.user() as other:
                other.go(stack.url("/private"))
        stack.provider.answers["/token"] = lambda asked: (
            400,
            {},
            json.dumps({"error": "x", "error_description": "CANARY"}).encode(),
        )
        with stack.user() as other:
            other.go(stack.url("/private"))
        # By time: so that a late log line would be seen as well.
        time.sleep(0.3)
        log = stack.extproc.output()
        traces = httpx.get(f"{stack.admin}/traces.json", trust_env=False).text
        for secret in (
            stack.settings["secret"],
            "gateway-secret",
            "code=",
            "at-alice",
            "rt-",
            session,
            cookies.partition("=")[2][:40],
            "CANARY",
        ):
            assert secret not in log and secret not in traces, secret
        assert all(json.loads(line)["event"] for line in log.splitlines())


@pytest.mark.attack("REL-36")
def test_two_processors_share_logins_and_sessions() -> None:
    def both(stack: Stack) -> dict[str, object]:
        second = f"127.0.0.1:{free_port()}"
        return (
            {"gateway": {"processors": [stack.settings["listen"], second]}}
            if "listen" in stack.settings
            else {}
        )

    with Stack(FakeProvider(), settings=both) as stack, ExitStack() as undo:
        settings = yaml.safe_load(stack.config.read_text())
        settings |= {
            "listen": settings["gateway"]["processors"][1],
            "admin": f"127.0.0.1:{free_port()}",
        }
        (stack.directory / "second.yaml").write_text(yaml.safe_dump(settings))
        argv = [
            sys.executable,
            "-m",
            "extproc",
            "serve",
            "--config",
            stack.directory / "second.yaml",
        ]
        second = Process(
            "second",
            argv,
            log=stack.directory / "second.log",
            env={"PYTHONPATH": str(ROOT)},
            cwd=stack.directory,
        )
        undo.callback(second.stop)
        second.wait_ready(lambda: '"serving"' in second.output(), 60)
        wait_until(
            lambda: stack.stat("cluster.processor.membership_healthy") == 2,
            60,
            "Envoy to find both",
        )
        # REL-36: Envoy sends redirect, callback, page and logout to the processors in turn.
        for _ in range(10):
            with stack.user() as user:
                assert user.go(stack.url("/private")).status_code == 200
                user.cookies.drop("extproc-assertion-app")
                assert user.navigate(stack.url("/private")).status_code == 200
                assert (
                    user.navigate(
                        stack.url("/oauth2/logout"), "POST", page=stack.url("/"), content=b""
                    ).status_code
                    == 303
                )
        assert '"answered"' in second.output() and '"answered"' in stack.extproc.output()
