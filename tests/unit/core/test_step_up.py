"""What an application demands of a login, as tables: what is asked, what comes back, and what a
session is still good for.
"""

import base64
import json
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
from harness.refusals import EVIL, raised
from harness.tokens import (
    ISSUER,
    METADATA,
    NOW,
    Signer,
    application,
    client,
    id_token_claims,
    key_set,
    pending,
    request,
)

from extproc.core.decide import decide
from extproc.core.decisions import Continue, EndSession, Respond, StartLogin
from extproc.core.errors import (
    AcrNotSatisfied,
    AuthTimeTooOld,
    InsufficientAuthentication,
    LoginRequired,
    Refusal,
)
from extproc.core.establish import establish
from extproc.core.login import authorization_url
from extproc.core.oidc.claims import Claims
from extproc.core.oidc.id_token import verify_id_token
from extproc.core.oidc.token import TokenResponse
from extproc.core.provider_errors import InvalidIDToken
from extproc.core.refusals import respond
from extproc.core.session import Session, SessionId
from extproc.core.session_record import dump, load
from extproc.core.step_up import Demand

SKEW = 60
DEMAND = Demand(("gold", "silver"), 600, "login", (("ui_locales", "fr de"), ("kc_idp_hint", "a&b")))
APP = application(demand=DEMAND)
SESSION = Session(
    SessionId.of(b"s" * 32), ISSUER, "alice", Claims({"sub": "alice"}), "idt", "at", "rt", NOW + 43_200, NOW, NOW + 43_200, NOW,
    auth_time=NOW, acr="silver", amr=("pwd", "otp"),
)  # fmt: skip
WEAK = replace(SESSION, acr="bronze")
COOKIES = "__Host-extproc-session-app=x; __Host-extproc-assertion-app=y"
SCRIPT = {"accept": "application/json", "sec_fetch_mode": "cors", "sec_fetch_dest": "empty"}


def asked(demand: Demand) -> dict[str, str]:
    """The parameters of the authorization request, each of which stands once."""
    pairs = parse_qsl(
        urlsplit(authorization_url(application(demand=demand), METADATA, pending())).query
    )
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def signed_in(demand: Demand, **claims: object) -> Session:
    tokens = TokenResponse.parse(
        json.dumps(
            {
                "access_token": "at",
                "token_type": "Bearer",
                "id_token": Signer().sign(id_token_claims(**claims)),
            }
        ).encode()
    )
    return establish(
        application(demand=demand), pending(), tokens, None, key_set(), SessionId.of(b"n" * 32), NOW
    )


def test_the_authorization_request_says_what_the_application_demands():
    plain, said = asked(Demand()), asked(DEMAND)
    assert not {"acr_values", "max_age", "prompt"} & set(plain)
    assert {name: value for name, value in said.items() if name not in plain} == {
        "acr_values": "gold silver",
        "max_age": "600",
        "prompt": "login",
        "ui_locales": "fr de",
        "kc_idp_hint": "a&b",
    }
    assert plain.items() <= said.items()


@pytest.mark.attack("IDT-27")
@pytest.mark.parametrize(
    ("demand", "claims", "error"),
    [
        (Demand(), {}, None),
        (Demand(), {"auth_time": 0, "acr": "0"}, None),
        (Demand(max_age=600), {"auth_time": NOW}, None),
        (Demand(max_age=600), {"auth_time": NOW - 600 - SKEW}, None),
        (Demand(max_age=600), {"auth_time": NOW + SKEW}, None),
        (Demand(max_age=600), {}, "id_token_auth_time"),
        (Demand(max_age=600), {"auth_time": NOW - 601 - SKEW}, "auth_time_too_old"),
        (Demand(max_age=600), {"auth_time": 0}, "auth_time_too_old"),
        (Demand(max_age=600), {"auth_time": NOW + SKEW + 1}, "id_token_auth_time"),
        (Demand(max_age=600), {"auth_time": "now"}, "id_token_malformed"),
        (Demand(("gold", "silver")), {"acr": "gold"}, None),
        (Demand(("gold", "silver")), {"acr": "silver"}, None),
        (Demand(("gold", "silver")), {}, "acr_not_satisfied"),
        *[
            (Demand(("gold", "silver")), {"acr": acr}, "acr_not_satisfied")
            for acr in ("bronze", "Gold", "gold silver", "", ["gold"], 1, True)
        ],
        (DEMAND, {"auth_time": NOW, "acr": "gold"}, None),
        (DEMAND, {"acr": "gold"}, "id_token_auth_time"),
        (DEMAND, {"auth_time": NOW}, "acr_not_satisfied"),
    ],
)
def test_a_login_that_comes_back_with_less_than_was_asked_makes_no_session(demand, claims, error):
    if error is None:
        assert signed_in(demand, **claims).subject == "alice"
        return
    with pytest.raises(Refusal) as caught:
        signed_in(demand, **claims)
    assert caught.value.reason == error
    assert isinstance(caught.value, AcrNotSatisfied | AuthTimeTooOld | InvalidIDToken)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (["pwd", "otp"], ("pwd", "otp")),
        (None, ()),
        ("pwd", ()),
        ([], ()),
        (["pwd", 5, None], ("pwd",)),
    ],
)
def test_a_session_remembers_how_and_when_its_user_signed_in(said, kept):
    session = signed_in(Demand(), acr="gold", auth_time=NOW - 5, amr=said)
    assert (session.acr, session.auth_time, session.amr) == ("gold", NOW - 5, kept)
    assert load(dump(session), session.id, session.touched) == session


LESS = [
    replace(SESSION, acr="bronze"),
    replace(SESSION, acr=None),
    replace(SESSION, auth_time=None),
    replace(SESSION, auth_time=NOW - 601 - SKEW),
]


