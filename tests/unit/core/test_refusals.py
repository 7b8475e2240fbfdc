"""The answers to refusals, and the links of their pages."""

import json

import pytest
from harness.tokens import application, pending, request, session

from extproc.core import decisions
from extproc.core.decisions import Refresh
from extproc.core.errors import (
    BodyTooLarge,
    InsufficientAuthentication,
    InvalidLogoutToken,
    LoginRequired,
    MethodNotAllowed,
    Misdirected,
    NoSuchEndpoint,
    Overloaded,
    Refusal,
    SessionEnded,
    StoreUnavailable,
)
from extproc.core.provider_errors import CodeRefused
from extproc.core.refusals import (
    MAX_LINKED,
    refuse,
    respond,
    respond_to_provider,
    retry_callback,
    retry_login,
)

APP = application()


# -- pages and their links -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "target", "link", "text"),
    [
        (CodeRefused(), "/a?b=1&c", "https://app.example/a?b=1&c", "Try again"),
        (
            CodeRefused(),
            "/oauth2/callback?code=x",
            "https://app.example/",
            "Back to the application",
        ),
        (
            LoginRequired(),
            "/a?b=1&c",
            "https://app.example/oauth2/login?return_to=/a%3Fb%3D1%26c",
            "Sign in",
        ),
        (LoginRequired(), "/oauth2/userinfo", "https://app.example/oauth2/login", "Sign in"),
    ],
)
def test_the_link_of_a_page_leads_on(error, target, link, text):
    page = respond(error, APP, request(target)).page
    assert (page.link, page.link_text, page.title) == (link, text, error.row.title)


@pytest.mark.parametrize(("more", "kept"), [(0, True), (1, False)])
def test_a_page_with_a_long_address_is_not_in_the_address_of_its_login(more, kept):
    target = "/" + "a" * (MAX_LINKED - 1 + more)
    link = respond(LoginRequired(), APP, request(target)).page.link
    assert link == "https://app.example/oauth2/login" + f"?return_to={target}" * kept


def test_a_login_after_a_post_leads_to_the_start_page():
    assert (
        respond(LoginRequired(), APP, request("/a", method="POST")).page.link
        == "https://app.example/oauth2/login"
    )


def test_without_an_application_the_link_leads_to_the_start_page():
    answer = respond(LoginRequired(), None, request("/a"))
    assert (answer.page.link, answer.page.link_text, answer.login_url) == ("/", "Try again", None)
    answer = respond(CodeRefused(), APP, None)
    assert (answer.page.link, answer.html) == ("https://app.example/", True)


def test_a_refusal_says_what_its_kind_says():
    busy = respond(Overloaded("the lane"), APP, request("/a"))
    assert (busy.status, busy.reason, busy.retry_after, busy.detail) == (
        503,
        "overloaded",
        3,
        "the lane",
    )
    assert (busy.challenge, busy.allow) == (None, None)
    assert respond(InsufficientAuthentication("more"), APP, request("/a")).challenge == "more"
    assert respond(MethodNotAllowed("GET, HEAD"), APP, request("/a")).allow == "GET, HEAD"


@pytest.mark.parametrize(
    ("accept", "html"),
    [("TEXT/HTML", True), ("text/html,*/*", True), ("application/json", False), ("*/*", False)],
)
def test_a_page_is_for_those_who_read_html(accept, html):
    assert respond(CodeRefused(), APP, request("/a", accept=accept)).html is html


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NoSuchEndpoint(), (404, "invalid_request", "no_such_endpoint", None, None)),
        (StoreUnavailable("x"), (503, "temporarily_unavailable", "store_unavailable", 5, None)),
        (Refusal(), (500, "temporarily_unavailable", "internal_error", None, None)),
        (MethodNotAllowed("POST"), (405, "invalid_request", "method_not_allowed", None, "POST")),
    ],
)
def test_a_provider_is_told_the_class_and_the_reason(error, said):
    answer = respond_to_provider(error)
    body = json.loads(answer.json)
    assert (
        answer.status,
        body["error"],
        body["error_description"],
        answer.retry_after,
        answer.allow,
    ) == said
    assert (answer.reason, answer.page, answer.cookies, answer.detail) == (
        error.reason,
        None,
        (),
        error.detail,
    )


