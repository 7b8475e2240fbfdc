"""decide(): what happens to one request, as tables."""

import json
from dataclasses import replace

import pytest
from harness.tokens import (
    NOW,
    WITH_GROUPS,
    application,
    request,
    session,
)

from extproc.core.access import Access
from extproc.core.access_conditions import Entry
from extproc.core.access_rules import Rule
from extproc.core.assertion import LASTS
from extproc.core.decide import decide
from extproc.core.decisions import Continue, StartLogin
from extproc.core.encoding import b64decode
from extproc.core.errors import (
    LoginRequired,
    Misdirected,
    StateMismatch,
)
from extproc.core.expression import Expression
from extproc.core.oidc.claims import Claims
from extproc.core.refusals import respond
from extproc.core.step_up import Demand

APP = application()
SESSION = WITH_GROUPS


def test_a_fresh_session_goes_on_with_identity_and_a_new_assertion():
    decision = decide(APP, request(), SESSION, NOW)
    assert isinstance(decision, Continue)
    assert decision.set_headers == (
        ("x-auth-sub", "alice"),
        ("x-auth-email", "alice@example.com"),
        ("x-auth-groups", "a%2Cb,dev"),
    )
    # row HDR-08: a claim that is absent has no header, whatever the client sent
    assert decision.remove_headers == ("x-auth-name",)
    assert [cookie.name for cookie in decision.set_cookies] == ["__Host-extproc-assertion-app"]
    assert decision.touch is None and decide(APP, request(), SESSION, NOW + 60).touch == SESSION


@pytest.mark.attack("COOK-17")
@pytest.mark.parametrize(
    "session",
    [
        replace(SESSION, expires=NOW),
        replace(SESSION, touched=NOW - 3600),
        replace(SESSION, issuer="https://other.example"),
        None,
    ],
)
def test_a_session_past_its_limits_is_none(session):
    assert decide(APP, request(), session, NOW) == StartLogin("/wanted?a=1", ())


# within the leeway; 0 would mean no limit to Envoy
@pytest.mark.parametrize(
    ("settings", "changes", "lasts"),
    [
        ({}, {}, 43_200),
        ({}, {"expires": NOW + 100}, 100),
        ({}, {"touched": NOW - 3599}, 43_200),  # a later request would move the idle limit
        ({"stream_lifetime": 60}, {}, 60),
        ({"stream_lifetime": 60}, {"expires": NOW + 59}, 59),
        ({"demand": Demand(max_age=600)}, {"auth_time": NOW - 500}, 100),
        (
            {"demand": Demand(max_age=600)},
            {"auth_time": NOW - 620},
            1,
        ),
    ],
)
@pytest.mark.parametrize("public", [False, True])
def test_no_request_outlasts_its_session_on_either_lane(settings, changes, lasts, public):
    decision = decide(
        application(**settings), request(public=public), replace(SESSION, **changes), NOW
    )
    assert decision.lasts == lasts
    for cookie in decision.set_cookies:  # where an assertion is issued
        assert json.loads(b64decode(cookie.value.split(".")[1]))[LASTS] == str(lasts * 1000)


def test_an_application_without_assertions_is_asked_each_time():
    decision = decide(application(assertion_lifetime=0), request(), SESSION, NOW)
    assert decision.set_cookies == () and decision.reason == "session_unasserted"


def test_a_public_path_goes_on_without_identity():
    decision = decide(APP, request(public=True), None, NOW)
    assert decision == Continue(
        "public", remove_headers=("x-auth-sub", "x-auth-email", "x-auth-name", "x-auth-groups")
    )
    assert decide(APP, request(public=True), SESSION, NOW).set_headers[0] == ("x-auth-sub", "alice")


@pytest.mark.attack("FLOW-12", "REDI-10", "WEB-12")
@pytest.mark.parametrize(
    "headers",
    [
        {"accept": "application/json", "sec_fetch_mode": "cors", "sec_fetch_dest": "empty"},
        {"sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"},
        {"sec_fetch_dest": "iframe"},
        {"sec_purpose": "prefetch"},
        {"purpose": "prefetch"},
        {"upgrade": "websocket"},
        {"sec_fetch_mode": "", "sec_fetch_dest": "", "accept": "application/json"},
        {"sec_fetch_mode": "", "sec_fetch_dest": "", "x_requested_with": "XMLHttpRequest"},
        {"sec_fetch_mode": "", "sec_fetch_dest": "", "accept": ""},
        {"sec_fetch_mode": "", "sec_fetch_dest": "", "method": "POST"},
        {"sec_fetch_mode": "", "method": "OPTIONS", "access_control_request_method": "GET"},
        {"method": "OPTIONS"},
        {"method": "PUT"},
        {"method": "HEAD"},
        {
            "sec_fetch_mode": "",
            "sec_fetch_dest": "",
            "accept": "*/*",
            "content_type": "application/grpc",
            "method": "POST",
        },
    ],
)
def test_what_is_no_navigation_gets_401_and_no_cookie(headers):
    with pytest.raises(LoginRequired) as caught:
        decide(APP, request(cookie="__Host-extproc-session-app=x", **headers), None, NOW)
    answer = respond(caught.value, APP, request(**headers))
    assert (answer.status, answer.cookies, answer.location, answer.login_url) == (
        401,
        (),
        None,
        "https://app.example/oauth2/login",
    )


@pytest.mark.attack("REDI-09")
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec_fetch_dest": "empty"},
        {"sec_fetch_mode": "", "sec_fetch_dest": ""},
        {"method": "POST"},
    ],
)
def test_a_navigation_starts_a_login(headers):
    assert decide(APP, request(**headers), None, NOW) == StartLogin("/wanted?a=1", ())


