"""Access as a value of the core."""

from harness.envoy_config import APP, simple
from harness.ruled import certified

from extproc.core.access import EVERYBODY
from extproc.core.access_conditions import Entry
from extproc.settings.domain_access import access

RULES = [
    {
        "name": "admin",
        "paths": ["/admin/"],
        "methods": ["GET"],
        "allow": [{"groups": ["admins"], "max_age": "15m"}, {"acr_values": ["gold"]}],
        "max_claims_age": "5m",
    },
    {"name": "in", "paths": ["/in"], "login": "optional", "networks": ["10.0.0.0/8"]},
    {"name": "no", "paths": ["/no"], "deny": True},
    {"name": "tried", "paths": ["/t"], "mode": "shadow"},
]


def test_entries_are_in_the_form_in_which_they_are_compared() -> None:
    allow = {
        "users": ["u"],
        "emails": ["Alice@Example.com"],
        "email_domains": ["BÜCHER.example"],
        "unverified_email": True,
        "claims": {"a.b": ["x", 1, True]},
        "providers": ["main"],
    }
    (entry,) = access(simple(applications={"app": {**APP, "allow": allow}}), "app").allow
    assert entry == Entry(
        users=frozenset(("u",)),
        emails=frozenset((("alice", "example.com"),)),
        email_domains=frozenset(("xn--bcher-kva.example",)),
        unverified_email=True,
        claims=(("a.b", ("x", 1, True)),),
        issuers=frozenset(("https://idp.example",)),
    )


def test_rules_keep_their_order_and_their_keys() -> None:
    made = access(simple(applications={"app": {**APP, "rules": RULES}}), "app")
    admin, inside, closed, tried = made.rules
    assert (admin.paths, admin.methods, admin.max_claims_age) == (("/admin/",), ("GET",), 300)
    assert admin.allow == (
        Entry(groups=frozenset(("admins",)), max_age=900),
        Entry(acr_values=("gold",)),
    )
    assert (inside.login, inside.networks) == ("optional", True)
    assert not any(each.client_certificate for each in made.rules)
    assert (closed.deny, tried.shadow, closed.shadow) == (True, True, False)
    assert made.application == "app" and made.digest


def test_a_rule_knows_that_envoy_looks_at_a_certificate() -> None:
    asking = {"name": "in", "paths": ["/in"], "client_certificate": {"sans": ["a"]}}
    (rule,) = access(certified(asking), "app").rules
    assert rule.client_certificate


def test_without_a_word_about_access_there_is_no_digest() -> None:
    made = access(simple(), "app")
    assert (made.allow, made.rules, made.digest) == (EVERYBODY.allow, EVERYBODY.rules, "")
    assert made.audience("") == "app"
