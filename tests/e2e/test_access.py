"""Who may come in, through a real Envoy and a real processor: the rules of an application, from the
claims of a login to the page that somebody else gets.
"""

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
import yaml
from harness.browser import WebUser
from harness.envoy import envoys, in_turns
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.stored_sessions import Kept

from extproc.settings import load
from extproc.settings.domain_access import access

# Names that stand in no path, so that a page that has one of them gives the rule away.
RULES: list[dict[str, Any]] = [
    {"name": "backstage", "paths": ["/admin/"], "allow": {"groups": ["keepers"]}},
    {"name": "strong", "paths": ["/vault/"], "allow": {"acr_values": ["gold"]}},
    {"name": "recent", "paths": ["/bank/"], "allow": {"max_age": "1m"}},
    {
        "name": "both",
        "paths": ["/safe/"],
        "allow": {"groups": ["keepers"], "acr_values": ["gold"]},
    },
    {"name": "current", "paths": ["/live/"], "max_claims_age": "1m"},
    {
        "name": "leaflets",
        "paths": ["/docs/"],
        "login": "optional",
        "allow": {"groups": ["keepers"]},
    },
    {"name": "trial", "paths": ["/trial/"], "mode": "shadow", "allow": {"groups": ["keepers"]}},
    {"name": "company", "paths": ["/mail/"], "allow": {"email_domains": ["bücher.example"]}},
    {
        "name": "senior",
        "paths": ["/design/"],
        "allow": {"expression": "claims.level >= 3 && !claims.groups.exists(g, g == 'guests')"},
    },
    {"name": "shut", "paths": ["/metrics"], "deny": True},
]
CHALLENGE = 'error="insufficient_user_authentication"'


@pytest.fixture(scope="module", params=envoys())
def running(request: pytest.FixtureRequest) -> Iterator[Stack]:
    settings = {
        "applications": {"app": {"allow": {"groups": ["dev"]}, "rules": RULES}},
        # At DEBUG no refusal is left out, however many there are in a second.
        "log": {"format": "json", "level": "DEBUG"},
    }
    with Stack(FakeProvider(), settings=settings, envoy=envoys()[request.param]) as stack:
        yield stack


@pytest.fixture
def stack(running: Stack) -> Stack:
    """The module's gateway. Its provider puts every user into the group dev alone."""
    running.provider.reset()
    running.app.requests.clear()
    return running


@pytest.fixture
def user(stack: Stack) -> Iterator[WebUser]:
    with stack.user() as user:
        yield user


def keeper(stack: Stack) -> None:
    stack.provider.claims["groups"] = ["dev", "keepers"]


def asked(stack: Stack) -> list[dict[str, str]]:
    """The parameters of the logins that were begun at the provider."""
    return [request.query for request in stack.provider.requests_to("/auth")]


def logged(stack: Stack) -> list[dict[str, Any]]:
    """The whole lines of the processor's log."""
    text = stack.extproc.output()
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def details(stack: Stack, reason: str) -> list[str]:
    """The details of the log lines with a reason."""
    return [line["detail"] for line in logged(stack) if line.get("reason") == reason]


def would_refuse(stack: Stack) -> list[tuple[str, str]]:
    """Which rules in shadow mode would have refused a request, and by which key."""
    found = (line for line in logged(stack) if line["event"] == "would_refuse")
    return [(line["rule"], line["detail"]) for line in found]


def asserted(user: WebUser) -> dict[str, Any]:
    """The claims of the browser's assertion."""
    cookie = user.cookies.get("extproc-assertion-app")
    assert cookie is not None
    payload = cookie.value.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return claims


def audiences(user: WebUser) -> set[str]:
    """What the browser's assertion admits to."""
    named = asserted(user)["aud"]
    return {named} if isinstance(named, str) else set(named)


def audience(stack: Stack, rule: str) -> str:
    return access(load(stack.config), "app").audience(rule)


def ages(stack: Stack, user: WebUser, **changes: object) -> None:
    """Change this browser's stored session, whose tokens are good for long, and drop its
    assertion.
    """
    now = int(time.time())
    Kept(stack).age(user, **{"access_issued": now, "access_expires": now + 3600, **changes})
    user.cookies.drop("extproc-assertion-app")


def expire(stack: Stack, user: WebUser) -> None:
    """Let this browser's tokens and its assertion come to their end."""
    now = int(time.time())
    ages(stack, user, access_issued=now - 300, access_expires=now - 1)


def subjects(stack: Stack) -> list[str | None]:
    return [request.get("x-auth-sub") for request in stack.app.requests]


