"""What a refusal's answer says, where its page's link leads, and what else the core answers without
a login.
"""

import json
from dataclasses import replace

import pytest
from harness.tokens import (
    ENTROPY_BYTES,
    ISSUER,
    METADATA,
    NOW,
    RING,
    SECRET,
    Signer,
    application,
    client,
    id_token_claims,
    key_set,
    pending,
    request,
)

from extproc.core import decisions
from extproc.core.decide import decide
from extproc.core.device import Device
from extproc.core.errors import (
    CodeRefused,
    InsufficientAuthentication,
    InvalidAnswer,
    InvalidMetadata,
    InvalidUserInfo,
    LoginRequired,
    MethodNotAllowed,
    Misdirected,
    NoSuchEndpoint,
    Overloaded,
    ProviderRefused,
    Refusal,
    SessionEnded,
    StoreUnavailable,
    SubjectMismatch,
)
from extproc.core.oidc.claims import Claims, number
from extproc.core.oidc.id_token import UserInfo
from extproc.core.oidc.jose import KeySet
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.core.oidc.token import RefreshResponse, code_grant, refresh_grant, revocation
from extproc.core.refresh import looked_up, renewed
from extproc.core.refusals import (
    refuse,
    respond,
    respond_to_provider,
    retry_callback,
    retry_login,
)
from extproc.core.sealing import KeyRing, Label
from extproc.core.session import Session, SessionId
from extproc.core.session_record import to_record
from extproc.core.sessions_page import form_token

APP = application()
SESSION = Session(
    SessionId.of(b"s" * 32), ISSUER, "alice", Claims({"sub": "alice", "email": "old@example.com"}), "no.token", "at", "rt",
    NOW + 300, NOW, NOW + 43_200, NOW,
)  # fmt: skip


# -- pages and their links -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "target", "link", "text"),
    [
        (CodeRefused(), "/a?b=1&c", "https://app.example/a?b=1&c", "Try again"),
        (CodeRefused(), "/oauth2/callback?code=x", "https://app.example/", "Try again"),
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
    assert (page.link, page.link_text, page.title) == (link, text, error.said.title)


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


@pytest.mark.attack("FLOW-15")
def test_a_registered_error_of_the_provider_is_said_by_its_name():
    assert [ProviderRefused(error).reason for error in ("access_denied", "mine")] == [
        "provider_access_denied",
        "provider_error",
    ]
    assert "not registered" in ProviderRefused("mine").detail


# -- what a refusal does to cookies ---------------------------------------------------------------

CALLBACK = decisions.RedeemCode(None, pending(), None)
LOGIN_COOKIE = APP.cookies.login(CALLBACK.pending.attempt)
ON_CALLBACK = request("/oauth2/callback?code=x")


def test_a_callback_that_is_over_expires_its_login_cookie_and_leads_to_a_new_login():
    answer = refuse(APP, ON_CALLBACK, CodeRefused(), CALLBACK)
    assert answer.cookies == (APP.cookies.expired(LOGIN_COOKIE),)
    assert "/oauth2/login?return_to=" in answer.page.link


def test_a_callback_that_can_be_tried_again_keeps_its_login_cookie_and_leads_to_itself():
    answer = refuse(APP, ON_CALLBACK, StoreUnavailable("away"), CALLBACK)
    assert (answer.cookies, answer.page.link) == ((), "")


def test_a_session_that_the_provider_ended_expires_its_cookies_and_no_other_refusal_does():
    came = request("/a", cookie=f"{APP.cookies.session}=x")
    assert refuse(APP, came, SessionEnded()).cookies == (APP.cookies.expired(APP.cookies.session),)
    assert refuse(APP, came, LoginRequired(), decisions.Refresh(SESSION)).cookies == ()


def test_a_refused_logout_of_the_provider_gets_json_whatever_the_error():
    app = application(backchannel_logout=True)
    came = request("/oauth2/backchannel-logout", method="POST", cookie=f"{app.cookies.session}=x")
    for error in (StoreUnavailable("away"), SessionEnded(), Refusal()):
        assert refuse(app, came, error) == respond_to_provider(error)


def test_a_refusal_for_an_unknown_application_is_a_page_without_cookies():
    answer = refuse(None, ON_CALLBACK, Misdirected("no application"), CALLBACK)
    assert (answer.status, answer.cookies, answer.page.link) == (421, (), "/")


# -- lanes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "lane"),
    [
        (decisions.StartLogin("/", ()), "login"),
        (decisions.RedeemCode(None, pending(), None), "callback"),
        (decisions.LoadSession(), "lookup"),
        (decisions.ListSessions(SESSION, stale=False), "lookup"),
        (decisions.Refresh(SESSION), "refresh"),
        (decisions.EndSession(SESSION, ()), "logout"),
        (decisions.EndListedSessions(SESSION, "all", ()), "logout"),
        (decisions.BackChannelLogout("t"), "provider_logout"),
        (decisions.FrontChannelLogout("sid", None, ()), "provider_logout"),
    ],
)
def test_each_step_has_its_lane(step, lane):
    assert step.lane == lane


# -- answers without a login -----------------------------------------------------------------------


def test_signed_out_is_a_page_that_leads_to_the_application():
    answer = decide(APP, request("/oauth2/signed-out"), None, NOW)
    assert (answer.status, answer.reason) == (200, "signed_out_page")
    assert (answer.page.title, answer.page.link, answer.page.link_text) == (
        "Signed out",
        APP.url,
        "Sign in again",
    )


