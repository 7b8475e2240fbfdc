"""decide(): what happens to one request, as tables."""

import json
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
from harness.tokens import (
    ENTROPY_BYTES,
    ISSUER,
    METADATA,
    NOW,
    RING,
    application,
    client,
    cookie_header,
    pending,
    request,
)

from extproc.core.assertion import LASTS
from extproc.core.decide import decide
from extproc.core.decisions import Continue, EndSession, RedeemCode, Respond, StartLogin
from extproc.core.device import Device
from extproc.core.encoding import b64decode
from extproc.core.errors import (
    CrossSiteLogout,
    InvalidCallback,
    LoginRequired,
    MethodNotAllowed,
    Misdirected,
    NoSuchEndpoint,
    Refusal,
    StateMismatch,
)
from extproc.core.http import Request
from extproc.core.login import (
    MAX_COOKIE_BYTES,
    MAX_COOKIES,
    authorization_url,
    crowded_out,
    login_cookie,
    under_way,
)
from extproc.core.logout import end_session_url
from extproc.core.oidc.authorization import GRACE, LIFE
from extproc.core.oidc.claims import Claims
from extproc.core.page import Page
from extproc.core.refusals import respond
from extproc.core.session import Session, SessionId
from extproc.core.session_record import from_record, to_record
from extproc.core.step_up import Demand

APP = application()
SESSION = Session(
    SessionId.of(b"s" * 32),
    ISSUER,
    "alice",
    Claims({"sub": "alice", "email": "alice@example.com", "groups": ["a,b", "dev"]}),
    "idt",
    "at",
    "rt",
    NOW + 300,
    NOW,
    NOW + 43_200,
    NOW,
)
NAVIGATE = StartLogin


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
    everywhere = application(hosts=("*",))
    assert (
        decide(everywhere, request(authority="any.example"), None, NOW).location
        == "https://app.example/wanted?a=1"
    )


@pytest.mark.attack("FLOW-21")
@pytest.mark.parametrize("path", ["callback", "logout", "userinfo", "signed-out"])
def test_endpoints_are_on_the_application_s_own_host_only(path):
    with pytest.raises(NoSuchEndpoint):
        decide(
            APP, request(f"/oauth2/{path}?code=a&state=b", authority="other.example"), SESSION, NOW
        )


@pytest.mark.attack("FLOW-21")
@pytest.mark.parametrize(
    "target",
    [
        "/oauth2/callback/",
        "/oauth2/callback;x",
        "/oauth2/CALLBACK",
        "/oauth2/callback%2f",
        "/oauth2/",
        "/oauth2/x",
    ],
)
def test_look_alikes_of_the_callback_are_no_callback(target):
    with pytest.raises(NoSuchEndpoint):
        decide(APP, request(f"{target}?code=a&state=b"), None, NOW)


@pytest.mark.attack("FLOW-21")
def test_a_callback_outside_the_prefix_is_an_ordinary_page():
    wiki = application(url="https://app.example/wiki/")
    assert decide(wiki, request("/wiki/x/oauth2/callback?code=a"), None, NOW) == StartLogin(
        "/wiki/x/oauth2/callback?code=a", ()
    )
    with pytest.raises(StateMismatch):
        decide(wiki, request("/wiki/oauth2/callback?code=a&state=b"), None, NOW)


# -- the authorization request ---------------------------------------------------------------------


@pytest.mark.attack("FLOW-01")
def test_the_authorization_request_is_exact_and_its_values_are_unique():
    seen = set()
    for number in range(100):
        attempt = pending(APP, secret=number.to_bytes(32, "big"))
        query = dict(
            parse_qsl(
                urlsplit(authorization_url(APP, METADATA, attempt)).query, strict_parsing=True
            )
        )
        assert query["redirect_uri"] == "https://app.example/oauth2/callback"
        assert (query["response_type"], query["code_challenge_method"], query["scope"]) == (
            "code",
            "S256",
            "openid email",
        )
        assert (
            len(query["state"]) == 35
            and len(query["nonce"]) == 32
            and len(attempt.code_verifier) == 43
        )
        seen |= {query["state"], query["nonce"], attempt.code_verifier, query["code_challenge"]}
    assert len(seen) == 400


