"""Logout that a provider starts, by its own request or by a frame (rows LOGO of the catalogue)."""

from urllib.parse import urlencode

import pytest
from harness.refusals import EVIL, raised
from harness.tokens import ISSUER, NOW, RING, Signer, application, client, key_set, request

from extproc.core.decide import decide
from extproc.core.decisions import BackChannelLogout, FrontChannelLogout, ReadBody
from extproc.core.errors import (
    BodyTooLarge,
    InvalidLogout,
    MethodNotAllowed,
    Misdirected,
    NoSuchEndpoint,
)
from extproc.core.oidc.claims import Claims
from extproc.core.oidc.logout_token import EVENT, LogoutToken, verify_logout_token
from extproc.core.provider_logout import MAX_BODY, back_channel, is_back_channel, posted, tags_of
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


def claims(**changes):
    return {name: value for name, value in (RIGHT | changes).items() if value is not None}


def verify(token: str, keys=None, now: int = NOW, **of_client) -> LogoutToken:
    return verify_logout_token(client(**of_client), token, keys or key_set(), now)


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


def test_without_the_setting_there_is_no_such_endpoint():
    off = application(frontchannel_logout="off")
    with pytest.raises(NoSuchEndpoint):
        decide(off, frame(iss=ISSUER, sid="s1"), SESSION, NOW)


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


def to_back_channel(**how):
    return back_channel(APP, request("/oauth2/backchannel-logout", **{"method": "POST", **how}))


def framed(query: str, **how):
    return decide(APP, request("/oauth2/frontchannel-logout?" + query, **how), None, NOW)


ONE_OF_EACH = "one iss and one sid are needed (register frontchannel_logout_session_required)"

NO_FRAME = "the browser asks for something else than a frame (Sec-Fetch-Dest), or ahead of time (Sec-Purpose)"


@pytest.mark.parametrize(
    ("call", "kind", "detail"),
    [
        (lambda: to_back_channel(method="GET"), MethodNotAllowed, "POST"),
        (lambda: to_back_channel(content_type=EVIL), InvalidLogout, "the content type is not application/x-www-form-urlencoded"),
        (lambda: posted(b"\xff"), InvalidLogout, "the body is no form"),
        (lambda: posted(b"&".join([b"a=1"] * 65)), InvalidLogout, "the body is no form"),
        (lambda: posted(EVIL.encode()), InvalidLogout, "one logout_token is needed"),
        (lambda: posted(b"logout_token=&logout_token=x"), InvalidLogout, "one logout_token is needed"),
        (lambda: framed("", method="POST"), MethodNotAllowed, "GET"),
        (lambda: framed("iss=%FF"), InvalidLogout, "the query is too long, or no UTF-8"),
        (lambda: framed("&".join(["a=1"] * 65)), InvalidLogout, "the query is too long, or no UTF-8"),
        (lambda: framed(f"iss={ISSUER}"), InvalidLogout, ONE_OF_EACH),
        (lambda: framed(f"iss={ISSUER}&iss=&sid=s"), InvalidLogout, ONE_OF_EACH),
        (lambda: framed(f"iss={ISSUER}&sid=s&sid="), InvalidLogout, ONE_OF_EACH),
        (lambda: framed(f"iss={ISSUER}&sid="), InvalidLogout, ONE_OF_EACH),
        (lambda: framed(f"iss={EVIL}&sid=s"), InvalidLogout, "iss is another issuer"),
        (lambda: framed(f"iss={ISSUER}&sid=s"), InvalidLogout, NO_FRAME),
        (lambda: framed(f"iss={ISSUER}&sid=s", **FRAME, sec_purpose="prefetch"), InvalidLogout, NO_FRAME),
    ],
)  # fmt: skip
def test_the_log_names_what_is_wrong_with_a_logout_request(call, kind, detail):
    assert raised(call) == (kind, detail)