@pytest.mark.attack("IDT-27")
@pytest.mark.parametrize("session", LESS)
def test_a_navigation_with_less_than_is_demanded_goes_back_to_the_provider_and_keeps_its_session(
    session,
):
    # nothing is expired: the new session replaces this one, and a login that is given up leaves it
    # as it is
    assert decide(APP, request(cookie=COOKIES), session, NOW) == StartLogin("/wanted?a=1", ())
    assert decide(
        APP, request("/oauth2/login?return_to=/x", cookie=COOKIES), session, NOW
    ) == StartLogin("/x", ())
    moved = decide(APP, request(authority="other.example"), session, NOW)
    assert (moved.status, moved.location) == (303, "https://app.example/wanted?a=1")


@pytest.mark.parametrize("session", LESS)
@pytest.mark.parametrize("target", ["/api", "/oauth2/userinfo"])
def test_everything_else_is_told_what_is_missing(session, target):
    with pytest.raises(LoginRequired) as caught:
        decide(APP, request(target, **SCRIPT), session, NOW)
    assert isinstance(caught.value, InsufficientAuthentication)
    answer = respond(caught.value, APP, request(target, **SCRIPT))
    assert (answer.status, answer.reason, answer.cookies) == (
        401,
        "insufficient_user_authentication",
        (),
    )
    assert answer.login_url == "https://app.example/oauth2/login"
    assert (
        answer.challenge
        == 'error="insufficient_user_authentication", acr_values="gold silver", max_age="600"'
    )


def test_a_session_that_is_enough_goes_on():
    for session in (SESSION, replace(SESSION, acr="gold", auth_time=NOW - 600 - SKEW)):
        decision = decide(APP, request(**SCRIPT), session, NOW)
        assert isinstance(decision, Continue) and decision.set_headers == (("x-auth-sub", "alice"),)
    signed_in_already = decide(APP, request("/oauth2/login?return_to=/x"), SESSION, NOW)
    assert (
        isinstance(signed_in_already, Respond) and signed_in_already.reason == "already_signed_in"
    )


def test_on_a_public_path_a_login_that_is_not_enough_is_none():
    decision = decide(APP, request(public=True), WEAK, NOW)
    assert isinstance(decision, Continue)
    assert (decision.reason, decision.set_headers, decision.set_cookies) == ("public", (), ())
    assert "x-auth-sub" in decision.remove_headers


def test_a_session_that_is_not_enough_can_be_ended():
    decision = decide(APP, request("/oauth2/logout"), WEAK, NOW)
    assert isinstance(decision, EndSession) and decision.session == WEAK


def test_another_application_demands_nothing_of_the_same_session():
    assert isinstance(
        decide(application(), request(), replace(WEAK, auth_time=None), NOW), Continue
    )


def test_tokens_are_not_renewed_for_a_session_that_is_not_enough():
    renews = application(demand=DEMAND, refresh_margin=30)
    assert decide(renews, request(), replace(WEAK, access_expires=NOW), NOW) == StartLogin(
        "/wanted?a=1", ()
    )


@pytest.mark.attack("IDT-27")
@pytest.mark.parametrize(
    ("since", "life"),
    [(0, 60), (540, 60), (570, 30), (597, 3), (598, None), (600, None), (600 + SKEW, None)],
)
def test_no_assertion_outlives_max_age(since, life):
    decision = decide(APP, request(), replace(SESSION, auth_time=NOW - since), NOW)
    assert isinstance(decision, Continue)
    if life is None:
        assert (decision.set_cookies, decision.reason) == ((), "session_unasserted")
        return
    payload = decision.set_cookies[0].value.split(".")[1]
    # Envoy accepts it for two seconds more.
    assert json.loads(base64.urlsafe_b64decode(payload + "=="))["exp"] == NOW + life - 2


def id_token(keys=None, **changes):
    token = Signer().sign(id_token_claims(**changes))
    return verify_id_token(client(), token, "at", pending().nonce, keys or key_set(), NOW)


def demanded(demand: Demand, **changes):
    verified = id_token(**changes)
    demand.check(verified.acr, verified.auth_time, NOW, 60)


@pytest.mark.parametrize(
    ("call", "kind", "detail"),
    [
        (lambda: demanded(Demand(max_age=60)), InvalidIDToken, "auth_time is missing, although max_age was sent"),
        (lambda: demanded(Demand(max_age=60), auth_time=NOW + 61), InvalidIDToken, "auth_time is in the future; check both clocks"),
        (lambda: demanded(Demand(max_age=60), auth_time=NOW - 121), AuthTimeTooOld, "auth_time is older than max_age: the provider did not ask the user again"),
        (lambda: demanded(Demand(("gold",))), AcrNotSatisfied, "acr is missing"),
        (lambda: demanded(Demand(("gold",)), acr=EVIL), AcrNotSatisfied, "acr is none of acr_values"),
    ],
)  # fmt: skip
def test_the_log_names_the_demand_that_a_login_does_not_meet(call, kind, detail):
    assert raised(call) == (kind, detail)


@pytest.mark.parametrize(
    ("auth_time", "met"),
    [(NOW, True), (NOW + SKEW, True), (NOW + SKEW + 1, False), (NOW + 100_000, False), (NOW - 600 - SKEW, True), (NOW - 601 - SKEW, False), (None, False)],
)  # fmt: skip
def test_a_sign_in_of_the_future_meets_no_demand(auth_time, met):
    """Of a session that an older release kept, or whose demand came later."""
    assert Demand(max_age=600).met(None, auth_time, NOW, SKEW) == met
    assert Demand().met(None, auth_time, NOW, SKEW)