def test_a_dead_session_cookie_is_expired_on_the_way_to_the_login():
    decision = decide(
        APP,
        request(cookie="__Host-extproc-session-app=gone; a=b; __Host-extproc-assertion-app=x"),
        None,
        NOW,
    )
    assert [cookie.header() for cookie in decision.expired] == [
        f"__Host-extproc-{kind}-app=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0; Secure"
        for kind in ("session", "assertion")
    ]


# -- hosts -----------------------------------------------------------------------------------------


@pytest.mark.attack("FLOW-22")
def test_another_host_of_the_application_goes_to_its_url_first():
    decision = decide(APP, request(authority="OTHER.example:8443"), None, NOW)
    assert (decision.status, decision.location, decision.cookies) == (
        303,
        "https://app.example/wanted?a=1",
        (),
    )
    decision = decide(
        APP, request("/oauth2/login?return_to=/x", authority="other.example"), None, NOW
    )
    assert decision.location == "https://app.example/oauth2/login?return_to=/x"
    with pytest.raises(Misdirected):
        decide(APP, request(authority="evil.example"), None, NOW)
    with pytest.raises(Misdirected):
        decide(APP, request(authority="evil.example"), SESSION, NOW)
    wiki = application(url="https://app.example/wiki/")
    for path in ("/", "/wiki", "/Wiki/", "/other/wiki/", "/oauth2/login"):
        with pytest.raises(Misdirected):
            decide(wiki, request(path), SESSION, NOW)
    everywhere = application(hosts=("*",))
    assert (
        decide(everywhere, request(authority="any.example"), None, NOW).location
        == "https://app.example/wanted?a=1"
    )


@pytest.mark.attack("FLOW-21")
def test_a_callback_outside_the_prefix_is_an_ordinary_page():
    wiki = application(url="https://app.example/wiki/")
    assert decide(wiki, request("/wiki/x/oauth2/callback?code=a"), None, NOW) == StartLogin(
        "/wiki/x/oauth2/callback?code=a", ()
    )
    with pytest.raises(StateMismatch):
        decide(wiki, request("/wiki/oauth2/callback?code=a&state=b"), None, NOW)


@pytest.mark.attack("REDI-06")
@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/a%2Fb;c=1?x=1&x=2&y=",
        "/caf%C3%A9?q=a+b%20c",
        "/a?",
        "/?next=//evil.example",
        "/a?u=https://x/%0d%0a",
        "/~u/(1)!*'",
    ],
)
def test_a_return_url_is_kept_byte_for_byte(target):
    assert decide(APP, request(target), None, NOW).return_to == target


def test_a_signed_in_request_goes_on_with_its_session():
    decision = decide(application(), request(), session(), NOW)
    assert isinstance(decision, Continue)
    assert (decision.reason, decision.session) == ("session", session())
    (cookie,) = decision.set_cookies
    assert (cookie.name, cookie.secure, cookie.max_age) == (
        "__Host-extproc-assertion-app",
        True,
        45,
    )
    unasserted = decide(application(assertion_lifetime=0), request(), session(), NOW)
    assert (unasserted.reason, unasserted.set_cookies) == ("session_unasserted", ())


@pytest.mark.parametrize(("names", "user"), [("none", None), ("sub", "alice")])
def test_a_signed_in_request_names_its_user_for_logs_as_the_settings_say(names, user):
    assert decide(application(log_users=names), request(), session(), NOW).user == user


def test_another_host_leads_to_the_own_one():
    decision = decide(application(), request(authority="other.example"), None, NOW)
    assert (decision.status, decision.reason, decision.location) == (
        303,
        "canonical_host",
        "https://app.example/wanted?a=1",
    )
    odd = decide(
        application(), request("/oauth2/login?return_to=\xe4", authority="other.example"), None, NOW
    )
    assert odd.location == "https://app.example/oauth2/login"


TRIED = Rule(
    "tried", ("/x",), allow=(Entry(groups=frozenset(("dev",))),), max_claims_age=60, shadow=True
)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"created": NOW - 59}, ""),
        # The tokens would be renewed, and the user would not notice.
        ({"created": NOW - 60}, ""),
        ({"created": NOW - 60, "claims": Claims({"groups": "x"})}, "rules.tried.allow.groups"),
        ({"created": NOW - 60, "refresh_token": None}, "rules.tried.max_claims_age"),
    ],
)
def test_claims_that_would_be_renewed_are_no_refusal_of_a_rule_on_trial(changes, key):
    app = application(access=Access("app", (), (TRIED,), "d"), refresh_margin=30)
    user = session(**{"claims": Claims({"groups": ["dev"]}), **changes})
    asked = replace(request(), access="d", shadow="tried")
    assert decide(app, asked, user, NOW).would_refuse == key


def test_what_conditions_see_of_a_user_is_found_once_for_each_request():
    class Counted:
        times = 0

        def value(self, run: object) -> object:
            self.times += 1
            return True

    counted = Counted()
    allow = (Entry(expression=Expression("claims.a", frozenset("a"), counted)),)
    rule, tried = Rule("own", ("/x",), allow=allow), replace(TRIED, allow=allow)
    app = application(access=Access("app", allow, (rule, tried), "d"))
    for public in (False, True):
        asked = replace(request(), access="d", rule="own", shadow="tried", public=public)
        assert decide(app, asked, session(), NOW).reason == "session"
    assert counted.times == 2
