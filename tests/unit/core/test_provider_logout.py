"""Logout that a provider starts: the logout token, its request, and the frame (rows LOGO of the
catalogue).
"""

import json
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from harness.tokens import ISSUER, NOW, RING, Signer, application, client, key_set, public, request

from extproc.core.decide import decide
from extproc.core.decisions import BackChannelLogout, FrontChannelLogout, ReadBody
from extproc.core.errors import (
    BodyTooLarge,
    InvalidLogout,
    InvalidLogoutToken,
    MethodNotAllowed,
    Misdirected,
    NoSuchEndpoint,
    Refusal,
    StoreUnavailable,
    UnknownKey,
)
from extproc.core.oidc.claims import Claims
from extproc.core.oidc.logout_token import EVENT, LogoutToken, verify_logout_token
from extproc.core.provider_logout import MAX_BODY, back_channel, is_back_channel, posted, tags_of
from extproc.core.refusals import respond_to_provider
from extproc.core.session import Session, SessionId
from extproc.core.session_index import sid_tags, subject_tags

APP = application()
RIGHT = {
    "iss": ISSUER,
    "aud": "gateway",
    "iat": NOW,
    "exp": NOW + 120,
    "jti": "one",
    "events": {EVENT: {}},
    "sub": "alice",
    "sid": "s1",
}
EXPIRES = NOW + 120 + 60 + 1


def claims(**changes):
    return {name: value for name, value in (RIGHT | changes).items() if value is not None}


def verify(token: str, keys=None, now: int = NOW, **of_client) -> LogoutToken:
    return verify_logout_token(client(**of_client), token, keys or key_set(), now)


def refused(token: str, **how) -> str:
    with pytest.raises(InvalidLogoutToken) as caught:
        verify(token, **how)
    assert caught.value.status == 400
    return caught.value.check


@pytest.mark.attack("LOGO-05", "LOGO-12")
@pytest.mark.parametrize(
    "typ", ["logout+jwt", "LOGOUT+JWT", "application/logout+jwt", "JWT", "jwt", None]
)
def test_a_right_token_is_accepted_by_every_type_that_providers_send(typ):
    token = Signer().sign(
        claims(unknown={"a": 1}, events={EVENT: {"more": 1}, "urn:other": {}}), typ=typ
    )
    assert verify(token) == LogoutToken(ISSUER, "gateway", "alice", "s1", "one", EXPIRES)


@pytest.mark.attack("LOGO-16")
@pytest.mark.parametrize(
    ("changes", "tags"),
    [
        ({}, sid_tags(RING, ISSUER, "s1")),
        ({"sub": None}, sid_tags(RING, ISSUER, "s1")),
        ({"sid": None}, subject_tags(RING, ISSUER, "alice")),
    ],
)
def test_a_sid_names_one_session_and_a_sub_alone_all_of_a_user(changes, tags):
    assert tags_of(verify(Signer().sign(claims(**changes))), RING) == tags


@pytest.mark.attack("LOGO-08", "LOGO-10", "LOGO-12", "LOGO-13")
@pytest.mark.parametrize(
    ("row", "changes", "check"),
    [
        ("logo_08", {"iss": "https://evil.example"}, "issuer"),
        ("logo_08", {"iss": ISSUER + "/"}, "issuer"),
        ("logo_08", {"iss": None}, "issuer"),
        ("logo_08", {"aud": "another"}, "audience"),
        ("logo_08", {"aud": ["gateway", "another"]}, "audience"),
        ("logo_08", {"aud": None}, "audience"),
        ("logo_10", {"nonce": "n"}, "nonce"),
        ("logo_10", {"nonce": ""}, "nonce"),
        ("logo_12", {"sub": None, "sid": None}, "subject"),
        ("logo_12", {"sub": ""}, "subject"),
        ("logo_12", {"sub": 5}, "subject"),
        ("logo_12", {"sid": ""}, "sid"),
        ("logo_12", {"sid": 5}, "sid"),
        ("logo_12", {"sid": "x" * 256}, "sid"),
        ("logo_12", {"events": None}, "events"),
        ("logo_12", {"events": {}}, "events"),
        ("logo_12", {"events": [EVENT]}, "events"),
        ("logo_12", {"events": EVENT}, "events"),
        ("logo_12", {"events": {EVENT: True}}, "events"),
        ("logo_12", {"events": {EVENT: "{}"}}, "events"),
        ("logo_12", {"events": {EVENT: []}}, "events"),
        ("logo_12", {"events": {"urn:another": {}}}, "events"),
        ("logo_13", {"iat": None}, "issued_at"),
        ("logo_13", {"iat": NOW + 61}, "issued_at"),
        ("logo_13", {"iat": NOW - 3661}, "issued_at"),
        ("logo_13", {"iat": str(NOW)}, "issued_at"),
        ("logo_13", {"exp": None}, "expired"),
        ("logo_13", {"exp": NOW - 60}, "expired"),
        ("logo_13", {"exp": True}, "expired"),
        ("logo_13", {"nbf": NOW + 61}, "not_before"),
        ("logo_13", {"jti": None}, "jti"),
        ("logo_13", {"jti": ""}, "jti"),
        ("logo_13", {"jti": 7}, "jti"),
        ("logo_13", {"jti": "x" * 1025}, "jti"),
    ],
)
def test_a_claim_that_is_missing_or_wrong_refuses_the_token(row, changes, check):
    assert refused(Signer().sign(claims(**changes), typ="logout+jwt")) == check


