"""Several workers behind a real Envoy: replaced under load, killed, orphaned, observed as one."""

import contextlib
import json
import os
import re
import secrets
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from harness.browser import WebUser
from harness.fake_provider import FakeProvider
from harness.gateway import Stack, merged
from harness.journey import to_callback
from harness.load import KINDS, Load
from harness.ports import answers
from harness.processes import wait_until
from prometheus_client.parser import text_string_to_metric_families

TWO = {"workers": 2}
CANARY = "canary-of-the-environment"


def on_unix_sockets(stack: Stack) -> dict[str, Any]:
    return {"workers": 2, "listen": f"unix:{stack.directory}/x.sock"}


def lines(stack: Stack, event: str) -> list[dict[str, Any]]:
    """The log lines of an event."""
    text = stack.extproc.output()
    every = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [line for line in every if line["event"] == event]


def workers(stack: Stack) -> list[int]:
    """The process ids of the workers."""
    return stack.extproc.children


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    return False


def session_of(user: WebUser, stack: Stack) -> str:
    """Sign in. Returns the Cookie header of this browser without its assertion."""
    assert user.go(stack.url("/private")).status_code == 200
    user.cookies.drop("extproc-assertion-app")
    return user.cookies.header(stack.url("/private"))


def change(stack: Stack, **settings: Any) -> None:
    """Write other settings into the file."""
    stack.config.write_text(yaml.safe_dump(merged(stack.settings, settings), sort_keys=False))


def hang_up(stack: Stack, then: str) -> None:
    """Send SIGHUP, and wait for the event that reports its outcome."""
    before = len(lines(stack, then))
    stack.extproc.send(signal.SIGHUP)
    wait_until(lambda: len(lines(stack, then)) > before, 180, then)


@pytest.mark.attack("COOK-19", "REL-28")
@pytest.mark.heavy
@pytest.mark.parametrize("settings", [TWO, on_unix_sockets], ids=["tcp", "unix"])
def test_sighup_rolls_to_new_settings_and_a_new_secret_and_fails_no_request(settings) -> None:
    with Stack(FakeProvider(), settings=settings) as stack, stack.user() as user:
        first, session = workers(stack), session_of(user, stack)
        old, new = stack.settings["secret"], secrets.token_urlsafe(48)
        with Load(stack, session) as load:
            load.wait_for_more()
            # In two steps, because each worker must open what workers with the other settings seal.
            for ring in ([old, new], [new, old]):
                change(
                    stack,
                    secret=ring,
                    providers={"main": {"scopes": ["openid", "email", "rolled"]}},
                )
                hang_up(stack, "reloaded")
                load.wait_for_more()
        assert not load.failed and {kind for kind, _ in load.answers} == set(KINDS)
        wait_until(lambda: len(workers(stack)) == 2, 60, "the old workers to end")
        assert not set(workers(stack)) & set(first)
        with stack.user() as other:
            # Any of the workers may answer.
            for _ in range(10):
                assert "rolled" in other.navigate(stack.url("/private")).headers["location"]
        keys = httpx.get(f"{stack.admin}/.well-known/jwks.json", trust_env=False).json()["keys"]
        # The admin has the new ring as well.
        assert len(keys) == 2
        assert metrics(stack, "extproc_settings_generation", "worker") == {"supervisor": 3}
        assert metrics(stack, "extproc_sealing_keys", "worker") == {"1": 2, "2": 2}
        assert metrics(stack, "extproc_streams_total", "outcome")["unanswered"] == 0
        assert all(request.get("x-auth-sub") == "alice" for request in stack.app.requests)


