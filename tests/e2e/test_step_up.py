"""An application that demands more of a login than a password, beside one that does not.

Through a real Envoy.
"""

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from harness.browser import WebUser
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.processes import wait_until
from harness.stored_sessions import Kept

DEMANDS = {
    "acr_values": ["gold", "silver"],
    "max_age": "1m",
    "prompt": "login",
    "authorization_params": {"ui_locales": "fr de"},
}
CHALLENGE = 'error="insufficient_user_authentication", acr_values="gold silver", max_age="60"'


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    def settings(stack: Stack) -> dict[str, Any]:
        other = {
            "hosts": ["localhost"],
            "path_prefix": "/other/",
            "upstream": stack.app.url,
            "provider": "main",
        }
        return {"applications": {"app": DEMANDS, "other": other}}

    with Stack(FakeProvider(), settings=settings) as stack:
        yield stack


@pytest.fixture
def stack(running: Stack) -> Stack:
    """The module's gateway. Its provider reports fresh logins that meet the demands."""
    provider = running.provider
    provider.reset()
    running.app.requests.clear()
    provider.claims.update({"acr": "gold", "amr": ["pwd", "otp"], "auth_time": int(time.time())})
    return running


def ages(stack: Stack, user: WebUser, **changes: object) -> Kept:
    """Store this browser's session with other facts of its login, and drop its assertion."""
    now = int(time.time())
    kept = Kept(stack)
    kept.age(user, access_issued=now, access_expires=now + 300, **changes)
    user.cookies.drop("extproc-assertion-app")
    return kept


def session_cookie(user: WebUser) -> str:
    cookie = user.cookies.get("extproc-session-app")
    assert cookie is not None
    return cookie.value


def test_a_login_asks_for_what_the_application_demands_and_the_session_remembers_it(stack):
    with stack.user() as user:
        assert user.go(stack.url("/private")).status_code == 200
        assert user.go(stack.url("/other/private")).status_code == 200
        first, second = (asked.query for asked in stack.provider.requests_to("/auth"))
        wanted = {
            "acr_values": "gold silver",
            "max_age": "60",
            "prompt": "login",
            "ui_locales": "fr de",
        }
        assert wanted.items() <= first.items() and not set(wanted) & set(second)
        session = Kept(stack).session(user)
        assert session is not None
        assert (session.acr, session.amr) == ("gold", ("pwd", "otp"))
        assert session.auth_time == stack.provider.claims["auth_time"]


@pytest.mark.attack("IDT-27")
@pytest.mark.parametrize(
    ("lie", "status", "reason"),
    [
        ({"acr": None}, 403, "acr_not_satisfied"),
        ({"acr": "bronze"}, 403, "acr_not_satisfied"),
        ({"auth_time": 1_000_000_000}, 403, "auth_time_too_old"),
        ({"auth_time": None}, 502, "id_token_auth_time"),
    ],
)
def test_a_login_that_is_not_enough_ends_with_a_page_that_says_why(stack, lie, status, reason):
    right = dict(stack.provider.claims)
    stack.provider.claims.update(lie)
    with stack.user() as user:
        page = user.go(stack.url("/private?a=1"))
        assert page.status_code == status and reason in page.text
        assert len(stack.provider.requests_to("/auth")) == 1 and not stack.app.requests
        assert not user.cookies.named("extproc-") and stack.provider.revoked
        # Only the user starts another attempt.
        assert "/oauth2/login?return_to=/private%3Fa%3D1" in page.text
        stack.provider.claims.update(right)
        again = user.go(stack.url("/oauth2/login?return_to=/private%3Fa%3D1"), page=page)
        assert (again.status_code, str(again.url)) == (200, stack.url("/private?a=1"))


