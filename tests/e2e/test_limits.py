"""Beyond each limit: 503 with Retry-After immediately, by the processor itself.

Requests that hang do not starve others.
"""

import resource
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.journey import to_callback
from harness.processes import wait_until
from harness.stored_sessions import Kept


@pytest.mark.attack("REL-35")
@pytest.mark.parametrize("limit", ["streams", "callback", "per_provider"])
def test_beyond_a_limit_is_503_with_retry_after_at_once_and_the_login_is_kept(limit: str) -> None:
    """The processor must answer itself, before Envoy's limits, which follow the settings, apply."""
    many, room = 12, 5
    with (
        Stack(FakeProvider(behind=False), settings={"limits": {limit: room}}) as stack,
        ExitStack() as undo,
    ):
        pool = undo.enter_context(ThreadPoolExecutor(many))
        users = [undo.enter_context(stack.user(f"user{n}")) for n in range(many)]
        callbacks = [to_callback(stack, user, f"/page/{n}") for n, user in enumerate(users)]
        with stack.provider.holding("/token"):
            answers = [
                pool.submit(user.navigate, to) for user, to in zip(users, callbacks, strict=True)
            ]
            wait_until(
                lambda: (
                    sum(each.done() for each in answers) == many - room
                    and stack.provider.held == room
                ),
                60,
            )
            refused = [n for n, each in enumerate(answers) if each.done()]
        for n in refused:
            answer = answers[n].result()
            assert (answer.status_code, "set-cookie" in answer.headers) == (503, False)
            assert int(answer.headers["retry-after"]) > 0
            assert ">overloaded<" in answer.text
        assert {answers[n].result().status_code for n in range(many) if n not in refused} == {303}
        for n in refused:
            assert users[n].navigate(callbacks[n]).headers["location"] == stack.url(f"/page/{n}"), (
                "a reload"
            )


@pytest.mark.threat("bounds")
def test_a_stuck_provider_starves_neither_logout_nor_new_logins_nor_signed_in_users() -> None:
    """Callbacks of one provider take every permit. Other requests are answered meanwhile."""
    room = 4
    with (
        Stack(FakeProvider(behind=False), settings={"limits": {"callback": room}}) as stack,
        ExitStack() as undo,
    ):
        pool = undo.enter_context(ThreadPoolExecutor(room))
        leaving, staying, coming = (
            undo.enter_context(stack.user(name)) for name in ("leaving", "staying", "coming")
        )
        for user in (leaving, staying):
            assert user.go(stack.url("/private")).status_code == 200
        users = [undo.enter_context(stack.user(f"user{n}")) for n in range(room)]
        callbacks = [to_callback(stack, user, "/private") for user in users]
        with stack.provider.holding("/token"):
            answers: list[Future[httpx.Response]] = [
                pool.submit(user.navigate, to) for user, to in zip(users, callbacks, strict=True)
            ]
            wait_until(lambda: stack.provider.held == room, 60)
            out = leaving.navigate(
                stack.url("/oauth2/logout"), "POST", page=stack.url("/"), content=b""
            )
            assert out.status_code == 303
            staying.cookies.drop("extproc-assertion-app")
            assert staying.navigate(stack.url("/private")).status_code == 200, (
                "decided by the processor"
            )
            assert to_callback(stack, coming, "/private")
            assert httpx.get(stack.url("/public/x"), trust_env=False).status_code == 200
            assert not any(each.done() for each in answers), "the others were held all the while"
        assert {each.result().status_code for each in answers} == {303}


@pytest.mark.threat("bounds")
def test_refreshes_at_one_of_two_providers_leave_room_for_the_other() -> None:
    partner = FakeProvider(behind=False, user="bob")
    partner.start()

    def settings(stack: Stack) -> dict[str, Any]:
        app = {
            "hosts": ["localhost"],
            "path_prefix": "/two/",
            "upstream": stack.app.url,
            "provider": "partner",
        }
        second = {"issuer": partner.url, "client_id": "gateway", "client_secret": "x"}
        return {
            "applications": {"two": app},
            "providers": {"partner": second},
            "limits": {"refresh": 2},
        }

    with Stack(FakeProvider(behind=False), settings=settings) as stack, ExitStack() as undo:
        undo.callback(partner.close)
        pool = undo.enter_context(ThreadPoolExecutor(1))
        first, second, other = (
            undo.enter_context(stack.user(name)) for name in ("first", "second", "bob")
        )
        for user in (first, second):
            assert user.go(stack.url("/private")).status_code == 200
            Kept(stack).age(user)
            user.cookies.drop("extproc-assertion-app")
        with stack.provider.holding("/token"):
            held = pool.submit(first.navigate, stack.url("/private"))
            wait_until(lambda: stack.gauges()["held.refresh"] == 1 and stack.provider.held == 1, 60)
            assert second.navigate(stack.url("/private")).status_code == 200, "refreshed later"
            assert stack.gauges()["held.refresh"] == 1 and not held.done()
            assert other.go(stack.url("/two/x")).status_code == 200
        assert held.result().status_code == 200


def test_the_processor_takes_as_many_file_descriptors_as_it_may_have() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard - 1, hard))
    try:
        with Stack(FakeProvider(behind=False)) as stack:
            assert resource.prlimit(stack.extproc.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
