"""An application: what is derived from its address, and what it is told of a user."""

import json

import pytest
from harness.tokens import NOW, application, client

from extproc.core.application import MAX_USER
from extproc.core.assertion import LASTS, USER
from extproc.core.encoding import b64decode
from extproc.core.oidc.claims import Claims
from extproc.core.step_up import Demand


@pytest.mark.parametrize(
    ("url", "origin", "host", "endpoints", "prefix"),
    [
        ("https://app.example/", "https://app.example", "app.example", "/oauth2/", "__Host-extproc-"),
        ("https://APP.example:8443/wiki/", "https://app.example:8443", "app.example", "/wiki/oauth2/", "__Host-extproc-"),
        ("http://[::1]:8080/", "http://[::1]:8080", "[::1]", "/oauth2/", "extproc-"),
    ],
)  # fmt: skip
def test_the_address_gives_origin_host_endpoints_and_cookie_names(
    url, origin, host, endpoints, prefix
):
    app = application(url=url)
    assert (app.origin, app.host, app.endpoints) == (origin, host, endpoints)
    assert app.cookies.session == f"{prefix}session-app"


def test_no_login_returns_to_an_endpoint_of_any_application_of_the_host():
    app = application(other_endpoints=("/wiki/oauth2/",))
    assert app.all_endpoints == ("/oauth2/", "/wiki/oauth2/")


def test_the_authorization_query_is_that_of_client_and_demand():
    app = application(demand=Demand(prompt="login"))
    assert app.authorization_query == client().authorization_query + "&prompt=login"


def test_claims_that_are_absent_or_empty_have_no_header():
    claims = Claims({"sub": "alice", "email": "", "groups": ["a,b", "c"]})
    assert application().identity_headers(claims) == (
        ("x-auth-sub", "alice"),
        ("x-auth-groups", "a%2Cb,c"),
    )


def test_the_assertion_cookie_has_the_headers_and_how_long_a_request_may_last():
    app = application()
    cookie = app.assertion_cookie("handle", (("x-auth-sub", "alice"),), NOW, NOW + 1000, 7, None)
    claims = json.loads(b64decode(cookie.value.split(".")[1]))
    assert (claims["x-auth-sub"], claims[LASTS]) == ("alice", "7000")
    assert (claims["iss"], claims["aud"]) == (app.url, app.name)
    assert (cookie.name, cookie.secure, cookie.max_age) == (app.cookies.assertion, True, 45)
    assert (
        application(assertion_lifetime=0).assertion_cookie("h", (), NOW, NOW + 9, 7, None) is None
    )


@pytest.mark.parametrize(
    ("log_users", "email", "user"),
    [
        ("none", "a@b.example", None),
        ("sub", "a@b.example", "alice"),
        ("email", "a@b.example", "a@b.example"),
        ("email", None, "alice"),
        ("email", "", "alice"),
        ("email", ["a@b.example"], "alice"),
        ("email", "a@b.example\n", "alice"),
        ("email", "\ud800", "alice"),
        ("email", "e" * 10_000, "e" * MAX_USER),
    ],
)
def test_logs_name_a_user_by_the_claim_of_the_settings(log_users, email, user):
    app = application(log_users=log_users)
    assert app.user("alice", Claims({"email": email})) == user
    assert app.user("s" * 300, Claims({})) == (None if log_users == "none" else "s" * MAX_USER)


def test_the_assertion_names_the_user_for_the_access_log_only_if_there_is_a_name():
    def claims(user):
        cookie = application().assertion_cookie("handle", (), NOW, NOW + 1000, 7, user)
        return json.loads(b64decode(cookie.value.split(".")[1]))

    assert claims("alice")[USER] == "alice" and USER not in claims(None)