@pytest.mark.threat("rules")
@pytest.mark.attack("PATH-15")
def test_a_user_who_is_not_in_the_group_gets_a_page_that_says_nothing_about_the_rule(stack, user):
    page = user.go(stack.url("/admin/x?a=1"))
    assert page.status_code == 403 and "not_allowed" in page.text
    assert page.headers["content-type"].startswith("text/html")
    assert "Sign in as somebody else" in page.text
    assert stack.app.requests == [] and len(asked(stack)) == 1
    for secret in ("backstage", "keepers", "group", "rule", "allow."):
        assert secret not in page.text
    # The session stays, and the application's other pages are open.
    assert user.go(stack.url("/private")).status_code == 200 and len(asked(stack)) == 1


@pytest.mark.threat("rules")
def test_a_script_gets_a_problem_document_and_the_log_names_the_key_that_does_not_hold(stack, user):
    page = user.go(stack.url("/private"))
    stack.app.requests.clear()
    before = len(details(stack, "not_allowed"))
    answer = user.fetch(stack.url("/admin/x"), "POST", page=page)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document.pop("trace_id") and set(document) == {
        "type",
        "title",
        "status",
        "detail",
        "reason",
    }
    assert document["reason"] == "not_allowed"
    assert "backstage" not in answer.text and "keepers" not in answer.text
    assert "www-authenticate" not in answer.headers and "set-cookie" not in answer.headers
    assert stack.app.requests == []
    assert details(stack, "not_allowed")[before:] == ["rules.backstage.allow.groups"]


def test_somebody_else_can_sign_in_from_the_page(stack, user):
    page = user.go(stack.url("/admin/x?a=1&b=2"))
    link = re.search(r'href="([^"]+)"[^>]*>Sign in as somebody else', page.text)
    assert link is not None
    signed_out = user.go(urljoin(str(page.url), unescape(link[1])), page=page)
    assert user.cookies.get("extproc-session-app") is None
    (logout,) = stack.provider.requests_to("/logout")
    assert "admin" not in logout.query["state"]
    keeper(stack)
    stack.provider.user = "bob"
    again = re.search(r'href="([^"]+)"[^>]*>Sign in again', signed_out.text)
    assert again is not None and again[1] == stack.url("/admin/x?a=1&amp;b=2")
    assert user.go(unescape(again[1]), page=signed_out).status_code == 200
    assert subjects(stack) == ["bob"]


def test_a_user_who_is_in_the_group_passes_and_then_without_the_processor(stack, user):
    keeper(stack)
    assert user.go(stack.url("/admin/x")).status_code == 200
    before = stack.streams()
    for path in ("/admin/y", "/admin", "/private"):
        assert user.go(stack.url(path)).status_code == 200
    assert user.fetch(stack.url("/admin/z"), "DELETE", page=stack.url("/")).status_code == 200
    assert stack.streams() == before
    assert subjects(stack) == ["alice"] * 5


@pytest.mark.parametrize("groups", [None, "keepers dev", ["DEV"], {"x": "dev"}, [], 7])
def test_whom_allow_of_the_application_refuses_reaches_no_page_of_it(stack, user, groups):
    stack.provider.claims["groups"] = groups
    before = len(details(stack, "not_allowed"))
    for path in ("/private", "/vault/x", "/live/x"):
        assert user.go(stack.url(path)).status_code == 403
    assert stack.app.requests == [] and len(asked(stack)) == 1
    assert details(stack, "not_allowed")[before:] == ["allow.groups"] * 3
    # What needs no login is open all the same, without an identity.
    assert user.go(stack.url("/public/x")).status_code == 200
    assert user.go(stack.url("/docs/x")).status_code == 200
    assert subjects(stack) == [None, None]


@pytest.mark.parametrize("claim", ["dev", ["dev"], [{"name": "dev", "id": 3}], {"dev": {"x": "y"}}])
def test_a_group_is_text_an_element_of_a_list_or_a_key_of_an_object(stack, user, claim):
    stack.provider.claims["groups"] = claim
    assert user.go(stack.url("/private")).status_code == 200
    assert user.go(stack.url("/admin/x")).status_code == 403


