"""Token refresh through a real Envoy, at a provider that rotates refresh tokens.

The provider treats the second use of a refresh token as theft.
"""

import json
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from harness.browser import WebUser
from harness.fake_provider import FakeProvider
from harness.fake_server import Answer, Reply, Request
from harness.gateway import ROOT, Stack
from harness.ports import free_port, free_ports
from harness.processes import Process, wait_until
from harness.redis import RedisServer
from harness.stored_sessions import Kept
from harness.tokens import Signer, public


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    def settings(stack: Stack):
        api = {
            "hosts": ["localhost"],
            "path_prefix": "/api/",
            "upstream": stack.app.url,
            "provider": "main",
        }
        return {
            "applications": {
                "api": {**api, "forward_access_token": True, "public_paths": ["/api/public/"]}
            },
            "timeouts": {"call": 10},
        }

    with Stack(FakeProvider(), settings=settings) as stack:
        yield stack


def signs_in(stack: Stack, user: WebUser) -> Kept:
    """A session with an expired access token, in a browser without an assertion."""
    assert user.go(stack.url("/private")).status_code == 200
    user.cookies.drop("extproc-assertion-app")
    kept = Kept(stack)
    kept.age(user)
    return kept


def at_once(stack: Stack, user: WebUser, count: int = 50) -> list[httpx.Response]:
    """Send so many simultaneous requests with this browser's current cookies.

    The provider holds the refresh until all requests have arrived.
    """
    headers = {"cookie": user.cookies.header(stack.url("/")), "accept": "application/json"}
    with (
        httpx.Client(headers=headers, trust_env=False, timeout=30) as http,
        ThreadPoolExecutor(count) as pool,
    ):
        with stack.provider.holding("/token"):
            before = stack.streams()
            asks = [pool.submit(http.get, stack.url(f"/private/{n}")) for n in range(count)]
            wait_until(lambda: stack.streams() - before == count and stack.provider.held > 0, 60)
            assert not any(ask.done() for ask in asks)
        return [ask.result() for ask in asks]


@pytest.mark.attack("REFR-01")
def test_fifty_requests_with_an_expired_token_make_one_grant_and_get_fifty_answers(stack):
    with stack.user() as user:
        kept = signs_in(stack, user)
        old = kept.session(user)
        answers = at_once(stack, user)
        assert [answer.status_code for answer in answers] == [200] * 50
        assert all(["x-auth-sub", "alice"] in answer.json()["headers"] for answer in answers)
        assert stack.provider.grants == [old.refresh_token]
        new = kept.session(user)
        assert new.refresh_token != old.refresh_token and new.access_expires > time.time() + 200


def events(part: Process, name: str) -> list[dict[str, Any]]:
    """The log lines of an event."""
    return [line for line in map(json.loads, part.output().splitlines()) if line["event"] == name]


def grants_for_fifty(stack: Stack) -> int:
    """The refresh tokens that the provider receives for fifty requests, all answered."""
    with stack.user() as user:
        kept = signs_in(stack, user)
        answers = at_once(stack, user)
        assert [answer.status_code for answer in answers] == [200] * 50
        for answer in answers:
            user.cookies.receive(stack.url("/"), answer.headers.get_list("set-cookie"))
        assert kept.session(user).access_expires > time.time() + 200
        return len(stack.provider.grants)


def test_two_workers_make_one_grant_as_well() -> None:
    with Stack(FakeProvider(), settings={"workers": 2, "log": {"level": "DEBUG"}}) as stack:
        assert grants_for_fifty(stack) == 1
        taken = {
            line["worker"]
            for line in events(stack.extproc, "answered")
            if line.get("step") == "refresh"
        }
        assert len(taken) == 2


