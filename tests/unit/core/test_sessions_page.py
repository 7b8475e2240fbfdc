"""What users see of their own sessions, and what of it a request may end."""

import re
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from harness.tokens import ENTROPY_BYTES, ISSUER, NOW, RING, application, client, request

from extproc import pages
from extproc.core.application import Application
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
from extproc.core.sealing import KeyRing
from extproc.core.session import Session, SessionId, handle_of
from extproc.core.session_list import SignIn, sign_ins, surplus
from extproc.core.session_record import Record, to_record
from extproc.core.sessions_page import FORM_LIFE, OTHERS, form_token, page, page_of_one
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


def record(session: Session, app: Application = APP, device: Device = Device()) -> Record:  # noqa: B008 - a value
    return to_record(app, session, device, bytes(range(88)))


def other(name: bytes, **changes) -> Session:
    return replace(SESSION, id=SessionId.of(name * 32), **{"sid": None, **changes})


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


# -- what is known


def test_sessions_of_one_sign_in_at_the_provider_are_one():
    wiki = application(name="wiki")
    phone, laptop = Device("Safari on iPhone", "192.0.2.9"), Device("Firefox on Linux", "192.0.2.7")
    older = other(b"1", sid="phone", created=NOW - 900, touched=NOW - 800)
    newer = other(b"2", sid="phone", created=NOW - 500, touched=NOW - 400, expires=NOW + 50_000)
    alone = other(b"3", created=NOW - 100, touched=NOW - 100)
    records = [
        record(newer, wiki, phone),
        record(alone),
        record(SESSION, device=laptop),
        record(older, device=phone),
    ]
    assert sign_ins(APP, SESSION, records, NOW) == (
        SignIn(handle_of(SESSION.id.key), (SESSION.id.key,), "mine", ("app",), laptop, NOW, NOW, NOW + 43_200, this=True),
        SignIn(handle_of(alone.id.key), (alone.id.key,), None, ("app",), Device(), NOW - 100, NOW - 100, NOW + 43_200, this=False),
        SignIn(
            handle_of(older.id.key), (older.id.key, newer.id.key), "phone", ("app", "wiki"), phone, NOW - 900, NOW - 400,
            NOW + 50_000, this=False,
        ),
    )  # fmt: skip


def test_they_are_several_where_a_logout_is_for_the_application_alone():
    app = application(logout_everywhere=False)
    records = [record(SESSION, app), record(replace(OTHER, sid="mine"), application(name="wiki"))]
    assert [
        (each.sid, len(each.keys), each.this) for each in sign_ins(app, SESSION, records, NOW)
    ] == [
        (None, 1, True),
        (None, 1, False),
    ]


def test_what_is_of_another_provider_or_gateway_left_idle_or_without_an_index_is_not_shown():
    elsewhere = application(client=client(issuer="https://other.example"))
    records = [
        record(SESSION),
        record(other(b"1", issuer="https://other.example"), elsewhere),
        record(
            other(b"2"), application(ring=KeyRing.of([b"another gateway's secret, not this one's"]))
        ),
        record(other(b"3", touched=NOW - 3600)),
        record(other(b"4", expires=NOW)),
        replace(record(other(b"5")), index=b""),
    ]
    assert [each.keys for each in sign_ins(APP, SESSION, records, NOW)] == [(SESSION.id.key,)]


def test_the_oldest_sessions_are_too_many_and_the_newest_never_is():
    app = application(sessions_per_user=2)
    made = [other(bytes([65 + age]), created=NOW - age) for age in (3, 0, 2, 1)]
    assert set(surplus(app, map(record, made), NOW)) == {made[0].id.key, made[2].id.key}
    assert surplus(APP, map(record, made), NOW) == ()
    # at another application, of another provider, or idle for too long: they count for nothing
    others = [
        record(made[1], application(name="wiki")),
        record(replace(made[2], issuer="https://other.example")),
        record(replace(made[3], touched=NOW - 3600)),
    ]
    assert surplus(app, [record(made[0]), record(made[2]), *others[:1], others[2]], NOW) == ()
    assert surplus(app, [record(made[0]), others[1], others[2]], NOW) == ()


def test_of_logins_in_the_same_second_every_process_ends_the_same():
    app = application(sessions_per_user=1)
    one, two = record(other(b"1")), record(other(b"2"))
    assert (
        surplus(app, [one, two], NOW) == surplus(app, [two, one], NOW)
        and len(surplus(app, [one, two], NOW)) == 1
    )


# -- the page


def shown(*found: SignIn, stale: bool = False, **changes):
    return page(application(**changes), found, TOKEN, NOW, stale=stale)


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