@pytest.mark.attack("REL-28")
@pytest.mark.heavy
def test_a_provider_is_added_and_removed_under_load_and_no_session_of_another_is_lost() -> None:
    other = FakeProvider(behind=False, user="bob")
    other.start()

    def second(stack: Stack, provider: str, providers: dict[str, Any]) -> dict[str, Any]:
        two = {
            "hosts": ["localhost"],
            "path_prefix": "/two/",
            "upstream": stack.app.url,
            "provider": provider,
        }
        # Otherwise Envoy would need a new configuration, because it refuses paths of the one that
        # the upstream may read as paths of the other if their providers differ.
        apart = {"upstream_paths": "exact"}
        return {"applications": {"app": apart, "two": two}, "providers": providers}

    added = {"other": {"issuer": other.url, "client_id": "gateway", "client_secret": "x"}}
    try:
        with (
            Stack(
                FakeProvider(), settings=lambda stack: {**TWO, **second(stack, "main", {})}
            ) as stack,
            stack.user() as user,
            stack.user() as visitor,
        ):
            with Load(stack, session_of(user, stack)) as load:
                for provider, providers, sub in (("other", added, "bob"), ("main", {}, "alice")):
                    change(stack, **second(stack, provider, providers))
                    hang_up(stack, "reloaded")
                    load.wait_for_more()
                    # A user whose provider the application no longer has must sign in again as soon
                    # as the processor decides a request.
                    visitor.cookies.drop("extproc-assertion-two")
                    assert visitor.go(stack.url("/two/x")).status_code == 200
                    assert stack.app.seen("/two/x")[-1].get("x-auth-sub") == sub
            assert not load.failed and not lines(stack, "not_reloaded")
            assert user.navigate(stack.url("/private")).status_code == 200
            wait_until(
                lambda: httpx.get(f"{stack.admin}/readyz", trust_env=False).status_code == 200, 60
            )
    finally:
        other.close()


@pytest.mark.attack("REL-24")
@pytest.mark.heavy
def test_sigterm_to_one_worker_under_load_fails_no_request() -> None:
    with Stack(FakeProvider(), settings=TWO) as stack, stack.user() as user:
        with Load(stack, session_of(user, stack)) as load:
            load.wait_for_more()
            for number, worker in enumerate(workers(stack), 1):
                os.kill(worker, signal.SIGTERM)
                wait_until(
                    lambda number=number: len(lines(stack, "worker_restarted")) == number, 60
                )
                load.wait_for_more()
                wait_until(lambda: stack.stat("cluster.processor.membership_healthy") == 2, 30)
        assert not load.failed
        assert all("exit status 0" in line["detail"] for line in lines(stack, "worker_ended"))


@pytest.mark.heavy
@pytest.mark.parametrize("settings", [TWO, on_unix_sockets], ids=["tcp", "unix"])
def test_a_worker_killed_under_load_fails_what_it_had_in_hand_and_nothing_else(settings) -> None:
    with Stack(FakeProvider(), settings=settings) as stack, stack.user() as user:
        session = session_of(user, stack)
        with Load(stack, session) as load:
            for victim in workers(stack):
                load.wait_for_more()
                failed = len(load.failed)
                os.kill(victim, signal.SIGKILL)
                wait_until(
                    lambda victim=victim: victim not in workers(stack) and len(workers(stack)) == 2,
                    30,
                )
                load.wait_for_more()
                # Only the one request that each client has in progress may fail.
                assert len(load.failed) - failed <= load.clients
                wait_until(lambda: stack.stat("cluster.processor.membership_healthy") == 2, 30)
            load.wait_for_more()
        assert all(status == 503 for _, status, _ in load.failed)
        assert all(request.get("x-auth-sub") == "alice" for request in stack.app.requests)
        restarted = lines(stack, "worker_restarted")
        assert sorted(line["worker"] for line in restarted) == [1, 2]
        assert all("signal SIGKILL" in line["detail"] for line in lines(stack, "worker_ended"))


def test_a_login_that_is_held_while_its_worker_is_replaced_is_finished_by_it() -> None:
    patient = {"workers": 2, "timeouts": {"call": 60, "callback": 60, "drain": 60}}
    with (
        Stack(FakeProvider(), settings=patient) as stack,
        stack.user() as user,
        ThreadPoolExecutor(1) as pool,
    ):
        callback = to_callback(stack, user)
        with stack.provider.holding("/token"):
            answer = pool.submit(user.navigate, callback)
            wait_until(lambda: stack.provider.held == 1, 60)
            old = workers(stack)
            # On TCP the successor need not wait for the worker that holds a login. The other old
            # worker ends by itself, and the supervisor does not wait for that either.
            hang_up(stack, "reloaded")
            wait_until(lambda: len(workers(stack)) == 3, 60)
            assert len(set(workers(stack)) & set(old)) == 1
        assert answer.result(60).status_code == 303
        wait_until(lambda: len(workers(stack)) == 2, 30)
        assert user.navigate(stack.url("/private")).status_code == 200