@contextmanager
def two_machines(store: dict[str, Any], workers: int) -> Iterator[tuple[Stack, Process]]:
    """Two groups of processors that share only the secret and Redis."""
    ports = [free_ports(workers) for _ in range(2)]
    listens = [f"127.0.0.1:{port}" for port in ports]
    every = [f"127.0.0.1:{port + n}" for port in ports for n in range(workers)]
    settings = {
        "workers": workers,
        "listen": listens[0],
        "log": {"level": "DEBUG"},
        "gateway": {"processors": every},
        "store": {"path": None, **store},
    }
    with Stack(FakeProvider(), settings=settings) as stack:
        config = stack.directory / "second.yaml"
        admin = f"127.0.0.1:{free_port()}"
        config.write_text(yaml.safe_dump({**stack.settings, "listen": listens[1], "admin": admin}))
        second = Process(
            "second",
            [sys.executable, "-m", "extproc", "serve", "--config", config],
            log=stack.directory / "second.log",
            env={"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            cwd=stack.directory,
        )
        try:
            second.wait_ready(lambda: "serving" in second.output(), 30)
            wait_until(lambda: stack.stat("cluster.processor.membership_healthy") == len(every), 30)
            yield stack, second
        finally:
            second.stop(5)


def in_redis(server: RedisServer) -> dict[str, Any]:
    return {"kind": "redis", "servers": [server.address]}


def in_cookies(server: RedisServer) -> dict[str, Any]:
    return {"kind": "cookie", "tombstones": in_redis(server)}


@pytest.mark.attack("REFR-02")
@pytest.mark.parametrize(("store", "workers"), [(in_redis, 2), (in_cookies, 1)])
def test_two_machines_that_share_redis_make_one_grant_as_well(
    tmp_path: Path, store: Any, workers: int
) -> None:
    with RedisServer(tmp_path) as server, two_machines(store(server), workers) as (stack, second):
        assert grants_for_fifty(stack) == 1
        for part in (stack.extproc, second):
            lines = [line for line in events(part, "answered") if line["reason"] == "session"]
            assert len({line.get("worker") for line in lines}) == workers


@pytest.mark.attack("REFR-12")
def test_a_client_that_leaves_in_mid_refresh_loses_no_token(stack):
    with stack.user() as user:
        kept = signs_in(stack, user)
        old = kept.session(user)
        head = (
            "GET /private HTTP/1.1\r\nhost: localhost\r\ncookie: "
            f"{user.cookies.header(stack.url('/'))}\r\n\r\n"
        )
        left = stack.extproc.output().count('"event": "cancelled"')
        with stack.provider.holding("/token"):
            with socket.create_connection(("127.0.0.1", stack.port)) as leaves:
                leaves.sendall(head.encode())
                wait_until(lambda: stack.provider.held == 1, 60)
            wait_until(lambda: stack.extproc.output().count('"event": "cancelled"') == left + 1, 60)
        wait_until(lambda: kept.session(user).refresh_token != old.refresh_token, 60)
        assert user.navigate(stack.url("/private")).status_code == 200
        assert len(stack.provider.grants) == 1 and not stack.provider.revoked


@pytest.mark.attack("REFR-06")
def test_a_refused_refresh_token_signs_out_a_script_gets_401_and_a_page_the_login(stack):
    with stack.user() as user:
        kept = signs_in(stack, user)
        kept.age(user, refresh_token="stolen and used")
        answer = user.fetch(stack.url("/private"), page=stack.url("/"))
        assert answer.status_code == 401 and "session_ended" in answer.text
        assert stack.provider.grants == ["stolen and used"] and not user.cookies.named(
            "extproc-session"
        )
    with stack.user() as user:
        signs_in(stack, user).age(user, refresh_token="stolen and used")
        started = user.navigate(stack.url("/private?b=2"))
        assert started.status_code == 303 and "/auth?" in started.headers["location"]
        assert not user.cookies.named("extproc-session")
        assert user.follow(started).url == stack.url("/private?b=2")


@pytest.mark.attack("REFR-06")
def test_so_does_a_refusal_without_a_word(stack):
    """As glewlwyd answers for a session that was ended there."""
    with stack.user() as user:
        signs_in(stack, user)
        stack.provider.answers["/token"] = lambda _: (400, {}, b"")
        assert user.fetch(stack.url("/private"), page=stack.url("/")).status_code == 401
        assert not user.cookies.named("extproc-session")


def overlaid(stack: Stack, **members: object) -> Answer:
    """The truthful answer of the token endpoint with these members; None removes one."""

    def answer(request: Request) -> Reply:
        status, headers, body = stack.provider.truthful(request)
        said = {**json.loads(body), **members}
        kept = {name: value for name, value in said.items() if value is not None}
        return status, headers, json.dumps(kept).encode()

    return answer


def refusing(error: str, status: int = 400) -> Answer:
    body = {"error": error, "error_description": "AADSTS50076: x", "suberror": "basic_action"}
    return lambda _: (status, {"content-type": "application/json"}, json.dumps(body).encode())


FINAL = (
    "interaction_required",
    "login_required",
    "consent_required",
    "mfa_required",
    "invalid_request",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "policy_changed",
)


@pytest.mark.attack("REFR-06")
@pytest.mark.parametrize("path", ["/private", "/api/x"], ids=["identity", "access token"])
def test_every_error_that_is_final_for_the_refresh_token_leads_to_the_login(stack, path):
    """One user for each error, because the tokens of all of them expire in the same time."""
    stack.provider.expires_in = 1
    with ExitStack() as browsers:
        users = {error: browsers.enter_context(stack.user()) for error in FINAL}
        for user in users.values():
            assert user.go(stack.url(path)).status_code == 200
        for error, user in users.items():
            stack.provider.answers["/token"] = refusing(error)

            def over(user: WebUser = user) -> bool:
                for name in ("app", "api"):
                    user.cookies.drop(f"extproc-assertion-{name}")
                answer = user.fetch(stack.url(path), page=stack.url("/"))
                assert answer.status_code in (200, 401, 503), answer.text
                return answer.status_code == 401 and "session_ended" in answer.text

            wait_until(over, 60, f"the end of the session by {error}")
            assert not user.cookies.named("extproc-session")
            del stack.provider.answers["/token"]
            assert user.go(stack.url(path)).status_code == 200


@pytest.mark.attack("REFR-07")
@pytest.mark.parametrize(("error", "status"), [("invalid_client", 401), ("slow_down", 400)])
def test_an_error_that_the_operator_or_time_cures_costs_no_session(stack, error, status):
    with stack.user() as user:
        kept = signs_in(stack, user)
        stack.provider.answers["/token"] = refusing(error, status)
        assert user.navigate(stack.url("/private")).status_code == 200
        assert kept.session(user).refresh_token


@pytest.mark.parametrize("life", [0, -1, "0", "-1", 0.5])
@pytest.mark.parametrize("refresh_token", [True, False])
def test_a_lifetime_of_nothing_is_no_circle_of_logins_and_no_503(stack, life, refresh_token):
    members = {"expires_in": life} if refresh_token else {"expires_in": life, "refresh_token": None}
    stack.provider.answers["/token"] = overlaid(stack, **members)
    with stack.user() as user:
        for path in ("/api/x", "/api/y", "/private"):
            assert user.go(stack.url(path)).status_code == 200
        for _ in range(9):
            assert user.navigate(stack.url("/api/z")).status_code == 200
        # a login of each application, and no refresh
        assert len(stack.provider.requests_to("/token")) == 2 and not stack.provider.grants


@pytest.mark.parametrize("life", ["3599", "60", 3599.0, None])
def test_a_lifetime_may_be_text_or_absent(stack, life):
    stack.provider.answers["/token"] = overlaid(stack, expires_in=life)
    with stack.user() as user:
        assert user.go(stack.url("/private")).status_code == 200
        assert Kept(stack).session(user).access_expires > time.time() + 30


def test_an_id_token_that_cannot_be_verified_ends_no_session_and_nothing_of_it_is_used(stack):
    with stack.user() as user:
        kept = signs_in(stack, user)
        stack.provider.signer = Signer("RS256", "2")
        stack.provider.header["kid"] = "RS256-1"
        stack.provider.claims["groups"] = ["admins"]
        answer = user.navigate(stack.url("/private"))
        assert ["x-auth-groups", "dev"] in answer.json()["headers"]
        assert kept.session(user).access_expires < time.time() and not stack.provider.revoked
        assert kept.session(user).refresh_token not in stack.provider.grants


@pytest.mark.parametrize("kid", ["RS256-1", None], ids=["the same kid", "no kid"])
def test_a_key_that_is_replaced_under_its_name_is_fetched_again(kid: str | None) -> None:
    """As a development provider that was restarted."""
    with Stack(FakeProvider()) as stack:
        stack.provider.header["kid"] = kid
        stack.provider.keys = [public("RS256", kid=kid)]
        with stack.user() as user, stack.user() as other:
            kept = signs_in(stack, user)
            stack.provider.signer = Signer("RS256", "2")
            stack.provider.keys = [public("RS256", "2", kid=kid)]
            assert other.go(stack.url("/private")).status_code == 200
            assert user.navigate(stack.url("/private")).status_code == 200
            assert kept.session(user).access_expires > time.time() + 200
            # at the start, and once for all who met the new key
            assert len(stack.provider.requests_to("/jwks")) == 2


@pytest.mark.attack("REFR-07")
@pytest.mark.threat("errors-close")
@pytest.mark.parametrize(
    "trouble", [(400, {}, b"Bad Request"), (500, {}, b""), (429, {}, b""), b"HTTP/1.1 200 OK\r\n"]
)
def test_a_provider_in_trouble_costs_no_session(stack, trouble):
    with stack.user() as user:
        kept = signs_in(stack, user)
        stack.provider.answers["/token"] = lambda _: trouble
        for _ in range(3):
            user.cookies.drop("extproc-assertion-app")
            assert user.navigate(stack.url("/private")).status_code == 200
        # One of them is the login's.
        assert len(stack.provider.requests_to("/token")) == 2
        assert (
            kept.session(user).refresh_token
            and not user.fetch(stack.url("/x"), page=stack.url("/")).is_error
        )


@pytest.mark.attack("CONF-25")
def test_another_subject_is_signed_out_and_its_tokens_are_given_back(stack):
    with stack.user() as user:
        signs_in(stack, user)
        stack.provider.claims["sub"] = "mallory"
        assert user.fetch(stack.url("/private"), page=stack.url("/")).status_code == 401
        assert not user.cookies.named("extproc-session")
        assert len(stack.provider.revoked) == 1
        assert not any(
            "mallory" in value for received in stack.app.requests for _, value in received.headers
        )


@pytest.mark.threat("ended-session")
def test_a_logout_in_mid_refresh_is_not_undone(stack):
    with stack.user() as user, ThreadPoolExecutor(1) as pool:
        signs_in(stack, user)
        cookie = {"cookie": user.cookies.header(stack.url("/"))}
        with stack.provider.holding("/token"):
            late = pool.submit(httpx.get, stack.url("/private"), headers=cookie, trust_env=False)
            wait_until(lambda: stack.provider.held == 1, 60)
            out = user.navigate(
                stack.url("/oauth2/logout"), "POST", page=stack.url("/"), content=b""
            )
            assert out.status_code == 303
        assert late.result().status_code == 401
        assert httpx.get(stack.url("/private"), headers=cookie, trust_env=False).status_code == 401
        # The logout revokes the old token; the new one is revoked because it came too late.
        assert len(stack.provider.revoked) == 2


@pytest.mark.attack("REFR-05")
def test_sessions_in_cookies_make_one_grant_and_the_browser_gets_the_new_ones() -> None:
    def settings(stack: Stack):
        over = str(stack.directory / "over.sqlite3")
        return {"store": {"kind": "cookie", "path": None, "tombstones": {"path": over}}}

    with Stack(FakeProvider(), settings=settings) as stack, stack.user() as user:
        user.go(stack.url("/private"))
        user.cookies.drop("extproc-assertion-app")
        kept = Kept(stack)
        kept.age(user)
        login = kept.session(user)
        assert login is not None
        answers = at_once(stack, user, 20)
        assert [answer.status_code for answer in answers] == [200] * 20
        assert stack.provider.grants == [login.refresh_token]
        for answer in answers:
            user.cookies.receive(stack.url("/"), answer.headers.get_list("set-cookie"))
        new = kept.session(user)
        assert (
            new is not None
            and new.refresh_token != login.refresh_token
            and new.access_expires > time.time() + 200
        )


# -- the access token for the application ----------------------------------------------------------


def bearer(answer: httpx.Response) -> list[str]:
    return [value for name, value in answer.json()["headers"] if name == "authorization"]


@pytest.mark.attack("CONF-24", "FAPI-10")
def test_the_application_gets_the_newest_access_token_and_nothing_a_client_sent_in_its_place(stack):
    # The token is due again, but two refreshes are always five seconds apart.
    stack.provider.expires_in = 5
    with stack.user() as user:
        page = user.go(stack.url("/api/x"))
        first = bearer(page)
        assert len(first) == 1 and first[0].startswith("Bearer at-alice-")
        assert not user.cookies.named("extproc-assertion-api")
        spoofed = user.navigate(stack.url("/api/x"), headers={"authorization": "Bearer evil"})
        assert bearer(spoofed) == first
        evil = {"authorization": "Bearer evil"}
        assert bearer(httpx.get(stack.url("/api/public/x"), headers=evil, trust_env=False)) == []
        assert bearer(httpx.get(stack.url("/public/x"), headers=evil, trust_env=False)) == [
            "Bearer evil"
        ]
        wait_until(lambda: bearer(user.navigate(stack.url("/api/x"))) not in (first, []), 60)
        assert len(stack.provider.grants) == 1


def test_without_a_valid_token_it_is_503_and_the_session_stays(stack):
    stack.provider.expires_in = 1
    with stack.user() as user:
        assert user.go(stack.url("/api/x")).status_code == 200
        stack.provider.answers["/token"] = lambda _: (503, {}, b"")

        def refused() -> bool:
            answer = user.fetch(stack.url("/api/x"), page=stack.url("/"))
            return (
                answer.status_code == 503
                and "access_token_expired" in answer.text
                and "retry-after" in answer.headers
            )

        wait_until(refused, 60)
        assert user.cookies.named("extproc-session-api")
