"""Requests of API callers: what counts as an access token, and what it is admitted to."""

from dataclasses import replace
from typing import Any

import pytest
from harness.tokens import (
    ISSUER,
    NOW,
    access_token,
    application,
    request,
    session,
    token_profile,
)

from extproc.core.access import Access
from extproc.core.access_conditions import Entry
from extproc.core.access_rules import Rule
from extproc.core.bearer import (
    challenge,
    decide_bearer,
    is_by_token,
    presented,
    provider_of,
)
from extproc.core.bearer_access import BearerAccess
from extproc.core.bearer_errors import (
    InsufficientScope,
    InvalidAccessToken,
    InvalidAuthorization,
    TokenRequired,
)
from extproc.core.decide import decide
from extproc.core.decisions import Continue, StartLogin
from extproc.core.errors import (
    AccessDiffers,
    InsufficientAuthentication,
    LoginRequired,
    Misdirected,
    NotAllowed,
    Refusal,
)
from extproc.core.http import Request
from extproc.core.oidc.access_token import AccessToken
from extproc.core.oidc.claims import Claims
from extproc.core.refusals import respond
from extproc.core.step_up import Demand
from extproc.settings.expression import compile_expression

READ = Entry(scopes=(frozenset({"read"}), frozenset({"all", "admin"})))
API = Rule("api", ("/api/",), allow=(READ,), accept=("bearer",))
BOTH = Rule("both", ("/both/",), accept=("bearer", "session"))
OPTIONAL = Rule("optional", ("/o/",), login="optional", accept=("bearer", "session"))
FRESH = Rule("fresh", ("/f/",), accept=("bearer",), max_claims_age=60)
STAFF = Rule("staff", ("/s/",), allow=(Entry(groups=frozenset({"staff"})),), accept=("bearer",))
MFA = Rule("mfa", ("/m/",), allow=(Entry(acr_values=("mfa",)),), accept=("bearer", "session"))
DEV = Entry(expression=compile_expression("claims.groups == ['dev']"))
CEL = Rule("cel", ("/c/",), allow=(DEV,), accept=("bearer",))
RULES = (API, BOTH, OPTIONAL, FRESH, STAFF, MFA, CEL, Rule("web", ("/w/",)))
PROFILE = token_profile()
METADATA = "https://app.example/.well-known/oauth-protected-resource"


def app(**changes: Any) -> Any:
    bearer = BearerAccess((PROFILE,), PROFILE, False, METADATA)
    return application(**{"access": Access("app", (), RULES, "d"), "bearer": bearer, **changes})


APP = app()
ALICE = AccessToken(
    PROFILE,
    "alice",
    "machine",
    frozenset({"read"}),
    Claims({"sub": "alice", "email": "a@example.com", "groups": ["dev"]}),
    None,
    None,
    NOW - 30,
    NOW + 300,
)


def asked(rule: str, *authorization: str, **headers: str) -> Request:
    made = request("/x", **headers)
    lines = tuple(("authorization", each) for each in authorization)
    return replace(made, rule=rule, headers=made.headers + lines)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_a_token_is_read_where_the_rule_accepts_it_and_nowhere_else(scheme):
    for rule in ("api", "both", "optional"):
        assert presented(APP, asked(rule, f"{scheme} a.b-c_d~e+f/g==")) == "a.b-c_d~e+f/g=="
    for rule in ("", "web", "gone"):
        assert presented(APP, asked(rule, f"{scheme} token")) is None
    assert presented(APP, asked("api", f"{scheme}   token")) == "token"


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("Basic Zm9v==",),
        ("Bearertoken",),
        ("",),
        ('Digest a="b", c=bearer',),
        ("Digest a=b,c=d",),
        ('Digest a="b, c d"',),
        ("Negotiate",),
        ("DPoP x",),
    ],
)
def test_what_is_no_bearer_token_leaves_the_request_to_the_session(lines):
    assert presented(APP, asked("both", *lines)) is None
    assert not is_by_token(APP, asked("both", *lines))


@pytest.mark.parametrize(
    "lines",
    [
        ("Bearer a", "Bearer b"),
        ("Bearer a", "Basic b"),
        ("Basic a", "Basic b"),
        ("Bearer a, Bearer b",),
        ("Basic a,Bearer b",),
        ("Basic a, bearer",),
        ("Basic a==,Basic b==",),
        ("Basic a ,",),
        ("Negotiate,Basic b",),
        ("Bearer",),
        ("Bearer ",),
        ("Bearer a b",),
        ("Bearer\ta",),
        ("Bearer =",),
        ("Bearer a=b",),
        ("Bearer ä",),
        ("Bearer,a",),
    ],
)
def test_two_headers_and_a_malformed_one_are_400(lines):
    with pytest.raises(InvalidAuthorization) as refused:
        presented(APP, asked("optional", *lines))
    answer = respond(refused.value, APP, asked("optional", *lines))
    assert (answer.status, answer.html, answer.login_url) == (400, False, None)
    assert answer.bearer == f'error="invalid_request", resource_metadata="{METADATA}"'


