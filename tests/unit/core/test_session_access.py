"""What a session is admitted to."""

import json
from dataclasses import replace
from typing import Any

import pytest
from harness.tokens import ISSUER, NOW, application

from extproc.core.access import Access
from extproc.core.access_conditions import Entry
from extproc.core.access_rules import DEFAULT, Rule
from extproc.core.cookies import Cookie
from extproc.core.encoding import b64decode, b64encode
from extproc.core.oidc.claims import Claims
from extproc.core.session import Session, SessionId
from extproc.core.session_access import assertion, audiences, facts, known_of, missing
from extproc.settings.expression import compile_expression

ADMIN = Rule("admin", ("/admin/",), allow=(Entry(groups=frozenset(("admins",))),))
APP = application(access=Access("app", (), (ADMIN,), "digest"), groups_claim="realm.roles")
CLAIMS = Claims({"realm": {"roles": ["admins"]}, "email": "a@b.example"})


def id_token(**claims: object) -> str:
    return f"head.{b64encode(json.dumps(claims).encode())}.signature"


SESSION = Session(
    SessionId.of(b"s" * 32),
    ISSUER,
    "alice",
    CLAIMS,
    id_token(iat=NOW - 30),
    "at",
    None,
    NOW + 300,
    NOW - 20,
    NOW + 9000,
    NOW,
    access_issued=NOW - 20,
)


def payload(cookie: Cookie) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(b64decode(cookie.value.split(".")[1]))
    return found


def test_the_facts_are_those_of_the_session():
    known = facts(APP, replace(SESSION, acr="gold", auth_time=NOW - 5))
    assert (known.subject, known.issuer, known.groups) == ("alice", ISSUER, frozenset(("admins",)))
    assert (known.acr, known.auth_time, known.email_is_verified) == ("gold", NOW - 5, False)
    assert (known.claims, known.leeway) == (CLAIMS, APP.client.clock_skew)
    assert facts(replace(APP, trust_email=True), SESSION).email_is_verified


def test_what_no_condition_is_about_is_not_looked_at():
    plain = facts(APP, replace(SESSION, id_token="no token", generation=1))
    assert (plain.address, plain.claims_at) == (None, 0)
    entry = Entry(email_domains=frozenset(("b.example",)))
    asking = replace(APP, access=Access("app", (entry,), (), "digest"))
    assert facts(asking, SESSION).address == ("a", "b.example")
    assert missing(asking, SESSION, DEFAULT, NOW) is not None
    assert missing(replace(asking, trust_email=True), SESSION, DEFAULT, NOW) is None


def test_facts_are_known_where_a_condition_may_need_them():
    assert known_of(APP, SESSION) == facts(APP, SESSION)
    assert known_of(APP, None) is None and known_of(application(), SESSION) is None


def test_facts_that_are_known_are_not_taken_again():
    known = replace(facts(APP, SESSION), groups=frozenset())
    assert missing(APP, SESSION, ADMIN, NOW) is None
    assert missing(APP, SESSION, ADMIN, NOW, known) is not None
    assert audiences(APP, SESSION, NOW, NOW + 60, known) == (APP.access.audience(""),)
    cookie = assertion(APP, SESSION, NOW, known)
    assert cookie is not None and payload(cookie)["aud"] == APP.access.audience("")


@pytest.mark.parametrize(
    ("auth_time", "now", "admitted"),
    [(NOW - 40, NOW, True), (NOW - 41, NOW, False), (NOW - 40, NOW + 1, False)],
)
def test_an_assertion_names_no_rule_that_may_fail_before_it_ends(auth_time, now, admitted):
    """The assertion lives for 60 s, and the rule for 100 s after the login."""
    recent = Rule("recent", ("/r/",), allow=(Entry(max_age=100),))
    asking = replace(APP, access=Access("app", (), (recent,), "digest"))
    session = replace(SESSION, auth_time=auth_time)
    cookie = assertion(asking, session, now)
    assert cookie is not None
    wanted = [asking.access.audience(""), *([asking.access.audience("recent")] * admitted)]
    assert payload(cookie)["aud"] == (wanted if admitted else wanted[0])
    assert missing(asking, session, recent, auth_time + 100 + 9999) is not None


def test_the_expressions_that_hold_are_among_the_facts():
    """Each is evaluated once, of whichever `allow` it is."""
    yes, no = (compile_expression(text) for text in ("has(claims.email)", "claims.absent == 1"))
    rules = tuple(
        Rule(f"r{n}", allow=(Entry(expression=each),)) for n, each in enumerate((no, yes))
    )
    asking = replace(APP, access=Access("app", (Entry(expression=yes),), rules, "digest"))
    assert facts(asking, SESSION).holding == {"has(claims.email)"}
    assert missing(asking, SESSION, DEFAULT, NOW) is None
    assert missing(asking, SESSION, rules[1], NOW) is None
    refused = missing(asking, SESSION, rules[0], NOW)
    assert refused is not None and refused.key == "rules.r0.allow.expression"
    assert refused.demand is None and asking.access.claims_asked("groups") == {"email", "absent"}


@pytest.mark.parametrize(
    ("iat", "at"),
    [
        (NOW - 30, NOW - 30),
        (NOW + 99, NOW - 20),
        *((odd, SESSION.created) for odd in (None, "x", 1e400, True)),
    ],
)
def test_after_a_refresh_claims_are_as_old_as_the_id_token_or_as_the_session(iat, at):
    asking = replace(APP, access=Access("app", (), (Rule("x", max_claims_age=60),), "digest"))
    token = id_token() if iat is None else id_token(iat=iat)
    renewed = replace(SESSION, id_token=token, generation=1)
    assert facts(asking, renewed).claims_at == at
    assert facts(asking, replace(renewed, generation=0)).claims_at == SESSION.created


def test_claims_that_the_id_token_lacks_are_as_old_as_the_session():
    rules = (replace(ADMIN, max_claims_age=60),)
    asking = replace(APP, access=Access("app", (), rules, "digest"))
    renewed = replace(SESSION, generation=1)
    assert facts(asking, renewed).claims_at == SESSION.created
    token = id_token(iat=NOW - 30, realm={"roles": ["admins"]})
    assert facts(asking, replace(renewed, id_token=token)).claims_at == NOW - 30


def test_where_the_settings_say_nothing_everybody_is_admitted():
    plain = application()
    assert missing(plain, SESSION, DEFAULT, NOW) is None
    assert audiences(plain, SESSION, NOW, NOW + 60) == ("app",)


def test_an_assertion_names_what_the_session_is_admitted_to():
    access = APP.access
    cookie = assertion(APP, SESSION, NOW)
    assert cookie is not None
    found = payload(cookie)
    assert found["aud"] == [access.audience(""), access.audience("admin")]
    assert SESSION.id.handle in found.values() and "alice" not in found.values()
    named = assertion(replace(APP, log_users="sub"), SESSION, NOW)
    assert named is not None and "alice" in payload(named).values()
    bare = assertion(APP, replace(SESSION, claims=Claims({})), NOW)
    assert bare is not None
    assert payload(bare)["aud"] == access.audience("")


def test_a_session_that_is_admitted_to_nothing_gets_no_assertion():
    closed = replace(APP, access=Access("app", (Entry(users=frozenset(("bob",))),), (), "digest"))
    assert assertion(closed, SESSION, NOW) is None