def test_a_login_that_failed_is_tried_again_for_the_page_that_was_wanted():
    answer = retry_login(
        APP, respond(CodeRefused(), APP, request("/oauth2/callback?code=x")), "/wanted?a=1&b"
    )
    assert answer.page.link == "https://app.example/oauth2/login?return_to=/wanted%3Fa%3D1%26b"
    assert answer.page.link_text == "Try again"
    told = respond_to_provider(CodeRefused())
    assert retry_login(APP, told, "/wanted") is told


def test_a_callback_that_can_still_succeed_is_asked_for_again():
    assert (
        retry_callback(respond(CodeRefused(), APP, request("/oauth2/callback?code=x"))).page.link
        == ""
    )
    told = respond_to_provider(CodeRefused())
    assert retry_callback(told) is told


# -- what a refusal does to cookies ---------------------------------------------------------------

CALLBACK = decisions.RedeemCode(None, pending(), None)
LOGIN_COOKIE = APP.cookies.login(CALLBACK.pending.attempt)
ON_CALLBACK = request("/oauth2/callback?code=x")


def test_a_callback_that_is_over_expires_its_login_cookie_and_leads_to_a_new_login():
    answer = refuse(APP, ON_CALLBACK, CodeRefused(), CALLBACK)
    assert answer.cookies == (APP.cookies.expired(LOGIN_COOKIE),)
    assert "/oauth2/login?return_to=" in answer.page.link and answer.html
    script = request("/oauth2/callback?code=x", accept="application/json")
    assert not refuse(APP, script, CodeRefused(), CALLBACK).html


def test_a_callback_that_can_be_tried_again_keeps_its_login_cookie_and_leads_to_itself():
    answer = refuse(APP, ON_CALLBACK, StoreUnavailable("away"), CALLBACK)
    assert (answer.cookies, answer.page.link) == ((), "")


def test_a_session_that_the_provider_ended_expires_its_cookies_and_no_other_refusal_does():
    came = request("/a", cookie=f"{APP.cookies.session}=x")
    ended = refuse(APP, came, SessionEnded())
    assert ended.cookies == (APP.cookies.expired(APP.cookies.session),) and ended.clear_cache
    assert ended.page.link == "https://app.example/oauth2/login?return_to=/a"
    assert refuse(APP, came, LoginRequired(), Refresh(session())).cookies == ()


def test_a_refused_logout_of_the_provider_gets_json_whatever_the_error():
    app = application(backchannel_logout=True)
    came = request("/oauth2/backchannel-logout", method="POST", cookie=f"{app.cookies.session}=x")
    for error in (StoreUnavailable("away"), SessionEnded(), Refusal()):
        assert refuse(app, came, error) == respond_to_provider(error)


def test_a_refusal_for_an_unknown_application_is_a_page_without_cookies():
    answer = refuse(None, ON_CALLBACK, Misdirected("no application"), CALLBACK)
    assert (answer.status, answer.cookies, answer.page.link) == (421, (), "/")


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (InvalidLogoutToken("events"), 400, "invalid_request"),
        (BodyTooLarge(), 413, "invalid_request"),
        (MethodNotAllowed("POST"), 405, "invalid_request"),
        (StoreUnavailable("secret"), 503, "temporarily_unavailable"),
    ],
)
def test_a_provider_is_told_in_json_and_gets_no_cookie(error: Refusal, status, said):
    answer = respond_to_provider(error)
    assert answer.status == status and answer.cookies == () and answer.page is None
    assert json.loads(answer.json) == {"error": said, "error_description": error.reason}
    assert (answer.retry_after is not None) == (status == 503)


@pytest.mark.parametrize(
    ("asked", "link"),
    [
        (
            {"target": "/a?b=1&c=%2F"},
            "https://app.example/oauth2/login?return_to=/a%3Fb%3D1%26c%3D%252F",
        ),
        ({"target": "//evil.example/x"}, "https://app.example/oauth2/login?return_to=/"),
        ({"target": "/a", "method": "POST"}, "https://app.example/oauth2/login"),
        ({"target": "/oauth2/userinfo"}, "https://app.example/oauth2/login"),
    ],
)
def test_the_page_that_asks_to_sign_in_leads_back_to_what_was_wanted(asked, link):
    app = application()
    answer = respond(LoginRequired(), app, request(**asked, sec_fetch_mode="cors"))
    assert answer.page.link == link and answer.login_url == "https://app.example/oauth2/login"
