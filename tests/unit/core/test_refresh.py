"""Refresh as values: when it is due, what the provider's answer makes of a session, and what
decide() says of it.
"""

import json
from bisect import bisect_left
from dataclasses import replace

import pytest
from harness.refusals import EVIL, raised
from harness.tokens import (
    ISSUER,
    NOW,
    Signer,
    application,
    id_token_claims,
    key_set,
    request,
    session,
)

from extproc.core.access import Access
from extproc.core.access_conditions import Entry
from extproc.core.access_rules import Rule
from extproc.core.decide import decide
from extproc.core.decisions import Continue, Refresh, StartLogin
from extproc.core.errors import AccessTokenExpired, LoginRequired
from extproc.core.oidc.claims import Claims
from extproc.core.oidc.id_token import UserInfo
from extproc.core.oidc.token import RefreshResponse, refresh_grant
from extproc.core.provider_errors import (
    InvalidIDToken,
    InvalidUserInfo,
    SubjectMismatch,
    UnknownKey,
)
from extproc.core.refresh import due, looked_up, renewed
from extproc.core.session import Session, SessionId
from extproc.core.step_up import Demand

APP = application(refresh_margin=30)
FORWARDS = application(refresh_margin=30, forward_access_token=True, assertion_lifetime=0)
FIRST = Signer().sign(id_token_claims())
SESSION = Session(
    SessionId.of(b"s" * 32), ISSUER, "alice", Claims({"sub": "alice", "email": "old@example.com", "team": "red"}), FIRST, "at", "rt",
    NOW + 300, NOW, NOW + 43_200, NOW, "sid", NOW, "silver", NOW,
)  # fmt: skip
LATER = NOW + 290
SCRIPT = request(sec_fetch_mode="cors", sec_fetch_dest="empty", accept="application/json")


def answer(**members) -> RefreshResponse:
    said = {
        "access_token": "at2",
        "token_type": "Bearer",
        "expires_in": 600,
        "refresh_token": "rt2",
        **members,
    }
    return RefreshResponse.parse(
        json.dumps({name: value for name, value in said.items() if value is not None}).encode()
    )


def refreshed_token(**changes) -> str:
    """As a provider makes it: without a nonce."""
    return Signer().sign(
        id_token_claims(**{"nonce": None, "iat": LATER, "exp": LATER + 300, **changes})
    )


def of_life(seconds: int) -> Session:
    return replace(SESSION, access_expires=NOW + seconds)


