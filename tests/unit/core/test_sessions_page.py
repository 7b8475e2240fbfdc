"""The page of a user's own sessions, and what its buttons may end."""

import re
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from harness.tokens import ENTROPY_BYTES, ISSUER, NOW, RING, application, request, session

from extproc import pages
from extproc.core.decide import decide
from extproc.core.decisions import EndListedSessions, ListSessions, Respond, StartLogin
from extproc.core.device import Device
from extproc.core.errors import (
    CrossSiteLogout,
    InsufficientAuthentication,
    LoginRequired,
    MethodNotAllowed,
    NoSuchEndpoint,
    Refusal,
)
from extproc.core.oidc.claims import Claims
from extproc.core.sealing import KeyRing, Label
from extproc.core.session import Session, SessionId, handle_of
from extproc.core.session_list import SignIn, SignIns
from extproc.core.sessions_page import (
    EVERYWHERE,
    FORM_LIFE,
    OTHERS,
    address,
    form_token,
    page,
    page_of_one,
)
from extproc.core.step_up import Demand

APP = application()
SESSION = Session(
    SessionId.of(b"m" * 32), ISSUER, "alice", Claims({"sub": "alice"}), "idt", "at", "rt", NOW + 300, NOW, NOW + 43_200, NOW,
    sid="mine",
)  # fmt: skip
OTHER = replace(SESSION, id=SessionId.of(b"o" * 32), sid="other")
TOKEN = form_token(APP, SESSION, NOW, ENTROPY_BYTES)
HOME = "/oauth2/sessions"
SCRIPT = {"accept": "application/json", "sec_fetch_mode": "cors", "sec_fetch_dest": "empty"}
OURS = {"method": "POST", "sec_fetch_site": "same-origin"}


# -- what is asked for


def test_the_page_is_for_those_who_are_signed_in():
    assert decide(APP, request(HOME), SESSION, NOW) == ListSessions(SESSION)
    assert decide(APP, request(HOME + "?stale"), SESSION, NOW) == ListSessions(SESSION, stale=True)
    assert decide(APP, request(HOME), None, NOW) == StartLogin("/oauth2/sessions")


def test_it_is_for_those_who_are_signed_in_as_the_application_demands():
    app = application(demand=Demand(("gold",)))
    assert decide(app, request(HOME), SESSION, NOW) == StartLogin("/oauth2/sessions")
    with pytest.raises(InsufficientAuthentication):
        decide(app, request(f"{HOME}?end=others&form={TOKEN}", **OURS), SESSION, NOW)


@pytest.mark.attack("WEB-09")
@pytest.mark.parametrize(
    ("sent", "session", "refusal"),
    [
        (request(HOME, **SCRIPT), None, LoginRequired),
        (request(HOME, **OURS), None, LoginRequired),
        (request(HOME, **SCRIPT), replace(SESSION, expires=NOW), LoginRequired),
        (request(HOME, method="DELETE"), SESSION, MethodNotAllowed),
        (request(HOME, authority="other.example"), SESSION, NoSuchEndpoint),
        (request(HOME + "/", **OURS), SESSION, NoSuchEndpoint),
    ],
)
def test_everybody_else_is_refused(sent, session, refusal: type[Refusal]):
    with pytest.raises(refusal):
        decide(APP, sent, session, NOW)


def test_a_button_of_our_page_ends_what_it_names():
    for which in (OTHERS, handle_of(OTHER.id.key)):
        sent = request(
            f"{HOME}?end={which}&form={TOKEN}", cookie="__Host-extproc-assertion-app=x", **OURS
        )
        decision = decide(APP, sent, SESSION, NOW + FORM_LIFE - 1)
        assert isinstance(decision, EndListedSessions) and (decision.session, decision.which) == (
            SESSION,
            which,
        )
        assert [cookie.name for cookie in decision.expired] == ["__Host-extproc-assertion-app"]