@pytest.mark.attack("IDT-27")
def test_a_session_that_has_grown_too_old_is_signed_in_anew_once(stack):
    with stack.user() as user:
        assert user.go(stack.url("/private")).status_code == 200
        old = session_cookie(user)
        kept = ages(stack, user, auth_time=int(time.time()) - 200)
        stack.provider.requests.clear()
        assert user.go(stack.url("/private")).status_code == 200
        assert len(stack.provider.requests_to("/auth")) == 1
        assert user.go(stack.url("/private")).status_code == 200
        assert len(stack.provider.requests_to("/auth")) == 1
        new = user.cookies.get("extproc-session-app")
        assert new is not None and new.value != old and kept.session(user) is not None
        user.cookies.put(replace(new, value=old))
        # The session is replaced, so no old one is left behind.
        assert kept.session(user) is None


@pytest.mark.attack("FLOW-24")
def test_a_stepped_up_session_has_a_new_id_and_the_old_one_is_worth_nothing(stack):
    with stack.user() as user, stack.user() as thief:
        assert user.go(stack.url("/private")).status_code == 200
        kept = ages(stack, user, acr="bronze")
        old = user.cookies.get("extproc-session-app")
        assert old is not None
        thief.cookies.put(old)
        assert user.go(stack.url("/private")).status_code == 200
        new = kept.session(user)
        assert new is not None and new.acr == "gold" and session_cookie(user) != old.value
        assert kept.session(thief) is None
        assert (
            thief.fetch(stack.url("/private"), page=stack.url("/")).json()["reason"]
            == "login_required"
        )


def test_a_step_up_that_fails_leaves_the_session_as_it_was(stack):
    with stack.user() as user:
        assert user.go(stack.url("/private")).status_code == 200
        old = session_cookie(user)
        kept = ages(stack, user, acr="bronze")
        stack.provider.claims["acr"] = "bronze"
        stack.provider.requests.clear()
        page = user.go(stack.url("/private"))
        assert page.status_code == 403 and "acr_not_satisfied" in page.text
        assert len(stack.provider.requests_to("/auth")) == 1
        assert session_cookie(user) == old and kept.session(user) is not None


def test_a_script_is_told_what_is_missing(stack):
    with stack.user() as user:
        page = user.go(stack.url("/private"))
        ages(stack, user, acr="bronze")
        stack.provider.requests.clear()
        answer = user.fetch(stack.url("/private"), page=page)
        assert (answer.status_code, answer.json()["reason"]) == (
            401,
            "insufficient_user_authentication",
        )
        login = stack.url("/oauth2/login")
        assert answer.headers["www-authenticate"] == f'OIDC login_url="{login}", {CHALLENGE}'
        assert "set-cookie" not in answer.headers and not stack.provider.requests_to("/auth")
        public = user.fetch(stack.url("/public/x"), page=page)
        assert public.status_code == 200 and "x-auth-sub" not in dict(public.json()["headers"])


def test_another_application_goes_on_with_its_own_session(stack):
    with stack.user() as user:
        assert user.go(stack.url("/private")).status_code == 200
        assert user.go(stack.url("/other/private")).status_code == 200
        ages(stack, user, auth_time=0, acr=None)
        user.cookies.drop("extproc-assertion-other")
        stack.provider.requests.clear()
        assert user.go(stack.url("/other/private")).status_code == 200
        assert not stack.provider.requests_to("/auth")


def test_envoy_s_own_lane_ends_with_max_age(stack):
    signed_in = int(time.time()) - 45
    stack.provider.claims["auth_time"] = signed_in
    with stack.user() as user:
        assert user.go(stack.url("/private")).status_code == 200
        assertion = user.cookies.get("extproc-assertion-app")
        assert assertion is not None
        payload = assertion.value.split(".")[1]
        # Envoy adds two seconds to it.
        assert json.loads(base64.urlsafe_b64decode(payload + "=="))["exp"] == signed_in + 58
        before = stack.streams()
        assert user.go(stack.url("/private")).status_code == 200
        assert stack.streams() == before

        def asks_again() -> bool:
            assert user.go(stack.url("/private")).status_code == 200
            return stack.streams() > before

        # The browser still sends it, and no new assertion is issued: from now on the processor
        # decides each request.
        wait_until(asks_again, 30, every=0.2)
        assert user.cookies.get("extproc-assertion-app") == assertion
        assert len(stack.provider.requests_to("/auth")) == 1
