"""decide_endpoint(): what the processor's own endpoints do with a request, as tables."""

import json
from dataclasses import replace

import pytest
from harness.refusals import EVIL, raised
from harness.tokens import (
    NOW,
    WITH_GROUPS,
    application,
    client,
    cookie_header,
    pending,
    request,
    session,
)

from extproc.core.decide import decide
from extproc.core.decisions import EndSession, RedeemCode, Respond, StartLogin
from extproc.core.errors import (
    CrossSiteLogout,
    InsufficientAuthentication,
    InvalidCallback,
    LoginRequired,
    MethodNotAllowed,
    NoSuchEndpoint,
    Refusal,
    StateMismatch,
)
from extproc.core.http import Request
from extproc.core.logout import sealed_page
from extproc.core.oidc.authorization import LIFE
from extproc.core.page import Page
from extproc.core.refusals import respond
from extproc.core.sealing import ENTROPY
from extproc.core.step_up import Demand

APP = application()
STATE = pending().state


def callback(query: str, cookie: str = "") -> object:
    return decide(APP, request(f"/oauth2/callback?{query}", cookie=cookie), None, NOW)


@pytest.mark.parametrize(
    ("query", "kind", "detail"),
    [
        (f"state={STATE}&code=" + "a" * 16_384, InvalidCallback, "the query is longer than 16 kB"),
        (f"state={STATE}&{EVIL}", InvalidCallback, "neither code nor error"),
        ("&".join(["a=1"] * 65), InvalidCallback, "the query has more than 64 parameters"),
        (f"state={STATE}&code=a&%63ode=b", InvalidCallback, "a parameter stands twice"),
        (f"state={STATE}&error=a&error=", InvalidCallback, "a parameter stands twice"),
        (f"state={STATE}&code=a&code={EVIL}", InvalidCallback, "a parameter stands twice"),
        (f"state={STATE}&code=a&state=", InvalidCallback, "a parameter stands twice"),
        (f"code={EVIL}", StateMismatch, "no state"),
        ("", StateMismatch, "no state"),
        (f"state={STATE}", InvalidCallback, "neither code nor error"),
        (f"state={STATE}&code=&error=", InvalidCallback, "neither code nor error"),
        (f"state={STATE}&code={EVIL}&error={EVIL}", InvalidCallback, "both code and error"),
        (f"state={STATE}&code=%C3%A9", InvalidCallback, "the code has characters that no code has (RFC 6749 appendix A.11)"),
        (f"state={STATE}&code=%FF", InvalidCallback, "the code has characters that no code has (RFC 6749 appendix A.11)"),
        (f"state={STATE}%FF&code=a", StateMismatch, "the state is malformed"),
        (f"state={EVIL}&code=a", StateMismatch, "the state is malformed"),
        (f"state={STATE}&code=a", StateMismatch, "this browser has no login cookie of that state"),
    ],
)  # fmt: skip
def test_the_log_names_what_is_wrong_with_a_callback(query, kind, detail):
    assert raised(lambda: callback(query)) == (kind, detail)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("callback", "GET"),
        ("login", "GET, HEAD"),
        ("logout", "GET, POST"),
        ("userinfo", "GET, HEAD"),
        ("sessions", "GET, HEAD, POST"),
    ],
)
def test_a_method_that_an_endpoint_does_not_take_is_answered_with_those_that_it_takes(
    path, allowed
):
    assert raised(lambda: decide(APP, request("/oauth2/" + path, method="DELETE"), None, NOW)) == (
        MethodNotAllowed,
        allowed,
    )


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
        ("return_to=/" + "a" * 7999, "/" + "a" * 7999),
        ("return_to=/" + "a" * 8000, "/"),
        ("return_to=/?" + "%C3%A4" * 1333, "/?" + "%C3%A4" * 1333),
        ("return_to=/?" + "%C3%A4" * 1334, "/"),
        ("return_to=/search%3Fq=a%5Cb", "/search?q=a%5Cb"),
        ("return_to=/search%3Fq=caf%C3%A9", "/search?q=caf%C3%A9"),
        ("return_to=/search%3Fq=caf%FF", "/search?q=caf%EF%BF%BD"),
        ("return_to=/search%3Fq=a%0D%0Ab", "/"),
        ("return_to=/app%23/report/7", "/app#/report/7"),
        ("return_to=/app%3Fa%23/report%3Fb", "/app?a#/report?b"),
        ("return_to=/app%23%C3%A4%5C", "/app#%C3%A4%5C"),
        ("return_to=/app%23a%23b", "/app"),
        ("return_to=/app%23a%0Ab", "/app"),
        ("return_to=/app%23" + "a" * 7995, "/app#" + "a" * 7995),
        ("return_to=/app%23" + "a" * 7996, "/app"),
        ("return_to=%23a", "/"),
        ("return_to=//evil.example%23a", "/"),
        ("return_to=/oauth2/logout%23a", "/"),
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


