"""Sessions that live and end as a real Keycloak decides, in each kind of store.

Its refresh tokens are good for one use. Requests that show whether a session is alive have no
assertion, because with one Envoy would accept the session until it expires.
"""

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from typing import Any

import httpx
import pytest
from harness.browser import WebUser
from harness.gateway import Stack
from harness.keycloak import Keycloak, Operator
from harness.processes import wait_until
from harness.redis import RedisServer
from harness.stored_sessions import Kept
from harness.tokens import payload

# A refresh event without an error.
GRANTED = ""
# The store makes no difference here.
ONE_KIND = pytest.mark.parametrize("running", ["sqlite"], indirect=True)


@pytest.fixture(scope="module", params=["sqlite", "redis", "cookie"])
def running(
    request: pytest.FixtureRequest, keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A gateway with `vault` beside `app`, at the same provider but with a login of its own."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:

        def settings(stack: Stack) -> dict[str, Any]:
            redis = {"kind": "redis", "servers": [server.address]}
            store = {
                "sqlite": {},
                "redis": {"path": None, **redis},
                "cookie": {"path": None, "kind": "cookie", "tombstones": redis},
            }[request.param]
            vault = {
                "hosts": ["localhost"],
                "path_prefix": "/vault/",
                "upstream": stack.app.url,
                "provider": "main",
            }
            return {"store": store, "applications": {"vault": {**vault, "prompt": "login"}}}

        with Stack(keycloak, settings=settings) as stack:
            yield stack


@pytest.fixture(scope="module")
def registered(running: Stack, keycloak: Keycloak) -> Iterator[None]:
    """Keycloak knows the gateway's back-channel address, and records each refresh."""
    with keycloak.operator() as operator:
        operator.change_client(
            redirectUris=[running.url("/oauth2/callback"), running.url("/vault/oauth2/callback")],
            attributes={
                "backchannel.logout.url": running.url("/oauth2/backchannel-logout"),
                "backchannel.logout.session.required": "true",
            },
        )
        operator.listens()
        yield


@pytest.fixture
def operator(registered: None, keycloak: Keycloak) -> Iterator[Operator]:
    with keycloak.operator() as operator:
        operator.forgets()
        yield operator


@pytest.fixture
def stack(running: Stack, operator: Operator) -> Stack:
    return running


def signs_in(stack: Stack, user: WebUser, path: str = "/private") -> None:
    page = user.go(stack.url(path))
    assert page.status_code == 200 and page.json()["target"] == path, user.journey()


def asks(stack: Stack, user: WebUser, path: str = "/private") -> httpx.Response:
    for cookie in user.cookies.named("extproc-assertion-"):
        user.cookies.drop(cookie.name)
    return user.navigate(stack.url(path))


def lives(stack: Stack, user: WebUser, path: str = "/private") -> bool:
    """Whether the session is accepted. A navigation without one goes to Keycloak's login."""
    answer = asks(stack, user, path)
    assert answer.status_code in (200, 303), answer.text
    assert answer.status_code == 200 or answer.headers["location"].startswith(
        f"{stack.place.origin}/realms/demo/"
    )
    return answer.status_code == 200


def ends_at_its_refresh(stack: Stack, user: WebUser, path: str = "/private") -> bool:
    """Whether the session lives until Keycloak refuses its refresh token, without a logout."""
    assert lives(stack, user), "ended before"
    Kept(stack).age(user)
    return not lives(stack, user) and not user.cookies.named("extproc-session-app")


# -- by an operator of Keycloak


@pytest.mark.attack("LOGO-05")
def test_an_operator_of_keycloak_or_the_user_there_ends_sessions_at_once(
    stack: Stack, operator: Operator, keycloak: Keycloak
) -> None:
    with stack.user() as laptop, stack.user() as phone, stack.user("bob") as bob:
        for user in (laptop, phone, bob):
            signs_in(stack, user)
        copies = phone.cookies.named("extproc-session-")
        operator.end_session(Kept(stack).session(laptop).sid)
        assert [lives(stack, user) for user in (laptop, phone, bob)] == [False, True, True]
        signs_in(stack, laptop)
        operator.log_out("alice")
        assert [lives(stack, user) for user in (laptop, phone, bob)] == [False, False, True]
        for cookie in copies:
            phone.cookies.put(cookie)
        assert not lives(stack, phone)
        bob.go(f"{keycloak.issuer}/protocol/openid-connect/logout")
        assert not lives(stack, bob)
        requests = stack.access_log(lambda line: line["path"] == "/oauth2/backchannel-logout")
        assert {line["status"] for line in requests} == {200}


@ONE_KIND
def test_signing_out_the_whole_realm_or_disabling_a_user_ends_sessions_at_their_next_refresh(
    stack: Stack, operator: Operator
) -> None:
    """Keycloak sends no logout request for either."""
    with stack.user() as alice, stack.user("bob") as bob:
        for user in (alice, bob):
            signs_in(stack, user)
        operator.change_user("bob", enabled=False)
        assert ends_at_its_refresh(stack, bob)
        operator.log_out_all()
        assert ends_at_its_refresh(stack, alice)
        assert operator.refreshes() == ["invalid_token"] * 2


@ONE_KIND
def test_a_session_that_keycloak_let_expire_for_idleness_ends_at_its_refresh(
    stack: Stack, operator: Operator
) -> None:
    # Long enough for a login.
    operator.change_realm(ssoSessionIdleTimeout=20)
    with stack.user() as user:
        signs_in(stack, user)
        session = Kept(stack).session(user)
        assert session is not None and session.refresh_token is not None
        expires = payload(session.refresh_token)["exp"]
        wait_until(lambda: time.time() > expires + 0.1, 60, "the refresh token's end")
        assert ends_at_its_refresh(stack, user)


# -- in the browser


def framed(user: WebUser, page: httpx.Response) -> list[httpx.Response]:
    """Load the frames of Keycloak's page as a browser does.

    They are of another site, so the browser sends no cookies of the gateway.
    """
    sources = re.findall(r'<iframe src="([^"]+)"', page.text)
    return [user.frame(unescape(source)) for source in sources]


@pytest.mark.attack("LOGO-03")
def test_a_logout_at_keycloak_itself_reaches_a_session_in_a_store_by_a_frame(
    stack: Stack, operator: Operator, keycloak: Keycloak
) -> None:
    attributes = {
        "frontchannel.logout.url": stack.url("/oauth2/frontchannel-logout"),
        "frontchannel.logout.session.required": "true",
        "backchannel.logout.url": "",
    }
    operator.change_client(frontchannelLogout=True, attributes=attributes)
    with stack.user() as user, stack.user("bob") as bob:
        for one in (user, bob):
            signs_in(stack, one)
        page = user.go(f"{keycloak.issuer}/protocol/openid-connect/logout")
        (frame,) = framed(user, page)
        assert frame.status_code == 200, frame.text
        assert f"frame-ancestors {stack.place.origin}" in frame.headers["content-security-policy"]
        # As docs/sessions.md says.
        assert lives(stack, user) == (stack.settings["store"].get("kind") == "cookie")
        assert lives(stack, bob)


# -- refresh


@pytest.mark.attack("REFR-01")
def test_thirty_requests_with_an_expired_token_are_thirty_answers_and_one_grant(
    stack: Stack, operator: Operator
) -> None:
    with stack.user() as user:
        signs_in(stack, user)
        kept = Kept(stack)
        kept.age(user)
        old = kept.session(user)
        user.cookies.drop("extproc-assertion-app")
        headers = {"cookie": user.cookies.header(stack.url("/")), "accept": "application/json"}
        with (
            httpx.Client(headers=headers, trust_env=False, timeout=30) as http,
            ThreadPoolExecutor(30) as pool,
        ):
            answers = list(pool.map(http.get, [stack.url(f"/private/{n}") for n in range(30)]))
        assert [answer.status_code for answer in answers] == [200] * 30
        assert operator.refreshes() == [GRANTED]
        for answer in answers:
            user.cookies.receive(stack.url("/"), answer.headers.get_list("set-cookie"))
        new = kept.session(user)
        assert old is not None and new is not None and new.refresh_token != old.refresh_token
        assert new.auth_time == old.auth_time is not None


@ONE_KIND
def test_signing_in_again_for_another_application_ends_no_session(
    stack: Stack, operator: Operator
) -> None:
    """Keycloak's auth_time is that of its own session.

    It moves on in the ID tokens of every application's refresh.
    """
    with stack.user() as user:
        signs_in(stack, user)
        kept = Kept(stack)
        before = kept.session(user)
        assert before is not None and before.auth_time is not None
        began = before.auth_time
        wait_until(lambda: time.time() > began + 1, 60, "the next second")
        signs_in(stack, user, "/vault/gold")
        for _ in range(2):
            kept.age(user)
            assert lives(stack, user) and lives(stack, user, "/vault/gold")
        after = kept.session(user)
        assert after is not None and after.auth_time == began < payload(after.id_token)["auth_time"]
        assert operator.refreshes() == [GRANTED] * 2
        assert not [
            line
            for line in stack.extproc.output().splitlines()
            if json.loads(line)["event"] == "internal_error"
        ]