def test_the_authorization_endpoint_s_own_query_is_kept():
    metadata = replace(METADATA, authorization_endpoint=f"{ISSUER}/auth?p=B2C")
    assert authorization_url(APP, metadata, pending(APP)).startswith(
        f"{ISSUER}/auth?p=B2C&response_type=code&"
    )


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


@pytest.mark.attack("REDI-01", "REDI-03", "REDI-04")
@pytest.mark.parametrize(
    "target",
    ["//evil.example", "/\\evil.example", "/\t/evil", "/a\\b", "https://evil.example/", "javascript:alert(1)", "", "x", "/a#b", "/a\r\nx: y", "/\x7f", "/é",
     "/.//evil.example", "/x/..//evil.example", "/%2e//evil", "/ /evil", "///evil", "\x0b/evil", "/a" * 513, "/oauth2/logout", "/oauth2/login?return_to=/"],
)  # fmt: skip
def test_what_could_lead_away_becomes_the_start_page(target):
    from urllib.parse import quote

    decision = decide(APP, request(f"/oauth2/login?return_to={quote(target, safe='')}"), None, NOW)
    assert decision == StartLogin("/", ())


def test_login_by_name_needs_no_html_but_no_script():
    plain = {"sec_fetch_mode": "", "sec_fetch_dest": "", "accept": "*/*"}
    assert decide(APP, request("/oauth2/login?return_to=/a", **plain), None, NOW) == StartLogin(
        "/a", ()
    )
    assert decide(APP, request("/oauth2/login?return_to=/a&return_to=/b"), None, NOW) == StartLogin(
        "/", ()
    )
    with pytest.raises(LoginRequired):
        decide(
            APP, request("/oauth2/login", sec_fetch_mode="cors", sec_fetch_dest="empty"), None, NOW
        )
    with pytest.raises(MethodNotAllowed):
        decide(APP, request("/oauth2/login", method="POST"), None, NOW)


# -- login cookies ---------------------------------------------------------------------------------


@pytest.mark.attack("FLOW-12")
def test_login_cookies_are_capped_and_the_oldest_goes():
    attempts = [
        pending(APP, secret=bytes([n]) * 32, created=NOW + n, return_to="/")
        for n in range(MAX_COOKIES)
    ]
    new = login_cookie(APP, pending(APP, secret=b"n" * 32, created=NOW + 99), ENTROPY_BYTES)
    dropped = crowded_out(APP, request(cookie=cookie_header(APP, *attempts)), new)
    assert [cookie.name for cookie in dropped] == [APP.cookies.login(attempts[0].attempt)]
    assert all(cookie.value == "" and cookie.max_age == 0 and cookie.secure for cookie in dropped)


@pytest.mark.attack("FLOW-12")
def test_login_cookies_of_every_application_count_and_so_do_their_bytes():
    other = application(name="other-app", url="https://app.example/other/")
    attempts = [
        pending(other, secret=bytes([n]) * 32, created=NOW + n, return_to="/" + "x" * 1000)
        for n in range(4)
    ]
    header = cookie_header(other, *attempts)
    new = login_cookie(APP, pending(APP, secret=b"n" * 32), ENTROPY_BYTES)
    dropped = {
        cookie.name
        for cookie in crowded_out(
            APP, request(cookie=header + "; __Host-extproc-login-app-0badbeef=junk; a=b"), new
        )
    }
    kept = [pair for pair in header.split("; ") if pair.split("=")[0] not in dropped]
    assert "__Host-extproc-login-app-0badbeef" in dropped and kept
    assert sum(len(pair) + 2 for pair in kept) + len(new.name) + len(new.value) <= MAX_COOKIE_BYTES