@pytest.mark.attack("REL-36")
def test_sessions_logout_and_single_use_hold_across_workers() -> None:
    debug = {"workers": 2, "log": {"level": "DEBUG"}}
    with Stack(FakeProvider(), settings=debug) as stack, stack.user() as user:
        callback = to_callback(stack, user)
        attempt = user.cookies.header(callback)
        assert user.navigate(callback).status_code == 303
        user.cookies.drop("extproc-assertion-app")
        session = user.cookies.header(stack.url("/private"))
        ask = lambda: user.request(  # noqa: E731
            "GET", stack.url("/private"), headers={"accept": "*/*"}, cookies=session
        )

        def everywhere(reason: str, check: Any) -> None:
            """Ask until both workers have answered for that reason, with the same outcome."""
            for _ in range(100):
                assert check()
                by = {
                    line["worker"] for line in lines(stack, "answered") if line["reason"] == reason
                }
                if by == {1, 2}:
                    return
            raise AssertionError(f"one worker never answered {reason}: {by}")

        everywhere("session", lambda: ask().status_code == 200)
        # The code and the attempt are used up in every worker.
        replay = lambda: user.request(  # noqa: E731
            "GET", callback, headers={"accept": "text/html"}, cookies=attempt
        )
        everywhere("login_already_used", lambda: replay().status_code == 400)
        assert len(stack.provider.requests_to("/token")) == 1
        assert (
            user.navigate(stack.url("/oauth2/logout"), "POST", page=stack.url("/")).status_code
            == 303
        )
        everywhere("login_required", lambda: ask().status_code == 401)