@pytest.mark.parametrize("more", ["&" * 70, "&x=" + "x" * 16_384, "&%ff", "&end=others"])
def test_a_query_of_any_kind_is_no_error(more):
    sent = request(f"{HOME}?end={OTHERS}&form={TOKEN}{more}", **OURS)
    decision = decide(APP, sent, SESSION, NOW)
    assert (
        isinstance(decision, EndListedSessions)
        if more == "&%ff"
        else decision.reason == "own_sessions_stale"
    )


@pytest.mark.attack("WEB-11")
@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": "", "origin": "https://evil.example"},
        {"sec_fetch_site": "", "origin": "null"},
        {"sec_fetch_site": ""},
    ],
)
def test_another_site_ends_nothing_even_with_a_right_token(headers):
    with pytest.raises(CrossSiteLogout):
        decide(
            APP, request(f"{HOME}?end=others&form={TOKEN}", method="POST", **headers), SESSION, NOW
        )


@pytest.mark.attack("WEB-11")
@pytest.mark.parametrize(
    "query",
    [
        "",
        "end=others",
        f"form={TOKEN}",
        "end=others&form=",
        "end=others&form=x",
        f"end=others&form={TOKEN[:-2]}",
        f"end=others&end=others&form={TOKEN}",
        f"end=others&form={TOKEN}&form={TOKEN}",
        # of another session of the same user, another application, another gateway, and of an hour
        # ago
        f"end=others&form={form_token(APP, OTHER, NOW, ENTROPY_BYTES)}",
        f"end=others&form={form_token(application(name='wiki'), SESSION, NOW, ENTROPY_BYTES)}",
        f"end=others&form={form_token(application(ring=KeyRing.of([b'another' * 6])), SESSION, NOW, ENTROPY_BYTES)}",
        f"end=others&form={form_token(APP, SESSION, NOW - FORM_LIFE, ENTROPY_BYTES)}",
    ],
)
def test_what_is_not_of_a_page_of_ours_ends_nothing_and_is_shown_the_page_anew(query):
    decision = decide(APP, request(f"{HOME}?{query}", **OURS), SESSION, NOW)
    assert isinstance(decision, Respond)
    assert (decision.status, decision.location) == (
        303,
        "https://app.example/oauth2/sessions?stale",
    )
    assert not decision.cookies


@pytest.mark.attack("COOK-19")
def test_a_page_from_before_the_key_ring_turned_still_counts():
    turned = application(
        ring=KeyRing((*KeyRing.of([b"the new secret of this gateway ..."]).keys, *RING.keys))
    )
    assert isinstance(
        decide(turned, request(f"{HOME}?end=others&form={TOKEN}", **OURS), SESSION, NOW),
        EndListedSessions,
    )


# -- the page


def shown(*found: SignIn, stale: bool = False, more: int = 0, **changes):
    return page(application(**changes), SignIns(found, more), TOKEN, NOW, stale=stale)


ONE = SignIn(
    "aa",
    (b"a",),
    None,
    ("app",),
    Device("Firefox on Linux", "192.0.2.7"),
    NOW - 60,
    NOW,
    NOW + 60,
    this=True,
)
TWO = replace(ONE, handle="bb", device=Device(), used=NOW - 7300, this=False)


def test_the_page_says_where_its_user_is_signed_in_and_what_can_be_done_about_it():
    said = shown(ONE, TWO)
    assert said.text == "You are signed in twice. What you end here may still work for 60 seconds."
    many = shown(ONE, TWO, more=50_000).text
    assert many.startswith("You are signed in 50002 times. The 2 used last are shown below, and")
    assert "and 50000 more exist." in many
    mine, its = said.cards
    assert (mine.title, mine.badge, mine.link_text, mine.link) == (
        "Firefox on Linux", "This one", "Sign out", "/oauth2/logout",
    )  # fmt: skip
    assert mine.facts == (
        ("Address", "192.0.2.7"),
        ("Signed in", "15 Jan 2027, 07:59 UTC"),
        ("Last seen", "now"),
        ("Ends", "15 Jan 2027, 08:01 UTC"),
        ("Applications", "app"),
    )
    assert (its.title, its.badge, its.link_text) == ("A device that is not known", "", "End")
    assert its.facts[0] == ("Address", "not known") and its.facts[2] == ("Last seen", "2 hours ago")
    for link, which in ((its.link, "bb"), (said.link, "others")):
        parts = urlsplit(link)
        assert (parts.path, parse_qs(parts.query)) == (HOME, {"end": [which], "form": [TOKEN]})
    assert (said.posts, said.link_text, said.back) == (
        True,
        "End all others",
        "https://app.example/",
    )