def test_an_accepted_token_brings_its_claims_as_identity_and_does_not_reach_the_application():
    decision = decide_bearer(APP, asked("api", "Bearer x"), ALICE, NOW)
    assert decision == Continue(
        "bearer",
        set_headers=(("x-auth-sub", "alice"), ("x-auth-groups", "dev")),
        remove_headers=("authorization", "x-auth-email", "x-auth-name"),
        lasts=300,
    )


def test_an_address_counts_by_the_provider_of_the_token_and_not_by_the_application_s():
    trusting = replace(ALICE, profile=replace(PROFILE, trust_email=True))
    for of_app, token, shown in (
        (APP, ALICE, False),
        (app(trust_email=True), ALICE, False),
        (APP, trusting, True),
    ):
        decision = decide_bearer(of_app, asked("api"), token, NOW)
        assert ("x-auth-email" in dict(decision.set_headers)) is shown


def test_the_issuer_in_a_header_is_that_of_the_token():
    naming = app(identity=(("x-auth-sub", "sub"), ("x-auth-issuer", "iss")))
    partner = replace(PROFILE, provider="partner", issuer="https://partner.example")
    for profile in (PROFILE, partner):
        token = replace(ALICE, profile=profile)
        decision = decide_bearer(naming, asked("api"), token, NOW)
        assert decision.set_headers == (("x-auth-sub", "alice"), ("x-auth-issuer", profile.issuer))


def test_the_token_is_passed_on_where_the_settings_say_so():
    forwarding = app(bearer=BearerAccess((PROFILE,), None, True, METADATA))
    assert "authorization" not in decide_bearer(forwarding, asked("api"), ALICE, NOW).remove_headers
    owned = app(bearer=BearerAccess((PROFILE,), None, True, METADATA), forward_access_token=True)
    assert "authorization" not in decide_bearer(owned, asked("api"), ALICE, NOW).remove_headers


def test_a_request_ends_with_its_token_or_before():
    def lasts(now: int, **changes: Any) -> int | None:
        return decide_bearer(app(**changes), asked("api"), ALICE, now).lasts

    assert (lasts(NOW), lasts(NOW, stream_lifetime=20), lasts(NOW + 299)) == (300, 20, 1)
    assert lasts(NOW + 359) == 1
    with pytest.raises(InvalidAccessToken) as refused:
        lasts(NOW + 360)
    assert refused.value.check == "expired"


@pytest.mark.parametrize(
    ("rule", "changes", "error", "detail"),
    [
        ("api", {"scopes": frozenset()}, InsufficientScope, "rules.api.allow.scopes"),
        ("api", {"scopes": frozenset({"all"})}, InsufficientScope, "rules.api.allow.scopes"),
        ("staff", {}, NotAllowed, "rules.staff.allow.groups"),
        ("fresh", {"issued_at": NOW - 60}, InvalidAccessToken, "rules.fresh.max_claims_age"),
        ("mfa", {}, InsufficientAuthentication, ""),
        ("cel", {"claims": Claims({"groups": "dev"})}, NotAllowed, "rules.cel.allow.expression"),
    ],
)
def test_what_a_rule_asks_a_token_has_to_have(rule, changes, error, detail):
    with pytest.raises(error) as refused:
        decide_bearer(APP, asked(rule), replace(ALICE, **changes), NOW)
    assert refused.value.detail.startswith(detail)


def test_an_expression_is_about_the_claims_of_the_token():
    assert decide_bearer(APP, asked("cel"), ALICE, NOW).reason == "bearer"


def test_the_scopes_of_one_alternative_are_all_needed():
    both = replace(ALICE, scopes=frozenset({"all", "admin"}))
    assert decide_bearer(APP, asked("api"), both, NOW).reason == "bearer"
    fresh = replace(ALICE, issued_at=NOW - 59)
    assert decide_bearer(APP, asked("fresh"), fresh, NOW).reason == "bearer"


def test_a_rule_in_shadow_mode_is_tried_with_the_token():
    tried = Rule("tried", ("/api/",), allow=(Entry(groups=frozenset({"new"})),), shadow=True)
    trying = app(access=Access("app", (), (*RULES, tried), "d"))
    shadowed = replace(asked("api"), shadow="tried")
    found = decide_bearer(trying, shadowed, ALICE, NOW).would_refuse
    assert found == "rules.tried.allow.groups"
    newer = replace(ALICE, claims=Claims({"groups": ["new"]}))
    assert decide_bearer(trying, shadowed, newer, NOW).would_refuse == ""
    with pytest.raises(AccessDiffers):
        decide_bearer(APP, shadowed, ALICE, NOW)


