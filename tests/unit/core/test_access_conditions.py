"""Conditions of an `allow`."""

from dataclasses import replace

import pytest
from harness.tokens import ISSUER, NOW

from extproc.core.access_conditions import Entry, Facts, claims_of, holds_until, missing
from extproc.core.oidc.claims import Claims
from extproc.core.step_up import Demand
from extproc.settings.expression import compile_expression

USER = Facts(
    subject="alice",
    issuer=ISSUER,
    claims=Claims({"email": "alice@example.com", "realm": {"roles": ["x", "y"]}, "level": 3}),
    address=("alice", "example.com"),
    email_is_verified=True,
    groups=frozenset(("staff", "admins")),
    acr="silver",
    auth_time=NOW - 100,
    claims_at=NOW - 50,
    leeway=5,
    scopes=frozenset(("read", "write")),
    holding=frozenset(("claims.level == 3",)),
)
HOLD = [
    Entry(users=frozenset(("bob", "alice"))),
    Entry(emails=frozenset((("alice", "example.com"),))),
    Entry(email_domains=frozenset(("other.example", "example.com"))),
    Entry(groups=frozenset(("admins", "none"))),
    Entry(claims=(("realm.roles", ("z", "y")), ("level", (3,)))),
    Entry(expression=compile_expression("claims.level == 3")),
    Entry(scopes=(frozenset(("none",)), frozenset(("read", "write")))),
    Entry(scopes=(frozenset(("read",)),)),
    Entry(acr_values=("gold", "silver")),
    Entry(max_age=100),
    Entry(max_age=95),
    Entry(issuers=frozenset((ISSUER,))),
]
FAIL = [
    (Entry(users=frozenset(("bob",))), "users"),
    (Entry(emails=frozenset((("bob", "example.com"),))), "emails"),
    (Entry(email_domains=frozenset(("com",))), "email_domains"),
    (Entry(groups=frozenset(("none",))), "groups"),
    (Entry(claims=(("realm.roles", ("x",)), ("level", (4,)))), "claims.level"),
    (Entry(claims=(("absent", ("x",)),)), "claims.absent"),
    (Entry(expression=compile_expression("claims.level == 4")), "expression"),
    (
        Entry(expression=compile_expression("claims.level == 4"), acr_values=("gold",)),
        "expression",
    ),
    (Entry(scopes=(frozenset(("read", "none")),)), "scopes"),
    (Entry(scopes=(frozenset(("none",)),), acr_values=("gold",)), "scopes"),
    (Entry(acr_values=("gold",)), "acr_values"),
    (Entry(max_age=94), "max_age"),
    (Entry(issuers=frozenset(("https://other.example",))), "providers"),
    (Entry(users=frozenset(("alice",)), groups=frozenset(("none",))), "groups"),
]


@pytest.mark.parametrize("entry", HOLD)
def test_a_key_holds_by_one_of_its_values(entry):
    assert entry.missing(USER, NOW) is None
    assert missing((entry,), "allow", USER, NOW) is None


@pytest.mark.parametrize(("entry", "key"), FAIL)
def test_all_keys_of_an_entry_have_to_hold(entry, key):
    assert entry.missing(USER, NOW) == key
    found = missing((entry,), "allow", USER, NOW)
    assert found is not None and found.key == f"allow.{key}"


@pytest.mark.parametrize("entry", HOLD[1:3])
def test_an_address_counts_only_if_it_is_verified_unless_the_entry_says_otherwise(entry):
    chosen = replace(USER, email_is_verified=False)
    assert entry.missing(chosen, NOW) in ("emails", "email_domains")
    assert replace(entry, unverified_email=True).missing(chosen, NOW) is None


def test_of_several_entries_one_has_to_hold():
    assert missing((FAIL[0][0], HOLD[0]), "allow", USER, NOW) is None
    assert missing((), "allow", USER, NOW) is None


@pytest.mark.parametrize(
    ("entries", "demand"),
    [
        ((Entry(acr_values=("gold",)),), Demand(acr_values=("gold",))),
        ((Entry(groups=frozenset(("none",)), max_age=60),), None),
        (
            (Entry(groups=frozenset(("none",))), Entry(acr_values=("gold",), max_age=60)),
            Demand(acr_values=("gold",), max_age=60),
        ),
        ((Entry(max_age=60), Entry(acr_values=("gold",))), Demand(max_age=60)),
        ((Entry(users=frozenset(("bob",))),), None),
    ],
)
def test_a_login_helps_where_only_acr_values_or_max_age_are_missing(entries, demand):
    found = missing(entries, "allow", USER, NOW)
    assert found is not None and found.demand == demand


@pytest.mark.parametrize(
    ("entry", "claims"),
    [
        (HOLD[0], set()),
        (HOLD[1], {"email"}),
        (HOLD[2], {"email"}),
        (HOLD[3], {"roles"}),
        (HOLD[4], {"realm.roles", "level"}),
        (HOLD[5], {"level"}),
        (Entry(acr_values=("gold",), max_age=60, issuers=frozenset((ISSUER,))), set()),
    ],
)
def test_the_claims_that_a_condition_is_about_are_named(entry, claims):
    assert claims_of((entry,), "roles") == claims_of((entry, HOLD[0]), "roles") == claims


def test_a_user_whose_auth_time_is_unknown_is_not_recent():
    assert Entry(max_age=60).missing(replace(USER, auth_time=None), NOW) == "max_age"


@pytest.mark.parametrize(
    ("entries", "until"),
    [
        ((Entry(max_age=300),), NOW + 200),
        ((Entry(max_age=300), Entry(max_age=400)), NOW + 300),
        ((Entry(max_age=300), Entry(groups=frozenset(("staff",)))), None),
        ((Entry(max_age=300), Entry(groups=frozenset(("none",)))), NOW + 200),
        ((Entry(groups=frozenset(("staff",))),), None),
    ],
)
def test_a_condition_of_time_ends_and_the_longest_entry_counts(entries, until):
    assert holds_until(entries, USER, NOW) == until