CLAIMED = [
    ({"email": "Ann@BÜCHER.example"}, 200),
    ({"email": "ann@xn--bcher-kva.example"}, 200),
    ({"email": "ann@bücher.example", "email_verified": False}, 403),
    ({"email": "ann@bücher.example", "email_verified": "false"}, 403),
    ({"email": "ann@bücher.example", "email_verified": None}, 403),
    ({"email": "ann@evil.example@bücher.example"}, 403),
    ({"email": "ann@bücher.example.evil.example"}, 403),
    ({"email": "ann@sub.bücher.example"}, 403),
    ({"email": "ann@bücher.example\n"}, 403),
    # a Cyrillic letter that looks like the Latin one
    ({"email": "ann@büch\u0435r.example"}, 403),
    ({"email": ["ann@bücher.example"]}, 403),
    ({"email": None}, 403),
]


@pytest.mark.attack("HDR-15")
@pytest.mark.parametrize(("claimed", "status"), CLAIMED)
def test_a_domain_admits_whose_confirmed_address_is_there(stack, user, claimed, status):
    stack.provider.userinfo.update(claimed)
    assert user.go(stack.url("/mail/x")).status_code == status


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"level": 3}, 200),
        ({"level": 3.5, "groups": ["dev", 7, None]}, 200),
        ({"level": 2}, 403),
        ({}, 403),
        ({"level": "3"}, 403),
        ({"level": True}, 403),
        ({"level": 3, "groups": ["dev", "guests"]}, 403),
        # Too many for the steps of an expression.
        ({"level": 3, "groups": ["dev", *[1] * 6000]}, 403),
    ],
)
def test_an_expression_admits_whose_claims_make_it_true(stack, user, claims, status):
    stack.provider.claims.update(claims)
    assert user.go(stack.url("/private")).status_code == 200
    before = len(details(stack, "not_allowed"))
    assert user.go(stack.url("/design/x")).status_code == status
    if status == 403:
        assert details(stack, "not_allowed")[before:] == ["rules.senior.allow.expression"]
        return
    streams = stack.streams()
    assert user.go(stack.url("/design/y")).status_code == 200
    assert stack.streams() == streams


@pytest.mark.threat("rules")
@pytest.mark.attack("COOK-25")
def test_a_group_that_is_lost_at_a_refresh_loses_the_rule_within_the_assertion_s_life(stack, user):
    keeper(stack)
    assert user.go(stack.url("/admin/x")).status_code == 200
    assert audience(stack, "backstage") in audiences(user)
    assert asserted(user)["exp"] <= time.time() + load(stack.config).identity.assertion_lifetime
    stack.provider.claims["groups"] = ["dev"]
    expire(stack, user)
    # A page that another rule decides renews the tokens, and the assertion with them.
    assert user.go(stack.url("/private")).status_code == 200
    assert stack.provider.grants and audience(stack, "backstage") not in audiences(user)
    assert user.go(stack.url("/admin/x")).status_code == 403
    assert user.go(stack.url("/safe/x")).status_code == 403


def test_a_group_that_comes_with_a_refresh_opens_the_rule(stack, user):
    assert user.go(stack.url("/admin/x")).status_code == 403
    keeper(stack)
    expire(stack, user)
    assert user.go(stack.url("/admin/x")).status_code == 200
    assert len(asked(stack)) == 1 and len(stack.provider.grants) == 1


def test_a_rule_s_acr_values_send_a_signed_in_user_to_the_provider_and_back(stack, user):
    assert user.go(stack.url("/private")).status_code == 200
    assert "acr_values" not in asked(stack)[0]
    old = user.cookies.get("extproc-session-app")
    stack.provider.claims["acr"] = "gold"
    page = user.go(stack.url("/vault/x?a=1"))
    assert (page.status_code, str(page.url)) == (200, stack.url("/vault/x?a=1"))
    assert asked(stack)[1]["acr_values"] == "gold" and len(asked(stack)) == 2
    new = user.cookies.get("extproc-session-app")
    assert old is not None and new is not None and old.value != new.value
    before = stack.streams()
    assert user.go(stack.url("/vault/y")).status_code == 200
    assert user.go(stack.url("/private")).status_code == 200
    assert stack.streams() == before and len(asked(stack)) == 2


def test_the_first_login_already_asks_for_what_the_rule_demands_of_everybody(stack, user):
    stack.provider.claims["acr"] = "gold"
    assert user.go(stack.url("/vault/x")).status_code == 200
    assert [login.get("acr_values") for login in asked(stack)] == ["gold"]


@pytest.mark.attack("IDT-27")
def test_a_login_that_is_not_what_the_rule_demands_ends_with_a_page_and_in_no_circle(stack, user):
    stack.provider.claims["acr"] = "bronze"
    page = user.go(stack.url("/vault/x"))
    assert page.status_code == 403 and "acr_not_satisfied" in page.text
    assert len(asked(stack)) == 1 and stack.app.requests == []


