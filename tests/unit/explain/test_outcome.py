"""What requests of users come to, by a rule of each kind."""

from typing import Any

import pytest
from harness.envoy_config import APP, simple
from harness.ruled import ALICE, BOB, EVE, application, ruled

from extproc.core.session_access import facts
from extproc.explain.outcome import Judge, Outcome, User, session_of
from extproc.explain.sample import SampleRequest

NOW = 1_800_000_000
SCRIPT = (("accept", "application/json"),)
PAGE = (("origin", "https://other.test"), ("sec-fetch-mode", "cors"))


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(ruled(), NOW)


def user(claims: dict[str, Any] | None, **ages: Any) -> User | None:
    return None if claims is None else User(claims, **ages)


ROWS: list[tuple[str, str, User | None, str | int | None, str, bool]] = [
    ("GET", "/", user(ALICE), "allow", "", True),
    ("GET", "/", user(EVE), 403, "", False),
    ("GET", "/", None, "login", "", False),
    ("GET", "/admin/", user(ALICE), "allow", "admin", True),
    ("GET", "/admin", user({**ALICE, "acr": "pwd"}), "step_up", "admin", False),
    ("POST", "/admin/x", user({**ALICE, "acr": "pwd"}), "step_up", "admin", False),
    ("GET", "/admin/", user(BOB), 403, "admin", False),
    ("GET", "/ADMIN/", user(ALICE), 400, "", False),
    ("GET", "/x/../admin/", user(BOB), 403, "admin", False),
    ("GET", "/api/x", user(BOB), "allow", "read", True),
    ("HEAD", "/api/x", user(BOB), "allow", "read", True),
    ("GET", "/api/x", user(BOB, claims_age=900), "step_up", "read", False),
    ("POST", "/api/x", user(BOB), 405, "", False),
    ("get", "/", user(BOB), 405, "", False),
    ("GET", "/docs/", None, "allow", "docs", False),
    ("GET", "/docs/", user(BOB), "allow", "docs", True),
    ("GET", "/docs/", user(EVE), "allow", "docs", False),
    ("GET", "/metrics/x", user(ALICE), 403, "metrics", False),
    ("GET", "/fresh/", user(BOB), "allow", "fresh", True),
    ("GET", "/fresh/", user(BOB, auth_age=700), "step_up", "fresh", False),
    ("GET", "/fresh/", user(BOB, auth_age=None), "step_up", "fresh", False),
    ("GET", "/fresh/", user(ALICE, auth_age=None), "allow", "fresh", True),
    ("GET", "/public/x", None, "allow", "", False),
    ("GET", "/public/x", user(EVE), "allow", "", False),
    ("GET", "/assets/x", None, "allow", "", False),
    ("GET", "/oauth2/nope", None, 404, "", False),
    ("GET", "/oauth2/login", None, "login", "", False),
    ("GET", "http://other.test/", None, 421, "", False),
]


@pytest.mark.parametrize(("method", "path", "who", "expected", "rule", "identity"), ROWS)
def test_a_request_comes_to_what_its_rule_says(
    judge: Judge,
    method: str,
    path: str,
    who: User | None,
    expected: str | int,
    rule: str,
    identity: bool,
) -> None:
    got = judge.outcome(SampleRequest(method, path), who)
    assert expected in (got.word, got.status) and got.fault == "", got
    assert (got.rule, got.identity) == (rule, identity)


def test_a_script_gets_the_same_words_with_another_status(judge: Judge) -> None:
    login = judge.outcome(SampleRequest("GET", "/", SCRIPT))
    step_up = judge.outcome(SampleRequest("GET", "/api/", SCRIPT), User(BOB, claims_age=9000))
    assert (login.word, login.status) == ("login", 401)
    assert (step_up.word, step_up.status) == ("step_up", 401)


def test_the_conditions_that_keep_a_user_out_are_named_without_the_user_s_values(
    judge: Judge,
) -> None:
    refused = judge.outcome(SampleRequest("GET", "/admin/"), User(EVE))
    assert refused.why == (
        "allow.groups does not hold (staff)",
        "rules.admin.allow.groups does not hold (admins)",
        "rules.admin.allow.acr_values does not hold (mfa)",
    )
    assert "CANARY" not in str(refused)
    denied = judge.outcome(SampleRequest("GET", "/metrics"), User(ALICE))
    assert denied.why == ("applications.app.rules.metrics has deny: true",)


def test_the_rule_in_shadow_mode_is_named_and_refuses_nobody(judge: Judge) -> None:
    for path, rule in (("/new/", ""), ("/docs/old/x", "docs")):
        got = judge.outcome(SampleRequest("GET", path), User(BOB))
        assert (got.word, got.rule, got.shadow) == ("allow", rule, "tried")


def test_what_envoy_refuses_before_it_has_a_route_is_named(judge: Judge) -> None:
    got = judge.outcome(SampleRequest("GET", "/", (("x_y", "1"),)))
    assert got.status == 400 and "underscore" in got.text


def test_a_live_stream_is_decided_by_the_rule_of_its_path(judge: Judge) -> None:
    upgrade = (("upgrade", "websocket"), ("sec-fetch-mode", "websocket"))
    got = judge.outcome(SampleRequest("GET", "/admin/", upgrade), User(BOB))
    assert (got.status, got.rule, got.fault) == (403, "admin", "")


def test_a_preflight_is_answered_by_envoy_where_its_origin_is_listed() -> None:
    listed = Judge(ruled(cors={"origins": ["https://other.test"]}), NOW)
    asks = (*PAGE, ("access-control-request-method", "GET"))
    assert listed.outcome(SampleRequest("OPTIONS", "/admin/", asks)) == Outcome(
        "200 by Envoy's answer to a preflight", status=200
    )
    passing = Judge(ruled(preflight="pass"), NOW)
    got = passing.outcome(SampleRequest("OPTIONS", "/api/", asks))
    assert (got.word, got.identity, got.fault) == ("allow", False, "")


def test_without_rules_every_user_who_signed_in_is_let_in() -> None:
    made = Judge(simple(), NOW)
    got = made.outcome(SampleRequest("GET", "/"), User({"sub": "x"}))
    assert (got.word, got.identity, got.rule, got.fault) == ("allow", True, "", "")


def test_a_login_that_the_application_itself_finds_too_weak_is_a_step_up_and_no_fault() -> None:
    for app in ({"acr_values": ["mfa"]}, {"max_age": "10m"}):
        judge = Judge(simple(applications={"app": {**APP, **app}}), NOW)
        weak = judge.outcome(SampleRequest("GET", "/"), User(BOB, auth_age=700))
        strong = judge.outcome(SampleRequest("GET", "/"), User({**BOB, "acr": "mfa"}))
        assert (weak.word, weak.fault, strong.word) == ("step_up", "", "allow")


def test_the_session_of_a_user_has_the_facts_of_a_login() -> None:
    app = application(ruled())
    claims = {**ALICE, "nonce": "n", "email": "a@x.test"}
    session = session_of(app, User(claims, auth_age=70, claims_age=80), NOW)
    found = facts(app, session)
    assert (found.subject, found.acr) == ("alice", "mfa")
    assert (found.auth_time, found.claims_at) == (NOW - 70, NOW - 80)
    assert found.groups == {"staff", "admins"} and not found.email_is_verified
    # The processor keeps no claim about a token or a login.
    assert set(session.claims.values) == {"sub", "groups", "email"}
    assert session.refresh_token is None and session.fresh(app, NOW)
    assert session_of(app, User(BOB, auth_age=None), NOW).auth_time is None