def test_a_token_is_remembered_for_as_long_as_it_would_be_taken():
    assert verify(Signer().sign(claims(exp=1e300))).expires == NOW + 3600 + 60 + 1


def test_clocks_may_differ():
    for changes in ({"iat": NOW + 60}, {"exp": NOW - 59}):
        assert verify(Signer().sign(claims(**changes))).sid == "s1"


@pytest.mark.attack("LOGO-05", "LOGO-06", "LOGO-07", "LOGO-12")
@pytest.mark.parametrize(
    ("row", "token", "check"),
    [
        ("logo_06", lambda: Signer().sign(claims(), alg="none"), "algorithm"),
        (
            "logo_06",
            lambda: Signer().sign(claims(), alg="none").rpartition(".")[0] + ".",
            "algorithm",
        ),
        ("logo_07", lambda: Signer("ES256").sign(claims()), "algorithm"),
        ("logo_07", lambda: Signer("PS256").sign(claims()), "algorithm"),
        ("logo_12", lambda: Signer().sign(claims(), typ="at+jwt"), "type"),
        ("logo_12", lambda: Signer().sign(claims(), typ="secevent+jwt"), "type"),
        ("logo_05", lambda: Signer(name="2").sign(claims(), kid="RS256-1"), "signature"),
        ("logo_05", lambda: Signer().sign(claims(), crit=["x"]), "header"),
        ("logo_05", lambda: Signer().sign(b"[]"), "signature"),
        ("logo_05", lambda: "no token", "malformed"),
        ("logo_05", lambda: "", "malformed"),
    ],
)
def test_a_token_that_is_signed_otherwise_is_refused(row, token, check):
    assert (
        refused(token(), keys=key_set(public("RS256"), public("ES256"), public("PS256"))) == check
    )


def test_a_key_that_is_not_known_yet_is_asked_for_and_no_refusal():
    with pytest.raises(UnknownKey):
        verify(Signer(name="2").sign(claims()))


def test_two_tokens_are_one_only_with_the_same_issuer_client_and_jti():
    token = verify(Signer().sign(claims()))
    others = (replace(token, issuer="i"), replace(token, client_id="c"), replace(token, jti="j"))
    assert len({token.key, *(other.key for other in others)}) == 4
    assert replace(token, subject=None).key == token.key


# -- the request


def ask(
    target: str = "/oauth2/backchannel-logout",
    *,
    method: str = "POST",
    authority: str = "app.example",
    **headers,
):
    said = {
        "content_type": "application/x-www-form-urlencoded",
        "accept": "",
        "sec_fetch_mode": "",
        **headers,
    }
    return request(target, method=method, authority=authority, **said)