@pytest.mark.attack("REFR-13")
@pytest.mark.parametrize(
    ("session", "earliest", "latest"),
    [
        (of_life(300), 240, 270),  # the margin, and up to a tenth of the life
        (of_life(3600), 3600 - 30 - 300, 3600 - 30),
        (of_life(40), 16, 20),  # half its life is margin enough
        (of_life(0), 5, 5),  # not for every request
    ],
)
def test_tokens_are_due_ahead_of_their_end_and_not_all_at_once(session, earliest, latest):
    due_at = set()
    for number in range(50):
        one = replace(session, id=SessionId.of(bytes([number * 5]) * 32))
        # due from some second on, and not before
        due_at.add(
            bisect_left(range(100_000), True, key=lambda at, one=one: due(APP, one, NOW + at))
        )
    assert earliest <= min(due_at) <= max(due_at) <= latest
    assert len(due_at) > min((latest - earliest) // 4, 20)


@pytest.mark.parametrize(
    ("app", "session"),
    [(application(), of_life(1)), (APP, replace(of_life(1), refresh_token=None))],
    ids=["switched off", "no refresh token"],
)
def test_tokens_that_cannot_be_renewed_are_never_due(app, session):
    assert not due(app, session, NOW + 10_000)
    assert isinstance(decide(app, request(), session, NOW + 1000), Continue)


def test_tokens_are_due_when_the_clock_was_set_back_by_more_than_a_minute():
    assert not due(APP, SESSION, NOW - 60)
    assert due(APP, SESSION, NOW - 61)


def test_a_request_whose_tokens_are_due_waits_for_new_ones_and_others_do_not():
    assert isinstance(decide(APP, request(), SESSION, NOW + 10), Continue)
    assert decide(APP, SCRIPT, SESSION, LATER) == Refresh(SESSION)
    assert isinstance(decide(APP, SCRIPT, SESSION, LATER, may_refresh=False), Continue)
    assert isinstance(decide(APP, request(public=True), SESSION, LATER), Continue)
    assert decide(APP, request("/oauth2/userinfo"), SESSION, LATER).reason == "userinfo"
    assert isinstance(decide(APP, request(), replace(SESSION, expires=LATER), LATER), StartLogin)


def test_an_application_that_wants_the_access_token_gets_a_valid_one_in_place_of_what_a_client_sent():
    decision = decide(FORWARDS, request(), SESSION, NOW)
    assert decision.set_headers[-1] == ("authorization", "Bearer at")
    assert "authorization" not in decision.remove_headers and not decision.set_cookies
    anonymous = decide(FORWARDS, request(public=True), None, NOW)
    late = decide(FORWARDS, request(public=True), SESSION, NOW + 300)
    assert "authorization" in anonymous.remove_headers and "authorization" in late.remove_headers
    assert ("x-auth-sub", "alice") in late.set_headers and "at" not in dict(
        late.set_headers
    ).values()
    assert "Bearer" not in repr(decision)


def test_without_it_the_client_s_own_authorization_is_left_alone():
    for decision in (
        decide(APP, request(), SESSION, NOW),
        decide(APP, request(public=True), None, NOW),
    ):
        assert "authorization" not in (*dict(decision.set_headers), *decision.remove_headers)


def test_it_is_refused_while_none_can_be_had_and_signs_in_again_when_none_ever_will():
    with pytest.raises(AccessTokenExpired) as refusal:
        decide(FORWARDS, request(), SESSION, NOW + 300, may_refresh=False)
    assert (refusal.value.status, refusal.value.row.retry_after) == (503, 5)
    assert isinstance(decide(FORWARDS, request(), SESSION, LATER, may_refresh=False), Continue)
    for app, hopeless in (
        (FORWARDS, replace(SESSION, refresh_token=None)),
        (replace(FORWARDS, refresh_margin=None), SESSION),
    ):
        assert isinstance(decide(app, request(), hopeless, NOW + 300), StartLogin)
        with pytest.raises(LoginRequired):
            decide(app, SCRIPT, hopeless, NOW + 300)


@pytest.mark.attack("CONF-24")
def test_the_grant_has_the_refresh_token_and_the_new_tokens_take_the_place_of_the_old():
    assert dict(refresh_grant(APP.client, "rt").parameters) == {
        "grant_type": "refresh_token",
        "refresh_token": "rt",
    }
    new = renewed(
        APP,
        SESSION,
        answer(id_token=refreshed_token(email="new@example.com", sid="another")),
        key_set(),
        LATER,
    )
    assert (new.access_token, new.refresh_token, new.access_issued, new.access_expires) == (
        "at2",
        "rt2",
        LATER,
        LATER + 600,
    )
    assert (new.claims.get("email"), new.claims.get("team"), new.sid) == (
        "new@example.com",
        "red",
        "sid",
    )
    assert (new.id, new.created, new.expires, new.subject, new.auth_time, new.acr) == (
        SESSION.id, SESSION.created, SESSION.expires, "alice", NOW, "silver",
    )  # fmt: skip


@pytest.mark.attack("REFR-09")
def test_what_the_provider_leaves_out_stays_as_it_was():
    new = renewed(
        APP, SESSION, answer(refresh_token=None, id_token=None, expires_in=None), key_set(), LATER
    )
    assert new == replace(
        SESSION,
        access_token="at2",
        access_issued=LATER,
        access_expires=LATER + 300,
        touched=LATER,
        generation=1,
    )


@pytest.mark.attack("CONF-25")
@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"sub": "mallory"}, "subject"),
        ({"iss": "https://evil.example"}, "issuer"),
        ({"aud": "another"}, "audience"),
        ({"azp": "another"}, "audience"),
        ({"exp": LATER - 61}, "expired"),
        ({"iat": LATER + 61}, "issued_at"),
        ({"auth_time": NOW - 1}, "auth_time"),
        ({"nonce": "another"}, "nonce"),
        ({"at_hash": "another"}, "at_hash"),
    ],
)
def test_the_id_token_of_a_refresh_is_checked_like_the_first(changes, check):
    said = {"auth_time": NOW, "nonce": id_token_claims()["nonce"]}
    assert (
        renewed(
            APP, SESSION, answer(id_token=refreshed_token(**said)), key_set(), LATER
        ).access_token
        == "at2"
    )
    with pytest.raises(InvalidIDToken) as refusal:
        renewed(APP, SESSION, answer(id_token=refreshed_token(**said | changes)), key_set(), LATER)
    assert refusal.value.check == check