def test_no_login_is_begun_where_it_would_not_help(stack, user):
    """Of the two conditions of the rule a login can satisfy one alone."""
    assert user.go(stack.url("/private")).status_code == 200
    page = user.go(stack.url("/safe/x"))
    assert page.status_code == 403 and "not_allowed" in page.text and len(asked(stack)) == 1
    assert details(stack, "not_allowed")[-1] == "rules.both.allow.groups"
    keeper(stack)
    expire(stack, user)
    assert user.go(stack.url("/admin/x")).status_code == 200
    stack.provider.claims["acr"] = "gold"
    assert user.go(stack.url("/safe/x")).status_code == 200
    assert [login.get("acr_values") for login in asked(stack)] == [None, "gold"]


@pytest.mark.attack("IDT-27")
def test_no_refresh_raises_a_session_to_what_a_rule_demands(stack, user):
    """At some providers acr of a refresh is that of a login somewhere else, by the user, while the
    session here may be in other hands.
    """
    assert user.go(stack.url("/private")).status_code == 200
    stack.provider.claims["acr"] = "gold"
    expire(stack, user)
    assert user.go(stack.url("/private")).status_code == 200 and stack.provider.grants
    assert audience(stack, "strong") not in audiences(user)
    answer = user.fetch(stack.url("/vault/x"), page=stack.url("/"))
    assert answer.status_code == 401 and "gold" in answer.headers["www-authenticate"]
    assert user.go(stack.url("/vault/x")).status_code == 200
    assert [login.get("acr_values") for login in asked(stack)] == [None, "gold"]


def test_a_rule_s_max_age_sends_a_user_who_signed_in_long_ago_to_the_provider_once(stack, user):
    stack.provider.claims["auth_time"] = int(time.time()) - 300
    assert user.go(stack.url("/private")).status_code == 200
    stack.provider.claims["auth_time"] = int(time.time())
    assert user.go(stack.url("/bank/x")).status_code == 200
    assert [login.get("max_age") for login in asked(stack)] == [None, "60"]
    assert user.go(stack.url("/bank/y")).status_code == 200 and len(asked(stack)) == 2
    ages(stack, user, auth_time=int(time.time()) - 300)
    assert user.go(stack.url("/private")).status_code == 200
    assert audience(stack, "recent") not in audiences(user) and len(asked(stack)) == 2
    assert user.go(stack.url("/bank/x")).status_code == 200 and len(asked(stack)) == 3


@pytest.mark.parametrize(
    ("path", "demand"), [("/vault/x", ', acr_values="gold"'), ("/bank/x", ', max_age="60"')]
)
def test_a_script_gets_401_with_what_the_rule_demands(stack, user, path, demand):
    page = user.go(stack.url("/private"))
    stack.app.requests.clear()
    answer = user.fetch(stack.url(path), page=page)
    assert answer.status_code == 401
    assert answer.json()["reason"] == "insufficient_user_authentication"
    login = stack.url("/oauth2/login")
    challenge = f'OIDC login_url="{login}", {CHALLENGE}{demand}'
    assert answer.headers["www-authenticate"] == challenge
    assert len(asked(stack)) == 1 and stack.app.requests == []


def test_claims_that_a_rule_finds_too_old_are_renewed_with_the_tokens(stack, user):
    assert user.go(stack.url("/live/x")).status_code == 200
    begun = int(time.time()) - 90
    ages(stack, user, created=begun, created_ms=begun * 1000, access_issued=begun)
    assert user.go(stack.url("/private")).status_code == 200
    assert stack.provider.grants == [] and audience(stack, "current") not in audiences(user)
    assert user.go(stack.url("/live/x")).status_code == 200
    assert len(stack.provider.grants) == 1 and len(asked(stack)) == 1
    stack.provider.claims["groups"] = []
    ages(stack, user, access_issued=int(time.time()) - 90)
    assert user.go(stack.url("/live/x")).status_code == 403
    assert len(stack.provider.grants) == 2


@pytest.mark.parametrize("how", ["no refresh token", "no ID token at the refresh"])
def test_claims_that_no_refresh_renews_need_a_login(stack, user, how):
    page = user.go(stack.url("/live/x"))
    changes = {"refresh_token": None} if how == "no refresh token" else {}
    stack.provider.refreshed["id_token"] = None
    begun = int(time.time()) - 90
    old = _with_iat(Kept(stack), user, begun)
    changes |= {"created": begun, "created_ms": begun * 1000, "access_issued": begun}
    ages(stack, user, id_token=old, **changes)
    answer = user.fetch(stack.url("/live/x"), page=page)
    assert answer.status_code == 401 and CHALLENGE in answer.headers["www-authenticate"]
    assert user.go(stack.url("/live/x")).status_code == 200 and len(asked(stack)) == 2
    assert len(stack.provider.grants) == ("token at" in how)