def test_a_stale_form_is_answered_by_its_reason():
    sent = request(
        "/oauth2/sessions?end=others&form=%FF", method="POST", sec_fetch_site="same-origin"
    )
    assert decide(APP, sent, session(), NOW) == Respond(
        303, "own_sessions_stale", location="https://app.example/oauth2/sessions?stale"
    )


SESSION = WITH_GROUPS


@pytest.mark.attack("FLOW-21")
@pytest.mark.parametrize("path", ["callback", "logout", "userinfo", "signed-out"])
def test_endpoints_are_on_the_application_s_own_host_only(path):
    with pytest.raises(NoSuchEndpoint):
        decide(
            APP, request(f"/oauth2/{path}?code=a&state=b", authority="other.example"), SESSION, NOW
        )


def test_a_login_on_another_host_needs_no_html_as_on_the_own_one():
    plain = {"accept": "*/*", "sec_fetch_mode": "", "sec_fetch_dest": "", "sec_fetch_site": ""}
    for authority, outcome in (("app.example", StartLogin), ("other.example", Respond)):
        asked = request("/oauth2/login", authority=authority, **plain)
        assert isinstance(decide(APP, asked, None, NOW), outcome)
    with pytest.raises(LoginRequired):
        decide(APP, request("/wanted", authority="other.example", **plain), None, NOW)


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


