"""Which rule decides a request, and to what an assertion admits."""

import re
from dataclasses import replace

import pytest
from harness.tokens import ISSUER, NOW

from extproc.core.access import EVERYBODY, Access
from extproc.core.access_conditions import Entry, Facts, Missing
from extproc.core.access_rules import DEFAULT, Match, Rule
from extproc.core.oidc.claims import Claims
from extproc.core.step_up import Demand

USER = Facts("alice", ISSUER, Claims({}), None, True, frozenset(("staff",)), "silver", NOW, NOW)
STAFF = (Entry(groups=frozenset(("staff",))),)
ADMINS = (Entry(groups=frozenset(("admins",))),)
GOLD = (Entry(acr_values=("gold",)),)
ADMIN = Rule("admin", ("/admin/",), allow=ADMINS)
READ = Rule("read", ("/api",), ("GET",), STAFF)
WRITE = Rule("write", ("/api/",), ("POST", "PUT"), max_claims_age=600)
DEEP = Rule("deep", ("/admin/deep/",), max_claims_age=1200)
TRIED = Rule("tried", ("/admin/", "/new/"), ("GET",), ADMINS, shadow=True)
ACCESS = Access("app", STAFF, (READ, WRITE, DEEP, ADMIN, TRIED), "d1")


@pytest.mark.parametrize(
    ("path", "method", "match"),
    [
        ("/", "GET", Match(DEFAULT)),
        ("/api/x", "GET", Match(READ)),
        ("/api/x", "HEAD", Match(READ)),
        ("/api/x", "PUT", Match(WRITE)),
        ("/api", "DELETE", Match(None)),
        ("/admin/deep/x", "POST", Match(DEEP)),
        ("/admin/deep/x", "GET", Match(DEEP, TRIED)),
        ("/admin/x", "POST", Match(ADMIN)),
        ("/new/", "GET", Match(DEFAULT, TRIED)),
        ("/new/", "POST", Match(DEFAULT)),
        ("/", "get", Match(None)),
        ("/", "FROB", Match(None)),
    ],
)
def test_the_first_rule_whose_paths_and_methods_match_decides(path, method, match):
    assert ACCESS.match(path, method) == match


def test_a_rule_in_shadow_mode_closes_no_method():
    assert Access("app", (), (TRIED,), "d").match("/", "FROB") == Match(DEFAULT)


def test_a_method_that_no_rule_takes_is_refused_and_tried_by_none():
    beside = Rule("beside", ("/api/x/",), shadow=True)
    access = Access("app", (), (READ, beside), "d")
    assert access.match("/api/x", "DELETE") == Match(None)
    assert access.match("/api/x", "GET") == Match(READ, beside)


def test_without_rules_every_method_is_left_to_allow():
    assert Access("app", STAFF, (), "d").match("/x", "FROB") == Match(DEFAULT)


def test_the_claims_that_conditions_are_about_are_those_of_every_allow():
    rules = (Rule("x", allow=ADMINS), Rule("y", allow=(Entry(claims=(("level", (1,)),)),)))
    asking = Access("app", (Entry(email_domains=frozenset(("a.example",))),), rules, "d")
    assert asking.claims_asked("realm.roles") == {"realm.roles", "level", "email"}


def test_a_rule_is_found_by_its_name():
    assert ACCESS.rule("admin") is ADMIN and ACCESS.rule("") is DEFAULT
    assert ACCESS.rule("other") is None


@pytest.mark.parametrize(
    ("rule", "missing"),
    [
        (DEFAULT, None),
        (READ, None),
        (ADMIN, Missing("rules.admin.allow.groups")),
        (Rule("x", deny=True), Missing("rules.x.deny")),
        (
            Rule("x", allow=GOLD),
            Missing("rules.x.allow.acr_values", Demand(acr_values=("gold",))),
        ),
    ],
)
def test_allow_of_the_application_and_of_the_rule_have_to_hold(rule, missing):
    assert ACCESS.missing(rule, USER, NOW) == missing


def test_allow_of_the_application_holds_for_every_rule():
    stranger = replace(USER, groups=frozenset(("admins",)))
    for rule in (DEFAULT, READ, ADMIN):
        assert ACCESS.missing(rule, stranger, NOW) == Missing("allow.groups")


def test_a_login_helps_only_where_it_satisfies_both():
    both = Access("app", (Entry(max_age=60),), (), "d")
    late = replace(USER, auth_time=NOW - 1000)
    joined = Demand(acr_values=("gold",), max_age=60)
    assert both.missing(Rule("x", allow=GOLD), late, NOW) == Missing("allow.max_age", joined)
    hopeless = Missing("rules.x.allow.groups")
    assert both.missing(Rule("x", allow=ADMINS), late, NOW) == hopeless
    other = Access("app", (Entry(acr_values=("bronze",)),), (), "d")
    assert other.missing(Rule("x", allow=GOLD), USER, NOW) == Missing("allow.acr_values")