@pytest.mark.attack("COOK-27")
def test_logins_under_way_are_those_of_this_application_that_open_and_have_not_ended():
    other = application(name="other", url="https://app.example/other/")
    old, first, second = (pending(APP, secret=secret * 32, created=created) for secret, created in
                          ((b"0", NOW - LIFE - GRACE), (b"1", NOW - 9), (b"2", NOW - 8)))  # fmt: skip
    header = "; ".join([
        cookie_header(APP, first, old, second),
        cookie_header(other, pending(other, secret=b"3" * 32)),
        f"{APP.cookies.login(first.attempt)}=planted; {APP.cookies.login('0badbeef')}=junk",
    ])  # fmt: skip
    assert under_way(APP, request(cookie=header), NOW) == (second, first)
    assert under_way(APP, request(cookie=cookie_header(APP, first, first)), NOW) == (first,)
    assert under_way(APP, request(), NOW) == ()


@pytest.mark.attack("REL-33")
def test_of_many_login_cookies_the_newest_are_opened():
    attempts = [
        pending(APP, secret=number.to_bytes(32, "big"), created=NOW - 99 + number)
        for number in range(99)
    ]
    found = under_way(APP, request(cookie=cookie_header(APP, *attempts)), NOW)
    assert found == tuple(attempts[: -MAX_COOKIES - 1 : -1])


# -- the callback ----------------------------------------------------------------------------------


def back(state: str, cookie: str = "", query: str = "code=c&", method: str = "GET") -> Request:
    return request(
        f"/oauth2/callback?{query}state={state}",
        cookie=cookie,
        method=method,
        sec_fetch_site="cross-site",
    )


def test_the_callback_of_this_browser_s_attempt_is_exchanged():
    attempt = pending(APP)
    decision = decide(APP, back(attempt.state, cookie_header(APP, attempt)), None, NOW)
    assert (
        isinstance(decision, RedeemCode)
        and decision.pending == attempt
        and decision.response.code == "c"
    )


@pytest.mark.attack("FLOW-11")
def test_each_of_ten_attempts_finds_its_own_cookie():
    attempts = [pending(APP, secret=bytes([n]) * 32, return_to=f"/{n}") for n in range(10)]
    header = cookie_header(APP, *attempts)
    assert [
        decide(APP, back(a.state, header), None, NOW).pending.return_to for a in reversed(attempts)
    ] == [f"/{n}" for n in reversed(range(10))]


@pytest.mark.attack("FLOW-04")
@pytest.mark.parametrize("state", ["", "x", "0" * 35, "00000000" + "A" * 27, "../../x", "é" * 35])
def test_a_state_that_is_not_ours_is_refused(state):
    attempt = pending(APP)
    for cookie in (
        "",
        cookie_header(APP, attempt),
        f"{APP.cookies.login('')}=",
        f"{APP.cookies.login(attempt.attempt)}=",
    ):
        with pytest.raises(StateMismatch):
            decide(APP, back(state, cookie), None, NOW)
    with pytest.raises(StateMismatch):
        decide(
            APP, request("/oauth2/callback?code=c", cookie=cookie_header(APP, attempt)), None, NOW
        )


@pytest.mark.attack("FLOW-05")
def test_another_browser_s_code_and_state_are_refused():
    attacker, victim = pending(APP, secret=b"a" * 32), pending(APP, secret=b"v" * 32)
    for cookie in ("", cookie_header(APP, victim)):
        with pytest.raises(StateMismatch):
            decide(APP, back(attacker.state, cookie), SESSION, NOW)
    # the attempt's name is not enough: the whole state is compared
    forged = victim.state[:8] + attacker.state[8:]
    with pytest.raises(StateMismatch):
        decide(APP, back(forged, cookie_header(APP, victim)), None, NOW)