def test_a_later_sign_in_at_the_provider_ends_no_session_and_makes_none_younger():
    new = renewed(
        APP, SESSION, answer(id_token=refreshed_token(auth_time=NOW + 200)), key_set(), LATER
    )
    assert (new.access_token, new.auth_time) == ("at2", NOW)
    unknown = renewed(
        APP,
        replace(SESSION, auth_time=None),
        answer(id_token=refreshed_token(auth_time=NOW)),
        key_set(),
        LATER,
    )
    assert unknown.auth_time is None


@pytest.mark.parametrize("known", [None, NOW])
def test_an_auth_time_of_the_future_is_refused_at_a_refresh_too(known):
    had = replace(SESSION, auth_time=known)
    for ahead in (61, 100_000, 1e300):
        token = refreshed_token(auth_time=LATER + ahead)
        with pytest.raises(InvalidIDToken, match="in the future"):
            renewed(APP, had, answer(id_token=token), key_set(), LATER)
    token = refreshed_token(auth_time=LATER + 60)
    assert renewed(APP, had, answer(id_token=token), key_set(), LATER).auth_time == known


def test_a_session_keeps_the_sid_of_its_login_by_which_the_provider_ends_it():
    for had, sid in ((SESSION, "sid"), (replace(SESSION, sid=None), "sid2")):
        new = renewed(APP, had, answer(id_token=refreshed_token(sid="sid2")), key_set(), LATER)
        assert new.sid == sid


KEEPS = replace(APP, keeps_unrepeated=True)


def with_claims(id_token: str, **claims) -> Session:
    return replace(SESSION, id_token=id_token, claims=Claims({"sub": "alice", **claims}))


def test_claims_that_a_newer_id_token_no_longer_has_are_gone_and_those_of_userinfo_stay():
    had = with_claims(
        FIRST, groups=["admins", "dev"], email="a@example.com", email_verified=True, team="red"
    )
    token = refreshed_token(groups=None, email=None, email_verified=None, name="New")
    for app, kept in (
        (APP, {"sub": "alice", "team": "red", "name": "New"}),
        (KEEPS, {**had.claims.values, "name": "New"}),
    ):
        new = renewed(app, had, answer(id_token=token), key_set(), LATER)
        assert new.claims.values == kept
    # of the ID token and of UserInfo: the ID token's loss counts
    assert renewed(APP, had, answer(id_token=None), key_set(), LATER).claims == had.claims


def test_a_claim_of_both_is_gone_with_the_id_token_and_an_address_keeps_no_foreign_confirmation():
    first = Signer().sign(id_token_claims(groups=["a"], email_verified=None))
    had = with_claims(first, groups=["b"], email="b@example.com", email_verified=True)
    token = refreshed_token(groups=None, email_verified=None, email="c@example.com")
    new = renewed(APP, had, answer(id_token=token), key_set(), LATER)
    assert new.claims.values == {"sub": "alice", "email": "c@example.com"}


@pytest.mark.parametrize(
    ("changes", "confirmed"),
    [
        ({"email_verified": None}, True),
        ({"email_verified": False}, False),
        ({"email_verified": None, "email": "c@example.com"}, None),
        ({"email_verified": None, "email": None}, None),
    ],
)
def test_an_address_that_userinfo_confirmed_stays_confirmed_while_the_id_token_names_it(
    changes, confirmed
):
    first = Signer().sign(id_token_claims(email="a@example.com", email_verified=None))
    had = with_claims(first, email="a@example.com", email_verified=True)
    token = refreshed_token(**{"email": "a@example.com", **changes})
    new = renewed(APP, had, answer(id_token=token), key_set(), LATER)
    assert new.claims.values.get("email_verified") == confirmed


def test_a_session_of_an_older_release_loses_at_its_next_refresh_what_its_id_token_no_longer_has():
    had = with_claims(FIRST, groups=["admins"], old="from an earlier ID token")
    new = renewed(APP, had, answer(id_token=refreshed_token(groups=None)), key_set(), LATER)
    assert "groups" not in new.claims.values and new.claims.values["old"]


def test_claims_that_newer_userinfo_no_longer_has_are_gone_and_those_of_the_id_token_stay():
    had = with_claims(
        FIRST, groups=["of UserInfo"], team="red", email="a@example.com", email_verified=True
    )
    said = UserInfo("application/json", b'{"sub":"alice","name":"New","iss":"x"}')
    for app, kept in (
        (
            APP,
            {
                "sub": "alice",
                "groups": ["admins", "dev"],
                "email": "alice@example.com",
                "email_verified": True,
                "name": "New",
            },
        ),
        (KEEPS, {**had.claims.values, "name": "New"}),
    ):
        assert looked_up(app, had, said, key_set()).claims.values == kept