def test_with_one_session_there_is_nothing_to_end_but_it():
    said = shown(ONE)
    assert said.text == "You are signed in here and nowhere else."
    assert (said.posts, said.link, said.back) == (False, "https://app.example/", "")
    assert shown(ONE, stale=True).text.startswith(
        "Nothing was ended, because the page was too old."
    )
    assert shown(ONE, TWO, TWO, assertion_lifetime=0).text == "You are signed in 3 times."
    assert "for 5 minutes" in shown(ONE, TWO, assertion_lifetime=300).text


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (-5, "a moment ago"),
        (119, "a moment ago"),
        (120, "2 minutes ago"),
        (3599, "59 minutes ago"),
        (3600, "1 hour ago"),
        (86_399, "23 hours ago"),
        (86_400, "1 day ago"),
        (200_000, "2 days ago"),
    ],
)
def test_last_use_is_said_as_roughly_as_it_is_known(ago, said):
    assert shown(ONE, replace(TWO, used=NOW - ago)).cards[1].facts[2] == ("Last seen", said)


def test_where_nobody_can_list_sessions_the_page_says_so_and_offers_what_there_is():
    device = Device("Firefox on Linux", "192.0.2.7")
    said = page_of_one(APP, SESSION, device, TOKEN, NOW, stale=False)
    assert "keeps no list of sessions" in said.text and [card.badge for card in said.cards] == [
        "This one"
    ]
    assert said.posts and said.link_text == "Sign out everywhere" and "end=everywhere" in said.link
    assert not page_of_one(APP, SESSION, device, None, NOW, stale=False).posts


@pytest.mark.attack("WEB-01", "WEB-04")
def test_whatever_is_shown_is_escaped_and_the_page_runs_nothing():
    evil = replace(
        TWO, device=Device('"><script>alert(1)</script>', "<b>"), applications=("<i>",), handle='"x'
    )
    sent = pages.html(shown(ONE, evil), "own_sessions", "", error=False).decode()
    assert (
        "<script" not in sent
        and "<b>" not in sent
        and "<i>" not in sent
        and 'action="/oauth2/sessions?end=%22x&amp;' in sent
    )
    assert "default-src 'none'" in pages.csp() and "frame-ancestors 'none'" in pages.csp()
    # the one script is that of error pages, by its hash
    assert re.findall(r"script-src ([^;]*);", pages.csp()) and "unsafe" not in pages.csp()
    assert all(
        source.startswith("'sha256-") for source in re.findall(r"script-src ([^;]*);", pages.csp())
    )
    assert " style=" not in sent and "javascript:" not in sent


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
    nothing_else = page(APP, SignIns(()), "t", NOW, stale=False)
    assert (nothing_else.title, nothing_else.link_text) == (
        "Your sessions",
        "Back to the application",
    )


def test_the_page_s_address_and_how_a_session_is_called_there():
    assert address(APP) == "https://app.example/oauth2/sessions" and address(
        APP, stale=True
    ).endswith("?stale")
    assert handle_of(bytes(range(32))) == "0001020304050607"


def test_a_form_token_knows_when_its_page_was_made():
    token = form_token(APP, SESSION, NOW, ENTROPY_BYTES)
    label = Label("own sessions", APP.name, SESSION.id.key.hex(), secret=SESSION.id.value.encode())
    assert RING.open(token, label) == str(NOW).encode()