@pytest.mark.attack("REL-28")
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"sesion": {}}, "sesion: there is no such key; did you mean session?"),
        ({"secret": "short"}, "secret has 5 bytes"),
        (
            {"providers": {"main": {"ca_file": "/nowhere/ca.pem"}}},
            "providers.main.ca_file: /nowhere/ca.pem: No such file",
        ),
        ({"workers": 3}, "workers: cannot be changed by SIGHUP"),
        ({"listen": "127.0.0.1:19"}, "listen: cannot be changed by SIGHUP"),
        ({"admin": "127.0.0.1:19"}, "admin: cannot be changed by SIGHUP"),
        ({"store": {"path": "elsewhere.sqlite3"}}, "store: cannot be changed by SIGHUP"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_settings_that_cannot_be_used_leave_the_old_workers_and_say_so_in_one_line(
    two, settings, expected
) -> None:
    old = workers(two)
    before, said_before = (
        metrics(two, "extproc_settings_reloads_total", "outcome"),
        len(lines(two, "not_reloaded")),
    )
    change(two, **settings)
    hang_up(two, "not_reloaded")

    # Once for the signal, and once more if the supervisor saw the changed file before it.
    def counted() -> bool:
        after = metrics(two, "extproc_settings_reloads_total", "outcome")
        failures, successes = (
            after["failure"] - before["failure"],
            after["success"] - before["success"],
        )
        return failures == len(lines(two, "not_reloaded")) - said_before and successes == 0

    wait_until(counted, 60, "every refusal is counted, and nothing taken")
    last = lines(two, "not_reloaded")[-1]
    assert expected in last["detail"] and last["level"] == "error"
    wait_until(lambda: workers(two) == old, 60)
    assert httpx.get(two.url("/api"), trust_env=False).status_code == 401


def metrics(stack: Stack, name: str, label: str) -> dict[str, float]:
    """The values of a metric, summed by one of its labels."""
    text = httpx.get(f"{stack.admin}/metrics", trust_env=False).text
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name:
                found[sample.labels[label]] += sample.value
    return dict(found)


@pytest.fixture(scope="module")
def two() -> Iterator[Stack]:
    canaries = {"EXTPROC_SECRET": CANARY, "DATABASE_PASSWORD": CANARY, "anything": CANARY}
    with Stack(FakeProvider(), settings=TWO, env=canaries) as stack:
        yield stack


@pytest.mark.threat("secrets")
def test_no_secret_is_in_a_worker_s_arguments_or_environment(two) -> None:
    for pid in workers(two):
        seen = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        assert b"extproc.runtime.worker" in seen
        client_secret = two.settings["providers"]["main"]["client_secret"]
        for secret in (two.settings["secret"], client_secret, CANARY):
            assert secret.encode() not in seen
        # A crash does not write it into a core file either.
        assert re.search(
            r"^Max core file size +0 +0 ", Path(f"/proc/{pid}/limits").read_text(), re.M
        )


def test_the_admin_shows_all_workers_as_one(two) -> None:
    def ready() -> httpx.Response:
        return httpx.get(f"{two.admin}/readyz", trust_env=False)

    wait_until(lambda: ready().status_code == 200, 60)

    wait_until(lambda: two.gauges()["streams"] == 0, 60)
    assert two.gauges()["workers"] == 2
    with two.user() as user:
        assert user.go(two.url("/private")).status_code == 200
    assert {"1", "2", "supervisor"} == metrics(two, "extproc_build_info", "worker").keys()
    assert sum(metrics(two, "extproc_streams_total", "outcome").values()) > 0
    assert metrics(two, "extproc_workers", "worker") == metrics(
        two, "extproc_workers_wanted", "worker"
    )

    def services() -> set[str]:
        traces = httpx.get(f"{two.admin}/traces.json", trust_env=False).json()["traces"]
        return {service for trace in traces for service in trace["services"]}

    wait_until(lambda: {"envoy", "extproc"} <= services(), 60)
    victim = workers(two)[0]
    os.kill(victim, signal.SIGSTOP)
    try:
        answer = ready()
        assert answer.status_code == 503 and "it does not answer" in answer.text
        assert metrics(two, "extproc_workers", "worker") == {"supervisor": 1}
        assert len(metrics(two, "extproc_build_info", "worker")) == 2, (
            "the others are on the page all the same"
        )
    finally:
        os.kill(victim, signal.SIGCONT)
    wait_until(lambda: ready().status_code == 200, 60)


@pytest.mark.heavy
def test_workers_whose_supervisor_is_killed_finish_what_they_hold_and_leave_their_addresses() -> (
    None
):
    with (
        Stack(FakeProvider(), settings=TWO) as stack,
        stack.user() as user,
        ThreadPoolExecutor(1) as pool,
    ):
        left = workers(stack)
        callback = to_callback(stack, user)
        with stack.provider.holding("/token"):
            answer = pool.submit(user.navigate, callback)
            wait_until(lambda: stack.provider.held == 1, 60)
            # The process alone, not its group.
            stack.extproc.send(signal.SIGKILL)
            stack.extproc.wait()
            wait_until(lambda: sum(alive(pid) for pid in left) == 1, 60)
        assert answer.result(60).status_code == 303
        wait_until(lambda: not any(alive(pid) for pid in left), 60)
        port = int(stack.settings["listen"].rpartition(":")[2])
        assert not answers(port) and not answers(port + 1)
        stack.start_extproc()
        assert user.navigate(stack.url("/private")).status_code == 200


def test_sigterm_drains_all_workers() -> None:
    with (
        Stack(FakeProvider(), settings=TWO) as stack,
        stack.user() as user,
        ThreadPoolExecutor(2) as pool,
    ):
        left = workers(stack)
        callback = to_callback(stack, user)
        with stack.provider.holding("/token"):
            answer = pool.submit(user.navigate, callback)
            wait_until(lambda: stack.provider.held == 1, 60)
            # To the supervisor alone.
            stack.extproc.send(signal.SIGTERM)
            wait_until(lambda: len(lines(stack, "draining")) == 3, 60)
        assert answer.result(60).status_code == 303 and stack.extproc.wait(30) == 0
        assert (
            not any(alive(pid) for pid in left)
            and lines(stack, "stopped")[-1].get("worker") is None
        )


def test_one_worker_takes_keys_and_says_what_else_it_cannot_take_and_goes_on() -> None:
    with Stack(FakeProvider()) as stack:
        hang_up(stack, "reloaded")
        assert not lines(stack, "not_reloaded")
        ring = [stack.settings["secret"], "n" * 40]
        change(stack, secret=ring, session={"idle": 120})
        hang_up(stack, "not_reloaded")
        line = lines(stack, "not_reloaded")[-1]
        assert line["detail"].startswith("session: ") and line["level"] == "error"
        keys = httpx.get(f"{stack.admin}/.well-known/jwks.json", trust_env=False).json()["keys"]
        assert len(keys) == 2 and httpx.get(stack.url("/api"), trust_env=False).status_code == 401