def test_two_demands_send_no_browser_back_and_forth():
    """A login that meets the rule has to keep what the application demands."""
    swinging = Access("app", (Entry(acr_values=("pwd",)),), (), "d")
    rule = Rule("x", allow=(Entry(acr_values=("mfa",)),))
    for acr in ("pwd", "mfa"):
        found = swinging.missing(rule, replace(USER, acr=acr), NOW)
        assert found is not None and found.demand is None
    both = Access("app", (Entry(acr_values=("pwd", "mfa"), max_age=600),), (), "d")
    found = both.missing(rule, replace(USER, acr="pwd"), NOW)
    assert found is not None
    assert found.demand == Demand(acr_values=("mfa",), max_age=600)


@pytest.mark.parametrize(("age", "stale"), [(59, False), (60, True)])
def test_claims_that_are_too_old_may_be_renewed(age, stale):
    rule = Rule("x", max_claims_age=60)
    found = ACCESS.missing(rule, replace(USER, claims_at=NOW - age), NOW)
    wanted = Missing("rules.x.max_claims_age", Demand(), stale=True)
    assert found == (wanted if stale else None)


def test_old_claims_come_before_what_fresh_ones_may_satisfy():
    rule = Rule("x", allow=ADMINS, max_claims_age=60)
    found = ACCESS.missing(rule, replace(USER, claims_at=NOW - 60), NOW)
    assert found is not None and found.stale


@pytest.mark.parametrize(
    ("allow", "of_rule", "demand"),
    [
        ((), (), None),
        (STAFF, GOLD, Demand(acr_values=("gold",))),
        (GOLD, (), Demand(acr_values=("gold",))),
        ((), (*GOLD, *STAFF), None),
        ((), (*GOLD, Entry(acr_values=("silver",))), None),
        ((), (*GOLD, *GOLD), Demand(acr_values=("gold",))),
        ((Entry(max_age=60),), GOLD, Demand(acr_values=("gold",), max_age=60)),
        ((Entry(acr_values=("bronze",)),), GOLD, None),
    ],
)
def test_a_login_begins_with_what_every_login_has_to_meet(allow, of_rule, demand):
    rule = Rule("x", allow=of_rule)
    assert Access("app", allow, (rule,), "d").login_demand(rule) == demand


# -- audiences -------------------------------------------------------------------------------------


def test_an_audience_is_that_of_one_rule_of_one_access_section_of_one_application():
    made = [ACCESS.audience(rule.name) for rule in (DEFAULT, READ, WRITE, DEEP, ADMIN)]
    made += [ACCESS.audience("admin", "tried"), ACCESS.audience("", "tried")]
    made += [replace(ACCESS, digest="d2").audience("admin")]
    made += [replace(ACCESS, application="app2").audience("admin")]
    assert len(set(made)) == len(made) and "app" not in made
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{16}", each) for each in made)
    assert replace(EVERYBODY, application="app").audience("") == "app"


def granted(access: Access, user: Facts = USER, until: int = NOW + 60) -> set[str]:
    audiences = access.granted(user, NOW, until)
    assert len(set(audiences)) == len(audiences)
    known = {
        access.audience(rule, shadow): f"{rule}+{shadow}" for rule, shadow, _ in access.audiences
    }
    return {known[audience] for audience in audiences}


def test_an_assertion_admits_to_every_rule_that_the_user_satisfies():
    assert granted(ACCESS) == {"+", "read+", "write+", "deep+"}
    admin = replace(USER, groups=frozenset(("staff", "admins")))
    alone = {"+", "read+", "write+", "deep+", "admin+"}
    # The paths of /api meet none of those that the rule in shadow mode takes.
    assert granted(ACCESS, admin) == alone | {"+tried", "deep+tried", "admin+tried"}
    assert granted(ACCESS, replace(USER, groups=frozenset(("admins",)))) == set()


def test_a_rule_without_a_user_has_no_audience():
    docs = Rule("docs", login="optional", allow=STAFF)
    rules = (Rule("no", deny=True), Rule("open", login="none"), docs)
    assert granted(Access("app", (), rules, "d")) == {"+", "docs+"}


def test_rules_that_ask_the_same_of_a_user_share_an_audience():
    same = Rule("same", ("/same",), ("GET",), ADMINS, login="optional")
    shadow = Rule("shade", ("/x",), allow=ADMINS, shadow=True)
    made = replace(ACCESS, rules=(*ACCESS.rules, same, shadow))
    assert made.audience("same") == made.audience("admin") != made.audience("")
    assert made.audience("", "shade") == made.audience("", "tried") != made.audience("")
    admin = replace(USER, groups=frozenset(("staff", "admins")))
    audiences = made.granted(admin, NOW, NOW + 60)
    assert len(audiences) == len(set(audiences)) == 5 + 3


@pytest.mark.parametrize(
    "rule", [Rule("x", allow=(Entry(max_age=100),)), Rule("x", max_claims_age=100)]
)
@pytest.mark.parametrize(("until", "rules"), [(NOW + 100, {"+", "x+"}), (NOW + 101, {"+"})])
def test_a_rule_that_may_fail_before_the_assertion_ends_is_not_in_it(rule, until, rules):
    assert granted(Access("app", (), (rule,), "d"), until=until) == rules