def test_what_the_application_demands_of_a_login_a_token_has_to_meet():
    demanding = app(demand=Demand(acr_values=("mfa",)))
    with pytest.raises(InsufficientAuthentication):
        decide_bearer(demanding, asked("both"), ALICE, NOW)
    assert decide_bearer(demanding, asked("both"), replace(ALICE, acr="mfa"), NOW).lasts == 300


def test_a_token_is_for_the_hosts_of_its_application():
    with pytest.raises(Misdirected):
        decide_bearer(APP, asked("api", authority="evil.example"), ALICE, NOW)


def test_a_name_in_logs_is_that_of_the_user_or_else_of_the_client():
    named = app(log_users="sub")
    assert decide_bearer(named, asked("api"), ALICE, NOW).user == "alice"
    machine = replace(ALICE, subject="", claims=Claims({}))
    assert decide_bearer(named, asked("both"), machine, NOW).user == "machine"


# -- requests without a token ----------------------------------------------------------------------


@pytest.mark.attack("HDR-13")
def test_a_session_is_not_looked_at_where_only_tokens_are_accepted():
    for signed_in in (session(), None):
        with pytest.raises(TokenRequired):
            decide(APP, asked("api"), signed_in, NOW)
    assert isinstance(decide(APP, asked("both"), None, NOW), StartLogin)
    decision = decide(APP, asked("both"), session(), NOW)
    assert isinstance(decision, Continue) and decision.reason.startswith("session")


def test_an_optional_login_by_token_alone_passes_without_one_and_without_a_session():
    rule = Rule("bots", ("/b/",), login="optional", accept=("bearer",))
    bots = app(access=Access("app", (), (rule,), "d"))
    decision = decide(bots, replace(asked("bots"), public=True), session(), NOW)
    assert isinstance(decision, Continue) and decision.set_headers == ()


# -- what a refused caller gets --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "lines", "error", "bearer"),
    [
        ("api", (), TokenRequired(), 'scope="read", '),
        ("api", ("Bearer x",), InvalidAccessToken("type"), 'error="invalid_token", scope="read", '),
        ("both", ("Bearer x",), InvalidAccessToken("type"), 'error="invalid_token", '),
        ("api", ("Bearer x",), InsufficientScope(), 'error="insufficient_scope", scope="read", '),
        ("both", (), LoginRequired(), ""),
        (
            "mfa",
            ("Bearer x",),
            Demand(("mfa",)).insufficient(),
            'error="insufficient_user_authentication", acr_values="mfa", ',
        ),
        ("mfa", (), Demand(("mfa",)).insufficient(), ""),
    ],
)
def test_a_challenge_says_what_would_help(rule, lines, error: Refusal, bearer):
    found = challenge(APP, asked(rule, *lines), error)
    assert found == f'{bearer}resource_metadata="{METADATA}"'


@pytest.mark.parametrize(
    ("application", "rule", "error"),
    [
        (APP, "web", LoginRequired()),
        (APP, "", LoginRequired()),
        (APP, "gone", LoginRequired()),
        (APP, "staff", NotAllowed("rules.staff.allow.groups")),
        (app(bearer=None), "both", LoginRequired()),
    ],
)
def test_there_is_no_challenge_where_a_token_would_not_help(application, rule, error):
    assert challenge(application, asked(rule, "Bearer x"), error) is None


def test_a_caller_gets_a_document_and_no_address_of_a_login():
    for rule, lines in (("api", ()), ("both", ("Bearer x",)), ("both", ("Basic a", "Basic b"))):
        answer = respond(LoginRequired(), APP, asked(rule, *lines))
        assert (answer.html, answer.login_url, answer.challenge) == (False, None, None)
    browser = respond(LoginRequired(), APP, asked("both"))
    assert browser.html and browser.login_url is not None and browser.bearer is not None


def test_the_limits_of_the_provider_that_a_token_names_count():
    other = replace(PROFILE, provider="other", issuer="https://other.example")
    several = app(bearer=BearerAccess((PROFILE, other), other, False, METADATA))
    for issuer, provider in ((ISSUER, "main"), ("https://other.example", "other"), ("x", "other")):
        assert provider_of(several, access_token(iss=issuer)) == provider
    assert provider_of(several, "opaque") == "other"
    assert provider_of(app(bearer=BearerAccess((PROFILE,))), "opaque") == ""
    assert provider_of(app(bearer=None), "opaque") == ""