@pytest.mark.attack("LOGO-05")
@pytest.mark.parametrize(
    "asked",
    [
        ask(),
        ask(content_type="application/x-www-form-urlencoded; charset=UTF-8"),
        ask(content_length=str(MAX_BODY)),
        ask(authority="other.example:8443"),
        ask("/oauth2/backchannel-logout?x=1"),
    ],
)
def test_a_provider_s_request_is_answered_once_its_body_is_there(asked):
    assert is_back_channel(APP, asked) and back_channel(APP, asked) == ReadBody()


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (ask(method="GET"), MethodNotAllowed),
        (ask(method="PUT"), MethodNotAllowed),
        (ask(content_type=""), InvalidLogout),
        (ask(content_type="application/json"), InvalidLogout),
        (ask(content_type="multipart/form-data; boundary=x"), InvalidLogout),
        (ask(content_length=str(MAX_BODY + 1)), BodyTooLarge),
        (ask(content_length="9" * 5000), BodyTooLarge),
        (ask(authority="evil.example"), Misdirected),
    ],
)
def test_a_request_that_can_be_none_is_refused_before_its_body(asked, error):
    with pytest.raises(error):
        back_channel(APP, asked)


def test_where_a_provider_may_not_there_is_no_such_endpoint():
    off = application(backchannel_logout=False)
    assert not is_back_channel(off, ask())
    for app in (APP, off):  # and decide, which is for browsers, knows it in no case
        with pytest.raises(NoSuchEndpoint):
            decide(app, ask(), None, NOW)


@pytest.mark.attack("LOGO-05")
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"logout_token=a.b.c", "a.b.c"),
        (b"other=1&logout_token=a.b-_c&empty=", "a.b-_c"),
        (b"logout_token=%61.b", "a.b"),
        (b"logout_token=", ""),
        (b"", InvalidLogout),
        (b"other=1", InvalidLogout),
        (b"logout_token=a&logout_token=b", InvalidLogout),
        (b"\xff\xfe", InvalidLogout),
        (b"&".join([b"a=1"] * 65), InvalidLogout),
        (b'{"logout_token": "a.b.c"}', InvalidLogout),
        (b"logout_token=" + b"a" * MAX_BODY, BodyTooLarge),
    ],
)
def test_the_form_has_one_token_and_what_else_is_in_it_counts_for_nothing(body, said):
    if isinstance(said, str):
        assert posted(body) == BackChannelLogout(said)
        return
    with pytest.raises(said):
        posted(body)


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


# -- the frame

SESSION = Session(
    SessionId.of(b"s" * 32), ISSUER, "alice", Claims({"sub": "alice"}), "idt", "at", "rt", NOW + 300, NOW, NOW + 43_200, NOW,
    sid="s1",
)  # fmt: skip
FRAME = {"sec_fetch_dest": "iframe", "sec_fetch_site": "cross-site"}


def frame(method: str = "GET", cookie: str = "", **query):
    return request(
        f"/oauth2/frontchannel-logout?{urlencode(query, doseq=True)}",
        method=method,
        cookie=cookie,
        **FRAME,
    )


@pytest.mark.attack("LOGO-03")
def test_a_frame_names_the_session_which_need_not_be_this_browser_s():
    cookie = f"{APP.cookies.session}=x"
    assert decide(APP, frame(iss=ISSUER, sid="s1"), None, NOW) == FrontChannelLogout("s1")
    assert decide(
        APP, frame(iss=ISSUER, sid="another", cookie=cookie), SESSION, NOW
    ) == FrontChannelLogout("another")
    step = decide(APP, frame(iss=ISSUER, sid="s1", cookie=cookie), SESSION, NOW)
    assert step == FrontChannelLogout("s1", SESSION, (APP.cookies.expired(APP.cookies.session),))


@pytest.mark.attack("LOGO-03")
@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (frame(), InvalidLogout),
        (frame(iss=ISSUER), InvalidLogout),
        (frame(sid="s1"), InvalidLogout),
        (frame(iss=ISSUER, sid=""), InvalidLogout),
        (frame(iss=ISSUER, sid="x" * 256), InvalidLogout),
        (frame(iss=ISSUER, sid=["s1", "s2"]), InvalidLogout),
        (frame(iss=ISSUER, sub="alice"), InvalidLogout),
        (frame(iss="https://evil.example", sid="s1"), InvalidLogout),
        (frame("POST", iss=ISSUER, sid="s1"), MethodNotAllowed),
        (request("/oauth2/frontchannel-logout?iss=%ff", **FRAME), InvalidLogout),
    ],
)
def test_any_page_can_show_a_frame_so_without_the_session_s_name_nothing_happens(asked, error):
    with pytest.raises(error):
        decide(APP, asked, SESSION, NOW)