@pytest.mark.attack("COOK-03", "REDI-08")
def test_a_login_cookie_changed_anywhere_is_refused():
    attempt = pending(APP)
    name, _, value = cookie_header(APP, attempt).partition("=")
    for position in range(0, len(value), 3):
        changed = (
            value[:position] + ("A" if value[position] != "A" else "B") + value[position + 1 :]
        )
        with pytest.raises(StateMismatch):
            decide(APP, back(attempt.state, f"{name}={changed}"), None, NOW)
    for other in (value[:-1], value + "A", value + "=", json.dumps(["x"]), "", value + ",x"):
        with pytest.raises(StateMismatch):
            decide(APP, back(attempt.state, f"{name}={other}"), None, NOW)
    # what a neighbouring host plants beside it unbinds no login, where a browser lets it plant one
    # of this name at all
    for planted in (
        f"{name}=other; {name}={value}",
        f"{name}={value}; {name}=other",
        f"a=1,{name}=x; {name}={value}",
    ):
        assert decide(APP, back(attempt.state, planted), None, NOW).pending == attempt


@pytest.mark.attack("FLOW-18")
@pytest.mark.threat("one-login")
def test_an_attempt_of_another_application_or_issuer_is_refused():
    attempt = pending(APP)
    value = cookie_header(APP, attempt).partition("=")[2]
    other = application(name="two", url="https://app.example/two/")
    with pytest.raises(StateMismatch):
        decide(
            other,
            request(
                f"/two/oauth2/callback?code=c&state={attempt.state}",
                cookie=f"{other.cookies.login(attempt.attempt)}={value}",
            ),
            None,
            NOW,
        )
    moved = application(client=client(issuer="https://new.example"))
    with pytest.raises(StateMismatch):
        decide(moved, back(attempt.state, cookie_header(APP, attempt)), None, NOW)


@pytest.mark.attack("FLOW-10")
def test_a_late_callback_starts_again_and_keeps_its_target():
    attempt = pending(APP, created=NOW - LIFE)
    decision = decide(APP, back(attempt.state, cookie_header(APP, attempt)), None, NOW)
    assert decision == StartLogin(
        "/wanted?a=1", (APP.cookies.expired(APP.cookies.login(attempt.attempt)),)
    )


@pytest.mark.attack("FLOW-04")
@pytest.mark.parametrize(
    "query", ["code=a&code=b&", "state=x&code=a&", "", "code=&", "code=a&error=access_denied&", "code=%0a&", "code=%ff&", "code=a&iss=x&iss=y&", "code=" + "x" * 20_000 + "&", "a=1&" * 80 + "code=a&"]
)  # fmt: skip
def test_a_malformed_callback_is_refused(query):
    attempt = pending(APP)
    with pytest.raises(InvalidCallback):
        decide(APP, back(attempt.state, cookie_header(APP, attempt), query), None, NOW)


@pytest.mark.attack("FLOW-15")
def test_an_error_is_kept_for_the_exchange():
    attempt = pending(APP)
    decision = decide(
        APP, back(attempt.state, cookie_header(APP, attempt), "error=access_denied&"), None, NOW
    )
    assert decision.response.error == "access_denied" and decision.response.code is None


@pytest.mark.attack("FLOW-20")
@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD", "OPTIONS"])
def test_a_callback_by_another_method_is_refused(method):
    attempt = pending(APP)
    with pytest.raises(MethodNotAllowed):
        decide(APP, back(attempt.state, cookie_header(APP, attempt), method=method), None, NOW)


# -- logout, userinfo ------------------------------------------------------------------------------

COOKIES = (
    f"__Host-extproc-session-app={SESSION.id.value}; __Host-extproc-assertion-app=a.b.c; mine=1"
)