# -- what only broken bytes reach ------------------------------------------------------------------


@pytest.mark.attack("IDT-13")
def test_a_number_of_any_length_is_a_number_or_none():
    assert [number(value) for value in (10**400, float("inf"), float("nan"), True, "1", None)] == [
        None
    ] * 6
    assert [number(value) for value in (1, 0, -1.5)] == [1, 0, -1.5]


@pytest.mark.attack("KEYS-11")
@pytest.mark.parametrize(
    ("body", "said"),
    [(b"[]", "no JSON object"), (b"{", "the key set"), (b'{"keys":{}}', "no list")],
)
def test_what_is_no_key_set_is_refused(body, said):
    with pytest.raises(InvalidAnswer) as refused:
        KeySet.parse(body)
    assert said in refused.value.detail


@pytest.mark.attack("CONF-15")
def test_what_is_no_json_object_is_no_metadata():
    with pytest.raises(InvalidMetadata) as refused:
        ProviderMetadata.parse(b"<html>", ISSUER)
    assert "the discovery document is" in refused.value.detail


def test_secrets_and_randomness_of_the_wrong_size_are_no_key():
    for wrong in (
        lambda: KeyRing.of([]),
        lambda: RING.seal(b"x", Label("p", "a", "n"), ENTROPY_BYTES[:-1]),
    ):
        with pytest.raises(ValueError, match=r"secret|random"):
            wrong()
    with pytest.raises(ValueError, match="32 random bytes"):
        SessionId.of(b"s" * 31)
    assert KeyRing.of([SECRET]) == RING


def test_a_session_is_buried_by_itself_its_user_and_its_session_at_the_provider():
    plain, with_sid = SESSION.keys(RING), replace(SESSION, sid="sid").keys(RING)
    assert plain[0] == SESSION.id.key and with_sid[: len(plain)] == plain
    assert len(with_sid) > len(plain) == len(set(plain))
    assert replace(SESSION, sid="other").keys(RING)[len(plain) :] != with_sid[len(plain) :]


def test_rfc_7009_a_token_is_revoked_with_its_kind():
    asked = revocation(client(), "the-token", "refresh_token")
    assert ("token", "the-token") in asked.parameters and (
        "token_type_hint",
        "refresh_token",
    ) in asked.parameters
    assert METADATA.revocation_endpoint is not None and asked.authorization is not None


def test_userinfo_asked_for_at_a_refresh_says_what_is_new_and_is_of_the_same_user():
    said = UserInfo("application/json", b'{"sub":"alice","email":"new@example.com"}')
    assert looked_up(APP, SESSION, said, key_set()).claims.values == {
        "sub": "alice",
        "email": "new@example.com",
    }
    with pytest.raises(SubjectMismatch):
        looked_up(APP, SESSION, UserInfo("application/json", b'{"sub":"bob"}'), key_set())
    with pytest.raises(InvalidUserInfo):
        looked_up(APP, SESSION, UserInfo("application/json", b"[]"), key_set())


@pytest.mark.parametrize("kept", ["none", "a.!.c", "a.bm8.c", "a.W10.c"])
def test_a_kept_id_token_that_cannot_be_read_has_no_nonce_to_compare(kept):
    """It was verified when it came; the new one is checked in full."""
    again = Signer().sign(id_token_claims(nonce="of another login", iat=NOW, exp=NOW + 300))
    answer = RefreshResponse("at2", again, "rt2", 300)
    assert renewed(APP, replace(SESSION, id_token=kept), answer, key_set(), NOW).id_token == again


# -- what mutations found nobody looking at --------------------------------------------------------


def test_rfc_6749_and_7636_the_token_request_is_exact():
    assert code_grant(client(), "the-code", pending()).parameters == (
        ("grant_type", "authorization_code"),
        ("code", "the-code"),
        ("redirect_uri", "https://app.example/oauth2/callback"),
        ("code_verifier", pending().code_verifier),
    )


def test_a_refresh_token_request_is_exact():
    assert refresh_grant(client(), "rt").parameters == (
        ("grant_type", "refresh_token"),
        ("refresh_token", "rt"),
    )


def test_a_page_after_a_logout_says_so():
    assert decide(APP, request("/oauth2/signed-out"), None, NOW).page.text == "You are signed out."


def test_a_header_that_stands_several_times_is_joined():
    asked = request("/a")
    several = replace(asked, headers=(("x", "1"), ("y", "0"), ("x", "2")))
    assert [several.header(name) for name in ("x", "y", "z")] == ["1,2", "0", ""]


def test_a_record_under_another_session_s_key_does_not_open():
    record = to_record(APP, SESSION, Device("Firefox", "192.0.2.7"), ENTROPY_BYTES * 2)
    label = Label("session", APP.name, SESSION.id.key.hex(), secret=SESSION.id.value.encode())
    assert RING.open(record.sealed.decode(), label) is not None
    assert RING.open(record.sealed.decode(), replace(label, name="")) is None


def test_a_form_token_knows_when_its_page_was_made():
    token = form_token(APP, SESSION, NOW, ENTROPY_BYTES)
    label = Label("own sessions", APP.name, SESSION.id.key.hex(), secret=SESSION.id.value.encode())
    assert RING.open(token, label) == str(NOW).encode()
