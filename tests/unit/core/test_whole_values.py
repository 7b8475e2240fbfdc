"""Values that are made in the core, whole: each field of a session from its one source, each answer
with its status and its words.
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
    Signer,
    application,
    client,
    cookie_header,
    id_token_claims,
    key_set,
    pending,
    public,
    request,
    session,
)

from extproc.core.assertion import jwks
from extproc.core.decide import decide
from extproc.core.decisions import Continue, RedeemCode, Respond, StartLogin
from extproc.core.device import Device
from extproc.core.encoding import b64encode
from extproc.core.errors import (
    InsufficientAuthentication,
    InvalidIDToken,
    LoginRequired,
    ProviderRefused,
    SubjectMismatch,
    UnknownKey,
)
from extproc.core.establish import establish
from extproc.core.http import origin, same_origin_target
from extproc.core.logout import end_session_url
from extproc.core.oidc.claims import Claims, header_value
from extproc.core.oidc.id_token import UserInfo, verify_id_token
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.core.oidc.token import RefreshResponse, TokenResponse
from extproc.core.refresh import looked_up, renewed
from extproc.core.sealing import KeyRing
from extproc.core.session import Session, SessionId, handle_of
from extproc.core.session_cookie import read_session, session_cookies
from extproc.core.session_index import IndexEntry, written_tags
from extproc.core.session_record import from_record, to_record
from extproc.core.sessions_page import EVERYWHERE, address, page, page_of_one
from extproc.core.step_up import Demand

APP = application(session_lifetime=1000)
ID = SessionId.of(b"n" * 32)
ROTATED = application(
    ring=KeyRing((*KeyRing.of([b"the new secret of this gateway ..."]).keys, *RING.keys))
)


# -- a session and what it is made of


def test_a_session_has_each_field_from_its_one_source():
    token = Signer().sign(
        id_token_claims(
            sid="the-sid", auth_time=NOW - 5, acr="gold", amr=["pwd", 7, "otp"], email=None
        )
    )
    userinfo = UserInfo("application/json", b'{"sub":"alice","name":"Alice"}')
    tokens = TokenResponse("the-access-token", token, "the-refresh-token", 250)
    assert establish(APP, pending(), tokens, userinfo, key_set(), ID, NOW) == Session(
        id=ID,
        issuer=ISSUER,
        subject="alice",
        claims=Claims({"sub": "alice", "groups": ["admins", "dev"], "name": "Alice"}),
        id_token=token,
        access_token="the-access-token",
        refresh_token="the-refresh-token",
        access_expires=NOW + 250,
        created=NOW,
        expires=NOW + 1000,
        touched=NOW,
        sid="the-sid",
        auth_time=NOW - 5,
        acr="gold",
        access_issued=NOW,
        amr=("pwd", "otp"),
        attempt=pending().store_key,
    )


def test_no_session_comes_of_another_s_access_token_or_userinfo():
    token = Signer().sign(id_token_claims(at_hash=b64encode(b"of another one")))
    with pytest.raises(InvalidIDToken):
        establish(APP, pending(), TokenResponse("at", token, None, 60), None, key_set(), ID, NOW)
    tokens = TokenResponse("at", Signer().sign(id_token_claims()), None, 60)
    with pytest.raises(SubjectMismatch):
        establish(
            APP,
            pending(),
            tokens,
            UserInfo("application/json", b'{"sub":"bob"}'),
            key_set(),
            ID,
            NOW,
        )
    signed = UserInfo(
        "application/jwt",
        Signer().sign({"iss": ISSUER, "aud": "gateway", "sub": "alice", "name": "A"}).encode(),
    )
    assert establish(APP, pending(), tokens, signed, key_set(), ID, NOW).claims.get("name") == "A"
    assert looked_up(APP, session(), signed, key_set()).claims.get("name") == "A"


@pytest.mark.parametrize(
    ("said", "kept"),
    [("s", "s"), ("s" * 255, "s" * 255), ("s" * 256, None), ("", None), (5, None), (None, None)],
)
def test_a_sid_that_is_none_is_not_kept(said, kept):
    token = Signer().sign(id_token_claims(sid=said, acr=said, sub="a" * 255))
    verified = verify_id_token(client(), token, "at", pending().nonce, key_set(), NOW)
    assert verified.sid == kept and verified.acr == (said if isinstance(said, str) else None)
    assert verified.subject == "a" * 255


@pytest.mark.parametrize("changes", [{"iat": NOW - 3660}, {"nbf": NOW + 60}, {"sub": "a"}])
def test_the_very_edge_is_accepted(changes):
    token = Signer().sign(id_token_claims(**changes), kid="RS256-1")
    assert verify_id_token(client(), token, "at", pending().nonce, key_set(), NOW)


def test_a_kid_of_256_characters_is_looked_for_and_a_key_without_use_is_found():
    token = Signer().sign(id_token_claims(), kid="k" * 256)
    with pytest.raises(UnknownKey):
        verify_id_token(client(), token, "at", pending().nonce, key_set(), NOW)
    entry = {name: value for name, value in public("RS256").items() if name not in ("use", "alg")}
    assert verify_id_token(
        client(), Signer().sign(id_token_claims()), "at", pending().nonce, key_set(entry), NOW
    )


def test_a_refresh_takes_over_how_the_user_signed_in_and_keeps_what_is_not_said_again():
    had = replace(session(), acr="gold", amr=("pwd",), id_token=Signer().sign(id_token_claims()))
    for changes, acr, amr in (
        ({}, "gold", ("pwd",)),
        ({"acr": "silver", "amr": ["otp"]}, "silver", ("otp",)),
    ):
        token = Signer().sign(id_token_claims(**changes))
        new = renewed(APP, had, RefreshResponse("at2", token, None, 60), key_set(), NOW)
        assert (new.acr, new.amr, new.id_token) == (acr, amr, token)


def test_what_an_older_key_sealed_is_known_and_is_to_be_written_anew():
    record = to_record(APP, session(), Device(), ENTROPY_BYTES * 2)
    made = session_cookies(APP, request(), session(), NOW, ENTROPY_BYTES)
    asked = request(cookie="; ".join(f"{cookie.name}={cookie.value}" for cookie in made))
    for app, outdated in ((APP, False), (ROTATED, True)):
        for found in (from_record(app, session().id, record), read_session(app, asked)):
            assert (
                found == session()
                and found.outdated is outdated
                and found.stale_touch(NOW) is outdated
            )


def test_a_record_carries_the_tags_by_which_it_is_found():
    record = to_record(APP, session(sid="s"), Device(), ENTROPY_BYTES * 2)
    entry = IndexEntry("app", ISSUER, "alice", "s", NOW, Device())
    assert record.tags == written_tags(RING, entry) and record.tags
    assert from_record(APP, session().id, replace(record, sealed=b"\xff" + record.sealed)) is None
    large = session(subject="a" * 100_000)
    assert (
        from_record(APP, session().id, to_record(APP, large, Device(), ENTROPY_BYTES * 2)) == large
    )


# -- answers


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


def test_a_second_login_knows_the_session_that_it_replaces():
    app, attempt = application(), pending(application())
    asked = request(
        f"/oauth2/callback?state={attempt.state}&code=c&iss=i", cookie=cookie_header(app, attempt)
    )
    assert decide(app, asked, session(), NOW) == RedeemCode(
        decide(app, asked, None, NOW).response, attempt, session()
    )
    assert decide(app, asked, None, NOW).response.iss == "i"


@pytest.mark.parametrize(
    ("path", "signed_in", "status", "reason"),
    [
        ("/oauth2/userinfo", True, 200, "userinfo"),
        ("/oauth2/login", True, 303, "already_signed_in"),
        ("/oauth2/logout", True, 200, "logout_confirmation"),
        ("/oauth2/signed-out", False, 200, "signed_out_page"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_our_own_endpoints_say_why(path, signed_in, status, reason, method):
    if method == "HEAD" and path in ("/oauth2/login", "/oauth2/logout"):
        return
    asked = request(path, method=method, sec_fetch_site="cross-site")
    decision = decide(application(), asked, session() if signed_in else None, NOW)
    assert (decision.status, decision.reason) == (status, reason)


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


def test_who_is_not_signed_in_well_enough_keeps_the_cookies_and_who_is_not_at_all_loses_them():
    app, stale = (
        application(demand=Demand(("gold",))),
        "__Host-extproc-session-app=x; __Host-extproc-assertion-app=y",
    )
    gone = {"__Host-extproc-session-app", "__Host-extproc-assertion-app"}
    for path in ("/oauth2/sessions", "/oauth2/login", "/wanted"):
        asked = request(path, cookie=stale)
        assert decide(app, asked, session(), NOW).expired == ()
        nobody = decide(app, asked, None, NOW)
        assert isinstance(nobody, StartLogin) and {cookie.name for cookie in nobody.expired} == gone
    script = request("/oauth2/sessions", sec_fetch_mode="cors", sec_fetch_dest="empty")
    with pytest.raises(InsufficientAuthentication):
        decide(app, script, session(), NOW)
    with pytest.raises(LoginRequired) as refusal:
        decide(app, script, None, NOW)
    assert type(refusal.value) is LoginRequired


@pytest.mark.parametrize(
    ("headers", "navigates"),
    [
        ({"sec_fetch_dest": ""}, True),
        ({"sec_fetch_dest": "iframe"}, False),
        ({"sec_fetch_mode": "", "sec_fetch_dest": ""}, True),
        ({"sec_fetch_mode": ""}, False),
        ({"sec_fetch_mode": "", "sec_fetch_dest": "", "method": "HEAD"}, False),
        ({"sec_fetch_mode": "", "sec_fetch_dest": "", "method": "POST"}, False),
        (
            {"sec_fetch_mode": "", "sec_fetch_dest": "", "access_control_request_method": "GET"},
            False,
        ),
        ({"sec_fetch_mode": "", "sec_fetch_dest": "", "x_requested_with": "x"}, False),
    ],
)
def test_what_is_a_navigation(headers, navigates):
    if navigates:
        assert isinstance(decide(application(), request(**headers), None, NOW), StartLogin)
    else:
        with pytest.raises(LoginRequired):
            decide(application(), request(**headers), None, NOW)


@pytest.mark.attack("REDI-01")
@pytest.mark.parametrize(
    ("query", "target"),
    [
        ("return_to=/a%3Fb%3D1", "/a?b=1"),
        ("return_to=/a&x=&y", "/a"),
        ("return_to=/a&return_to=", "/"),
        ("return_to=", "/"),
        ("", "/"),
        ("return_to=/%FF", "/"),
        ("return_to=/%C3%A4", "/"),
        ("return_to=//evil.example", "/"),
        ("return_to=/a&" + "&".join(["x=1"] * 63), "/a"),
        ("return_to=/a&" + "&".join(["x=1"] * 64), "/"),
        ("return_to=/" + "a" * 1023, "/" + "a" * 1023),
        ("return_to=/" + "a" * 1024, "/"),
        ("return_to=/a&x=" + "a" * 16_369, "/a"),
        ("return_to=/a&x=" + "a" * 16_370, "/"),
        ("return_to=/a/../oauth2/logout", "/"),
        ("return_to=/%256fauth2/logout", "/"),
        ("return_to=/%256F%2561uth2%2F%256cogout", "/"),
        ("return_to=/wiki/oauth2/logout", "/"),
        ("return_to=/wiki//oauth2/logout", "/"),
        ("return_to=/wiki/%256fauth2/logout?a=b", "/"),
        ("return_to=/a?b=/oauth2/logout", "/a?b=/oauth2/logout"),
        ("return_to=/oauth/x", "/oauth/x"),
    ],
)
def test_where_a_login_that_was_asked_for_ends(query, target):
    app = application(other_endpoints=("/wiki/oauth2/", "/oauth2/"))
    assert decide(app, request("/oauth2/login?" + query), None, NOW).return_to == target


@pytest.mark.attack("REDI-08")
@pytest.mark.parametrize(
    ("target", "same"),
    [
        ("/a/../b", False),
        ("/./oauth2/logout", False),
        ("/a/%2E%2e/oauth2/logout", False),
        ("/a/..", False),
        ("/a?b=/../c", True),
        ("/a//b", True),
        ("/a?b=/..//d", True),
        ("/.//evil", False),
        ("/a/%2E%2e//b", False),
        ("/a/%2E//b", False),
        ("/a/.%2E//b", False),
        ("/a//b/%2e", False),
        ("/a/..%2F//b", True),
        ("/a/...//b", True),
        ("/[x]~", True),
        ("/\\evil", False),
        ("//evil", False),
        ("/a#b", False),
    ],
)
def test_a_path_that_could_mean_another_is_no_return_target(target, same):
    assert (same_origin_target(target) is not None) is same


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example:443/x", "https://a.example"),
        ("http://a.example:80/x", "http://a.example"),
        ("https://a.example:80/", "https://a.example:80"),
        ("http://a.example:443/", "http://a.example:443"),
        ("https://[::1]:8443/x", "https://[::1]:8443"),
    ],
)
def test_the_origin_of_a_url(url, expected):
    assert origin(url) == expected


@pytest.mark.parametrize(
    ("error", "detail"),
    [("access_denied", ""), ("<script>", "an error code that is not registered")],
)
def test_what_a_provider_calls_a_refusal_is_said_only_when_it_is_registered(error, detail):
    assert ProviderRefused(error).detail == detail or str(ProviderRefused(error)) == detail
    assert "<script>" not in repr(ProviderRefused(error))


def test_the_keys_of_assertions_say_what_they_are_for():
    (key,) = json.loads(jwks(RING))["keys"]
    assert key["use"] == "sig" and key["alg"] == "EdDSA" and "d" not in key


def test_claims_are_ascii_json_without_blanks_and_objects_have_one_order():
    assert Claims({"a": "ä", "b": [1, {"c": None}]}).json() == '{"a":"\\u00e4","b":[1,{"c":null}]}'
    assert header_value({"b": 1, "a": 2}) == '{"a":2%2C"b":1}'


def test_the_provider_s_own_query_stays_where_a_logout_is_asked_for():
    own = replace(METADATA, end_session_endpoint=f"{ISSUER}/logout?realm=x")
    assert end_session_url(application(), own, session(), "st").startswith(
        f"{ISSUER}/logout?realm=x&id_token_hint=idt&"
    )
    assert end_session_url(application(), METADATA, session(), "st").startswith(
        f"{ISSUER}/logout?id_token_hint=idt&"
    )


@pytest.mark.parametrize("slash", ["", "/"])
def test_split_horizon_whatever_slash_either_side_ends_with(slash):
    issuer, inner = "https://idp.example/realm" + slash, "http://inside:8080/realm" + slash
    document = {
        "issuer": issuer,
        "authorization_endpoint": "https://idp.example/realm/auth",
        "token_endpoint": "https://idp.example/realm/token",
        "jwks_uri": "https://idp.example/keys",
        "userinfo_endpoint": "https://idp.example/realm",
        "revocation_endpoint": "https://idp.example/realms/x?y=1",
    }
    read = ProviderMetadata.parse(json.dumps(document).encode(), issuer, inner)
    assert (read.token_endpoint, read.jwks_uri) == (
        "http://inside:8080/realm/token",
        "http://inside:8080/keys",
    )
    assert read.userinfo_endpoint == "http://inside:8080/realm"
    assert read.revocation_endpoint == "http://inside:8080/realms/x?y=1"


# -- pages


def test_the_page_of_the_one_session_that_is_known():
    alone = page_of_one(APP, session(), Device(), None, NOW, stale=False)
    text = (
        "This service keeps no list of sessions, so only this one is shown; you may be signed "
        "in elsewhere, too."
    )
    assert (alone.title, alone.text, alone.link, alone.link_text, alone.posts, alone.back) == (
        "Your sessions", text, APP.url, "Back to the application", False, "",
    )  # fmt: skip
    ends = page_of_one(APP, session(), Device(), "the-token", NOW, stale=True)
    assert ends.text == "Nothing was ended, because the page was too old. Please try again. " + text
    assert (ends.link, ends.link_text, ends.posts, ends.back) == (
        f"/oauth2/sessions?end={EVERYWHERE}&form=the-token", "Sign out everywhere", True, APP.url,
    )  # fmt: skip
    (card,) = ends.cards
    assert dict(card.facts)["Applications"] == "app" and card.link_text == "Sign out"
    nothing_else = page(APP, (), "t", NOW, stale=False)
    assert (nothing_else.title, nothing_else.link_text) == (
        "Your sessions",
        "Back to the application",
    )


def test_the_page_s_address_and_how_a_session_is_called_there():
    assert address(APP) == "https://app.example/oauth2/sessions" and address(
        APP, stale=True
    ).endswith("?stale")
    assert handle_of(bytes(range(32))) == "0001020304050607"


def test_a_stale_form_is_answered_by_its_reason():
    sent = request(
        "/oauth2/sessions?end=others&form=%FF", method="POST", sec_fetch_site="same-origin"
    )
    assert decide(APP, sent, session(), NOW) == Respond(
        303, "own_sessions_stale", location="https://app.example/oauth2/sessions?stale"
    )


@pytest.mark.parametrize(
    ("method", "mine"),
    [
        ("client_secret_post", {"client_id": "gateway", "client_secret": "s3cret"}),
        ("none", {"client_id": "gateway"}),
        ("client_secret_basic", {}),
    ],
)
def test_how_a_client_says_who_it_is(method, mine):
    asked = client(auth_method=method).authenticated((("grant_type", "x"),))
    assert dict(asked.parameters) == {"grant_type": "x", **mine}
    assert (asked.authorization is not None) is (method == "client_secret_basic")


@pytest.mark.parametrize(
    ("after", "expired"), [(-61, True), (-60, False), (0, False), (1799, False), (1800, True)]
)
def test_an_attempt_lasts_half_an_hour_and_a_clock_may_be_a_minute_off(after, expired):
    assert pending().expired(NOW + after) is expired