@pytest.mark.parametrize(
    ("signer", "error"), [(Signer("RS256", "2"), UnknownKey), (Signer("ES256"), InvalidIDToken)]
)
def test_its_signature_too(signer, error):
    token = signer.sign(id_token_claims(nonce=None, iat=LATER, exp=LATER + 300))
    with pytest.raises(error):
        renewed(APP, SESSION, answer(id_token=token), key_set(), LATER)


def refreshed(**changes):
    token = Signer().sign(id_token_claims(**changes))
    return renewed(
        APP,
        replace(session(), auth_time=NOW),
        RefreshResponse("at2", token, None, 60),
        key_set(),
        NOW,
    )


def test_the_log_names_what_is_wrong_with_the_id_token_of_a_refresh():
    assert raised(lambda: refreshed(sub=EVIL))[1] == "sub is not the user who signed in"
    assert raised(lambda: refreshed(auth_time=NOW - 1))[1] == "auth_time is before the login"


def test_a_refresh_takes_over_how_the_user_signed_in_and_keeps_what_is_not_said_again():
    had = replace(session(), acr="gold", amr=("pwd",), id_token=Signer().sign(id_token_claims()))
    for changes, acr, amr in (
        ({}, "gold", ("pwd",)),
        ({"acr": "silver", "amr": ["otp"]}, "silver", ("otp",)),
    ):
        token = Signer().sign(id_token_claims(**changes))
        new = renewed(APP, had, RefreshResponse("at2", token, None, 60), key_set(), NOW)
        assert (new.acr, new.amr, new.id_token) == (acr, amr, token)


@pytest.mark.parametrize(
    "demanding",
    [
        replace(APP, demand=Demand(acr_values=("gold",))),
        replace(APP, access=Access("app", (Entry(acr_values=("gold",)),), (), "digest")),
        replace(
            APP,
            access=Access("app", (), (Rule("x", allow=(Entry(acr_values=("gold",)),)),), "digest"),
        ),
    ],
)
def test_a_refresh_raises_no_session_to_what_is_demanded_of_a_login(demanding):
    had = replace(session(), acr="silver", amr=("pwd",), id_token=Signer().sign(id_token_claims()))
    for acr, kept in (("gold", "silver"), ("bronze", "bronze")):
        token = Signer().sign(id_token_claims(acr=acr, amr=["otp"]))
        new = renewed(demanding, had, RefreshResponse("at2", token, None, 60), key_set(), NOW)
        assert (new.acr, new.amr) == (kept, ("pwd",) if kept == "silver" else ("otp",))
    strong = replace(had, acr="gold")
    token = Signer().sign(id_token_claims(acr="gold"))
    new = renewed(demanding, strong, RefreshResponse("at2", token, None, 60), key_set(), NOW)
    assert new.acr == "gold"


OLD = Session(
    SessionId.of(b"s" * 32), ISSUER, "alice", Claims({"sub": "alice", "email": "old@example.com"}), "no.token", "at", "rt",
    NOW + 300, NOW, NOW + 43_200, NOW,
)  # fmt: skip


def test_userinfo_asked_for_at_a_refresh_says_what_is_new_and_is_of_the_same_user():
    said = UserInfo("application/json", b'{"sub":"alice","email":"new@example.com"}')
    assert looked_up(APP, OLD, said, key_set()).claims.values == {
        "sub": "alice",
        "email": "new@example.com",
    }
    with pytest.raises(SubjectMismatch):
        looked_up(APP, OLD, UserInfo("application/json", b'{"sub":"bob"}'), key_set())
    with pytest.raises(InvalidUserInfo):
        looked_up(APP, OLD, UserInfo("application/json", b"[]"), key_set())


@pytest.mark.parametrize("kept", ["none", "a.!.c", "a.bm8.c", "a.W10.c"])
def test_a_kept_id_token_that_cannot_be_read_has_no_nonce_to_compare(kept):
    """It was verified when it came; the new one is checked in full."""
    again = Signer().sign(id_token_claims(nonce="of another login", iat=NOW, exp=NOW + 300))
    answer = RefreshResponse("at2", again, "rt2", 300)
    assert renewed(APP, replace(OLD, id_token=kept), answer, key_set(), NOW).id_token == again