def _with_iat(kept: Kept, user: WebUser, iat: int) -> str:
    """The session's ID token with an earlier iat; the processor verified it at the login."""
    session = kept.session(user)
    assert session is not None
    head, body, signature = session.id_token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "==")) | {"iat": iat}
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{head}.{changed}.{signature}"


def test_where_a_login_is_optional_only_whom_the_rule_admits_has_an_identity(stack, user):
    assert user.go(stack.url("/docs/x")).status_code == 200 and asked(stack) == []
    assert user.go(stack.url("/private")).status_code == 200
    assert user.go(stack.url("/docs/x")).status_code == 200
    keeper(stack)
    user.cookies.drop("extproc-session-app")
    assert user.go(stack.url("/private")).status_code == 200
    assert user.go(stack.url("/docs/x")).status_code == 200
    assert subjects(stack) == [None, "alice", None, "alice", "alice"]


@pytest.mark.threat("rules")
def test_a_rule_in_shadow_mode_changes_nothing_for_users_and_is_logged(stack, user):
    before = len(would_refuse(stack))
    for _ in range(2):
        assert user.go(stack.url("/trial/x")).status_code == 200
    assert user.go(stack.url("/private")).status_code == 200
    keeper(stack)
    user.cookies.drop("extproc-session-app")
    assert user.go(stack.url("/trial/x")).status_code == 200
    assert subjects(stack) == ["alice"] * 4
    # The second request comes to the processor as well, because the assertion is not for the rule.
    assert would_refuse(stack)[before:] == [("trial", "rules.trial.allow.groups")] * 2


def test_a_rule_that_denies_is_closed_without_a_login(stack, user):
    answer = user.go(stack.url("/metrics"))
    assert answer.status_code == 403 and asked(stack) == [] and stack.app.requests == []


Change = Callable[[dict[str, Any]], None]


def restarted(stack: Stack, change: Change) -> None:
    """Give the processor, and not Envoy, other settings of the application."""
    settings = yaml.safe_load(stack.config.read_text())
    change(settings["applications"]["app"])
    stack.stop_extproc()
    stack.config.write_text(yaml.safe_dump(settings))
    stack.start_extproc()


def _stricter(app: dict[str, Any]) -> None:
    app["rules"][0]["paths"].append("/private/")


def _looser(app: dict[str, Any]) -> None:
    del app["rules"][0]


def _none_left(app: dict[str, Any]) -> None:
    del app["rules"], app["allow"]


def _other_order(app: dict[str, Any]) -> None:
    app["rules"].reverse()


@pytest.mark.threat("rules")
@pytest.mark.parametrize(
    ("version", "change"), in_turns(envoys(), (_stricter, _looser, _none_left, _other_order))
)
def test_an_envoy_with_other_rules_gets_503_until_it_has_the_new_ones(version, change) -> None:
    settings = {
        "applications": {"app": {"allow": {"groups": ["dev"]}, "rules": RULES}},
        "log": {"format": "json"},
        # Long, so that the assertion outlives the restart of the processor.
        "identity": {"assertion_lifetime": "10m"},
    }
    with (
        Stack(FakeProvider(), settings=settings, envoy=envoys()[version]) as stack,
        stack.user() as user,
    ):
        keeper(stack)
        page = user.go(stack.url("/private"))
        restarted(stack, change)
        with stack.user() as other:
            for path in ("/private", "/admin/x", "/docs/x", "/public/x", "/oauth2/login"):
                answer: httpx.Response = other.navigate(stack.url(path))
                assert answer.status_code == 503 and "access_rules_differ" in answer.text
            script = other.fetch(stack.url("/admin/x"), page=page)
            assert script.json()["reason"] == "access_rules_differ"
        assert [line["event"] for line in logged(stack)].count("envoy_differs") == 1
        # The old Envoy admits by the old rules as long as an assertion lives.
        before = stack.streams()
        assert user.go(stack.url("/admin/x")).status_code == 200 and stack.streams() == before
        stack.stop_envoy()
        stack.start_envoy()
        # The assertion of before admits to nothing any more, and the session still does.
        before = stack.streams()
        assert user.go(stack.url("/private")).status_code == 200
        assert stack.streams() > before and len(asked(stack)) == 1