@pytest.mark.attack("REDI-01", "REDI-03", "REDI-04")
@pytest.mark.parametrize(
    "target",
    ["//evil.example", "/\\evil.example", "/\t/evil", "/a\\b", "https://evil.example/", "javascript:alert(1)", "", "x", "//evil#b", "/a\r\nx: y", "/\x7f", "/é",
     "/.//evil.example", "/x/..//evil.example", "/%2e//evil", "/ /evil", "///evil", "\x0b/evil", "/a" * 4001, "/oauth2/logout", "/oauth2/login?return_to=/"],
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
            decide(APP, back(attacker.state, cookie), None, NOW)
        # a user who is signed in stays so, and sees the start page in place of an error
        decision = decide(APP, back(attacker.state, cookie), SESSION, NOW)
        assert decision == Respond(303, "login_not_needed", location="https://app.example/")
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


def test_a_logout_keeps_the_page_to_which_the_user_comes_back():
    path = "/oauth2/logout?return_to=/admin/x%3Fa"
    step = decide(APP, request(path, sec_fetch_site="same-origin"), SESSION, NOW)
    assert isinstance(step, EndSession) and step.page == "/admin/x?a"
    asks = decide(APP, request(path, sec_fetch_site="cross-site"), SESSION, NOW)
    assert asks.page.link == "/oauth2/logout?return_to=/admin/x%3Fa" and asks.page.posts
    state = sealed_page(APP, step.page, bytes(ENTROPY))
    after = decide(APP, request(f"/oauth2/signed-out?state={state}"), None, NOW)
    assert (after.page.link, after.page.link_text) == (
        "https://app.example/admin/x?a",
        "Sign in again",
    )


@pytest.mark.attack("WEB-09")
def test_userinfo_shows_the_claims_and_no_token():
    decision = decide(APP, request("/oauth2/userinfo"), SESSION, NOW)
    assert json.loads(decision.json) == SESSION.claims.values
    with pytest.raises(LoginRequired):
        decide(APP, request("/oauth2/userinfo"), None, NOW)


def test_signed_out_is_a_page_that_leads_to_the_application():
    answer = decide(APP, request("/oauth2/signed-out"), None, NOW)
    assert (answer.status, answer.reason) == (200, "signed_out_page")
    assert (answer.page.title, answer.page.link, answer.page.link_text) == (
        "Signed out",
        APP.url,
        "Sign in again",
    )


def test_a_page_after_a_logout_says_so():
    assert decide(APP, request("/oauth2/signed-out"), None, NOW).page.text == "You are signed out."


@pytest.mark.parametrize(
    ("session", "sent_on"),
    [
        (SESSION, True),
        (None, False),
        (replace(SESSION, expires=NOW), False),
        (replace(SESSION, acr="weak"), False),
        (replace(SESSION, access_expires=NOW, refresh_token="rt"), True),
        (replace(SESSION, access_expires=NOW, refresh_token=None), False),
    ],
)
def test_a_callback_without_its_login_is_no_error_for_a_user_whom_a_page_would_serve(
    session, sent_on
):
    app = application(
        demand=Demand(acr_values=("strong",)), forward_access_token=True, refresh_margin=60
    )
    session = session and replace(session, acr=session.acr or "strong")
    attempt = pending(app)
    for query, cookie in (
        (f"code=a&state={attempt.state}", ""),
        ("code=a&state=x", ""),
        ("code=a", ""),
        (f"code=a&state={attempt.state}", f"{app.cookies.login(attempt.attempt)}=planted"),
    ):
        asked = request(f"/oauth2/callback?{query}", cookie=cookie)
        if sent_on:
            assert decide(app, asked, session, NOW) == Respond(
                303, "login_not_needed", location="https://app.example/"
            )
        else:
            with pytest.raises(StateMismatch):
                decide(app, asked, session, NOW)
    with pytest.raises(InvalidCallback):
        decide(app, request(f"/oauth2/callback?state={attempt.state}"), session, NOW)


def test_a_late_callback_of_a_user_who_is_signed_in_by_now_ends_on_its_page():
    attempt = pending(APP, created=NOW - LIFE)
    asked = back(attempt.state, cookie_header(APP, attempt))
    spent = APP.cookies.expired(APP.cookies.login(attempt.attempt))
    assert decide(APP, asked, SESSION, NOW) == Respond(
        303, "login_not_needed", location="https://app.example/wanted?a=1", cookies=(spent,)
    )
    assert decide(APP, asked, None, NOW) == StartLogin("/wanted?a=1", (spent,))


@pytest.mark.parametrize(
    "query",
    [
        "code=C&state={}&",
        "?&code=C&state={}",
        "&&code=C&&&state={}",
        "code=C&state={}&sso_reload",
        "code=C&state={}&x=%E8&%E8=y&=&=z",
        "code=C&state={}&error_description=a&error_description=b",
        "code=C&state={}" + "&" * 200,
    ],
)
def test_what_a_provider_adds_to_a_callback_is_ignored(query):
    attempt = pending(APP)
    asked = request(
        f"/oauth2/callback?{query.format(attempt.state)}", cookie=cookie_header(APP, attempt)
    )
    decision = decide(APP, asked, None, NOW)
    assert isinstance(decision, RedeemCode) and decision.response.code == "C"


def test_an_error_reaches_its_page_whatever_its_description():
    attempt = pending(APP)
    query = f"error=access_denied&error_description=Acc%E8s+refus%E9&state={attempt.state}"
    asked = request(f"/oauth2/callback?{query}", cookie=cookie_header(APP, attempt))
    decision = decide(APP, asked, None, NOW)
    assert isinstance(decision, RedeemCode) and decision.response.error == "access_denied"
