"""An application: what is derived from its address, and what it is told of a user."""

import json

import pytest
from harness.tokens import ISSUER, NOW, application, client

from extproc.core.access import Access
from extproc.core.access_conditions import Entry
from extproc.core.access_rules import Rule
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


def test_an_application_can_be_told_whose_user_it_is():
    app = application(identity=(("x-auth-sub", "sub"), ("x-auth-issuer", "iss")))
    claims = Claims({"sub": "alice", "iss": "of no token"})
    of_login, of_token = (("x-auth-issuer", each) for each in (ISSUER, "https://partner.example"))
    assert app.identity_headers(claims)[1] == of_login
    assert app.identity_headers(claims, issuer="https://partner.example")[1] == of_token
    # It is known without a call of the provider.
    assert app.knows_all(Claims({"sub": "alice"}))


def users_email(**claims):
    return Claims({"sub": "alice", "email": "a@example.com", **claims})


@pytest.mark.parametrize(
    ("claims", "shown"),
    [
        ({"email_verified": True}, True), ({"email_verified": "true"}, True), ({"email_verified": "True"}, True),
        ({}, False), ({"email_verified": False}, False), ({"email_verified": "false"}, False), ({"email_verified": None}, False),
        ({"email_verified": 1}, False), ({"email_verified": "yes"}, False), ({"email_verified": [True]}, False), ({"email_verified": "true "}, False),
    ],
)  # fmt: skip
def test_an_address_that_the_provider_does_not_confirm_reaches_no_application(claims, shown):
    app = application(
        identity=(("x-auth-sub", "sub"), ("x-auth-email", "email"), ("x-auth-mail", "email"))
    )
    known = users_email(**claims)
    headers = dict(app.identity_headers(known))
    assert headers.pop("x-auth-sub") == "alice"
    assert set(headers) == ({"x-auth-email", "x-auth-mail"} if shown else set())
    assert ("email" in app.shown_claims(known).values) == shown
    trusting = application(trust_email=True)
    assert dict(trusting.identity_headers(known))["x-auth-email"] == "a@example.com"
    assert trusting.shown_claims(known) == known


def test_a_part_of_an_address_counts_as_the_address():
    app = application(identity=(("x-auth-sub", "sub"), ("x-auth-email", "email.primary")))
    known = users_email(email={"primary": "a@example.com"})
    assert app.identity_headers(known) == (("x-auth-sub", "alice"),)


def test_a_header_that_is_too_long_is_left_out_and_the_subject_never_is():
    app = application(max_header_bytes=3072)
    longest = "\U0001f600" * 255
    known = Claims({"sub": longest, "name": "n" * 3072, "groups": ["g" * 3000, "h" * 72]})
    assert dict(app.identity_headers(known)).keys() == {"x-auth-sub", "x-auth-name"}
    assert len(application().identity_headers(known)) == 3


@pytest.mark.parametrize(
    ("claims", "all_known"),
    [
        ({"name": "A", "groups": ["dev"], "email_verified": True}, True),
        ({"name": "A", "groups": ["dev"]}, False), ({"name": "A", "groups": [], "email_verified": True}, False),
        ({"groups": ["dev"], "email_verified": True}, False),
    ],
)  # fmt: skip
def test_whether_there_is_a_value_for_each_header(claims, all_known):
    assert application().knows_all(users_email(**claims)) == all_known


@pytest.mark.parametrize(
    ("entry", "claims", "all_known"),
    [
        (Entry(groups=frozenset("g")), {"realm": {"roles": ["g"]}}, True),
        (Entry(groups=frozenset("g")), {"groups": ["g"]}, False),
        (Entry(claims=(("level", (1,)),)), {"level": 0}, True),
        (Entry(claims=(("level", (1,)),)), {}, False),
        (Entry(email_domains=frozenset(("a.example",))), {"email": "x"}, True),
        (Entry(emails=frozenset((("a", "a.example"),))), {}, False),
        (Entry(users=frozenset("u"), acr_values=("gold",)), {}, True),
    ],
)
def test_what_a_condition_is_about_has_to_be_known_as_well(entry, claims, all_known):
    rule = Rule("x", allow=(entry,))
    for access in (Access("app", (entry,), (), "d"), Access("app", (), (rule,), "d")):
        app = application(identity=(), access=access, groups_claim="realm.roles")
        assert app.knows_all(Claims(claims)) == all_known


def test_where_claims_are_kept_is_shown_to_no_page():
    """Such an address may come with an access token."""
    known = Claims({"sub": "alice", "_claim_names": {"groups": "s"}, "_claim_sources": {"s": {}}})
    assert application().shown_claims(known).values == {"sub": "alice"}


def test_the_assertion_cookie_has_the_headers_and_how_long_a_request_may_last():
    app = application()
    cookie = app.assertion_cookie(
        "handle", ("app",), (("x-auth-sub", "alice"),), NOW, NOW + 1000, 7, None
    )
    claims = json.loads(b64decode(cookie.value.split(".")[1]))
    assert (claims["x-auth-sub"], claims[LASTS]) == ("alice", "7000")
    assert (claims["iss"], claims["aud"]) == (app.url, app.name)
    assert (cookie.name, cookie.secure, cookie.max_age) == (app.cookies.assertion, True, 45)
    assert (
        application(assertion_lifetime=0).assertion_cookie("h", ("app",), (), NOW, NOW + 9, 7, None)
        is None
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
    assert app.user("alice", Claims({"email": email, "email_verified": True})) == user
    unconfirmed = app.user("alice", Claims({"email": email}))
    assert unconfirmed == (None if log_users == "none" else "alice")
    assert app.user("s" * 300, Claims({})) == (None if log_users == "none" else "s" * MAX_USER)


def test_the_assertion_names_the_user_for_the_access_log_only_if_there_is_a_name():
    def claims(user):
        cookie = application().assertion_cookie("handle", ("app",), (), NOW, NOW + 1000, 7, user)
        return json.loads(b64decode(cookie.value.split(".")[1]))

    assert claims("alice")[USER] == "alice" and USER not in claims(None)


def test_a_claim_is_known_although_its_raw_header_is_left_out():
    raw = application(identity=(("x-name", "name"),), raw_headers=frozenset({"x-name"}))
    assert raw.knows_all(Claims({"name": "Doe, Jane"})) and not raw.knows_all(Claims({}))
    assert raw.identity_headers(Claims({"name": "Doe, Jane"})) == ()