@pytest.mark.attack("WEB-11")
@pytest.mark.parametrize(
    ("method", "headers", "outcome"),
    [
        ("POST", {"sec_fetch_site": "same-origin"}, EndSession),
        ("POST", {"sec_fetch_site": "", "origin": "https://app.example"}, EndSession),
        ("POST", {"sec_fetch_site": "same-origin", "origin": "null"}, EndSession),
        (
            "POST",
            {"sec_fetch_site": "cross-site", "origin": "https://app.example"},
            CrossSiteLogout,
        ),
        ("POST", {"sec_fetch_site": "same-site"}, CrossSiteLogout),
        ("POST", {"sec_fetch_site": "none"}, CrossSiteLogout),
        ("POST", {"sec_fetch_site": ""}, CrossSiteLogout),
        ("POST", {"sec_fetch_site": "", "origin": "https://evil.example"}, CrossSiteLogout),
        ("POST", {"sec_fetch_site": "", "origin": "null"}, CrossSiteLogout),
        ("POST", {"sec_fetch_site": "", "origin": "http://app.example"}, CrossSiteLogout),
        ("GET", {"sec_fetch_site": "same-origin"}, EndSession),
        ("GET", {"sec_fetch_site": "none"}, EndSession),
        ("GET", {"sec_fetch_site": "cross-site"}, Respond),
        ("GET", {"sec_fetch_site": "same-site"}, Respond),
        ("GET", {"sec_fetch_site": ""}, Respond),
        ("PUT", {"sec_fetch_site": "same-origin"}, MethodNotAllowed),
    ],
)
def test_a_logout_is_the_user_s_own(method, headers, outcome):
    asked = request("/oauth2/logout", method=method, cookie=COOKIES, **headers)
    if issubclass(outcome, Refusal):
        with pytest.raises(outcome) as caught:
            decide(APP, asked, SESSION, NOW)
        assert respond(caught.value, APP, asked).cookies == ()
        return
    decision = decide(APP, asked, SESSION, NOW)
    assert isinstance(decision, outcome)
    if isinstance(decision, Respond):
        assert decision.cookies == () and decision.page == Page(
            "Sign out?", "Do you want to sign out?", "/oauth2/logout", "Sign out", posts=True
        )
    else:
        assert decision.session == SESSION and [cookie.name for cookie in decision.expired] == [
            APP.cookies.session,
            APP.cookies.assertion,
        ]


@pytest.mark.attack("LOGO-01")
def test_the_provider_s_logout_is_told_who_and_where_to():
    url = urlsplit(end_session_url(APP, METADATA, SESSION, "st"))
    assert url._replace(query="").geturl() == f"{ISSUER}/logout"
    assert dict(parse_qsl(url.query)) == {
        "id_token_hint": "idt",
        "client_id": "gateway",
        "post_logout_redirect_uri": "https://app.example/oauth2/signed-out",
        "state": "st",
    }
    assert end_session_url(APP, replace(METADATA, end_session_endpoint=None), SESSION, "st") is None


@pytest.mark.attack("WEB-09")
def test_userinfo_shows_the_claims_and_no_token():
    decision = decide(APP, request("/oauth2/userinfo"), SESSION, NOW)
    assert json.loads(decision.json) == SESSION.claims.values
    with pytest.raises(LoginRequired):
        decide(APP, request("/oauth2/userinfo"), None, NOW)


# -- records ---------------------------------------------------------------------------------------


def test_a_record_opens_for_its_session_alone():
    record = to_record(APP, SESSION, Device("Firefox", "192.0.2.7"), ENTROPY_BYTES * 2)
    assert from_record(APP, SESSION.id, record) == SESSION
    assert (
        b"alice" not in record.sealed
        and SESSION.id.value.encode() not in record.sealed + record.key
    )
    assert from_record(APP, SessionId.of(b"x" * 32), record) is None
    assert from_record(application(name="two"), SESSION.id, record) is None
    assert (
        from_record(application(ring=replace(RING, keys=RING.keys[:0])), SESSION.id, record) is None
    )
    assert from_record(APP, SESSION.id, replace(record, sealed=record.sealed[:-2] + b"AA")) is None


@pytest.mark.attack("COOK-22")
@pytest.mark.parametrize(
    "cookie",
    ["x", "x" * 44, "a b", "../" + "x" * 40, "*" * 43, "x" * 1_000_000, "\r\n" + "x" * 41, ""],
)
def test_what_cannot_be_an_id_is_never_looked_up(cookie):
    assert SessionId.parse(cookie) is None


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
