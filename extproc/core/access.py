"""Access: which users may make a request, by the settings `allow` and `rules` of an application.

The rules, in the order in which they apply:

1. The first rule whose paths and methods match a request decides. Where no rule matches, `allow` of
   the application alone decides. A path that some rule names is never left to `allow` because of
   its method: then the answer is 405.
2. `allow` of the application holds for each of its rules that looks at the user.
3. Of the entries of an `allow` one has to hold; of an entry all keys; of a key one of its values.
   A claim that is absent or of another type matches nothing, and an expression that cannot be
   evaluated does not hold. No entries: everybody who signed in.
4. A condition of the deciding rule that fails refuses the request. It never passes the request on
   to the next rule.
5. A rule in shadow mode decides nothing: it is evaluated beside the deciding one, for the log.

Envoy chooses the rule by its routes (envoyconfig/rules.py), and the processor is given its name.
`match` chooses in the same way, for what has no routes of ours. A property test compares the two.

A signed-in request needs no processor if its assertion has the audience of its rule. The processor
mints one for each rule that the session satisfies until the assertion ends. An audience holds a
digest of all that the settings say about access to the application, so an assertion that was minted
by other rules is worth nothing.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from extproc.core.access_conditions import (
    Entries,
    Facts,
    Missing,
    claims_of,
    held_by,
    holds_until,
    missing,
)
from extproc.core.access_rules import DEFAULT, METHODS, Match, Rule
from extproc.core.encoding import b64encode
from extproc.core.expression import Expression, holding
from extproc.core.oidc.claims import Claims
from extproc.core.step_up import Demand

# bytes of the digest in an audience, of which nothing has to be kept secret
_AUDIENCE_BYTES = 12


@dataclass(frozen=True)
class Access:
    """Access to one application.

    Attributes:
        allow: who may use the application at all; no entries: everybody who signed in.
        rules: in their order.
        digest: of everything that the settings say about access; "" where they say nothing.
        application: the name of the application.
    """

    application: str = ""
    allow: Entries = ()
    rules: tuple[Rule, ...] = ()
    digest: str = ""

    @cached_property
    def _entries(self) -> Entries:
        """The entries of every `allow`."""
        return (*self.allow, *(entry for rule in self.rules for entry in rule.allow))

    @cached_property
    def _expressions(self) -> tuple[Expression, ...]:
        """Each expression once, in their order."""
        each = (entry.expression for entry in self._entries if entry.expression is not None)
        return tuple(dict.fromkeys(each))

    def holding(self, claims: Claims) -> frozenset[str]:
        """The texts of the expressions that hold for a user's claims."""
        return holding(self._expressions, claims.values)

    @cached_property
    def acr_demands(self) -> tuple[tuple[str, ...], ...]:
        """Every list of acr values of which a login must have one."""
        return tuple(entry.acr_values for entry in self._entries if entry.acr_values)

    def claims_asked(self, groups_claim: str) -> frozenset[str]:
        """The claims that conditions are about, by name or path.

        groups_claim: the claim with the groups.
        """
        return claims_of(self._entries, groups_claim)

    def aging_claims(self, groups_claim: str) -> frozenset[str]:
        """The claims that the conditions of rules with max_claims_age are about, and those of
        `allow` of the application, which hold for them too.

        groups_claim: the claim with the groups.
        """
        aging = [rule for rule in self.rules if rule.max_claims_age is not None]
        entries = (*self.allow, *(entry for rule in aging for entry in rule.allow))
        return claims_of(entries, groups_claim)

    @cached_property
    def scopes(self) -> tuple[str, ...]:
        """Every scope that a condition is about, in alphabetical order."""
        scopes = (each for entry in self._entries for several in entry.scopes for each in several)
        return tuple(sorted(set(scopes)))

    @cached_property
    def asks_email(self) -> bool:
        """Whether a condition is about the user's email address."""
        return any(
            entry.emails is not None or entry.email_domains is not None for entry in self._entries
        )

    @cached_property
    def asks_claims_age(self) -> bool:
        """Whether a rule asks how old the claims are."""
        return any(rule.max_claims_age is not None for rule in self.rules)

    @cached_property
    def _by_name(self) -> Mapping[str, Rule]:
        return {rule.name: rule for rule in (DEFAULT, *self.rules)}

    def rule(self, name: str) -> Rule | None:
        """The rule of this name, DEFAULT for ""; None if there is none."""
        return self._by_name.get(name)

    def match(self, path: str, method: str) -> Match:
        """The rule that decides a request, by its path as Envoy normalised it and its method."""
        named = [rule for rule in self.rules if rule.names(path)]
        shadow = next((rule for rule in named if rule.shadow and rule.takes(method)), None)
        deciding = [rule for rule in named if not rule.shadow]
        if method not in METHODS and any(not rule.shadow for rule in self.rules):
            return Match(None)
        rule = next((rule for rule in deciding if rule.takes(method)), None)
        if rule is None and deciding:
            return Match(None)
        return Match(rule or DEFAULT, shadow)

    def missing(self, rule: Rule, facts: Facts, now: int) -> Missing | None:
        """Why a signed-in user may not make a request that a rule decides; None if they may."""
        prefix = f"rules.{rule.name}."
        if rule.deny:
            return Missing(f"{prefix}deny")
        if rule.max_claims_age is not None and now >= facts.claims_at + rule.max_claims_age:
            # Fresh claims may satisfy what the old ones do not.
            return Missing(f"{prefix}max_claims_age", Demand(), stale=True)
        of_both = ((self.allow, "allow"), (rule.allow, f"{prefix}allow"))
        found = [missing(entries, name, facts, now) for entries, name in of_both]
        failed = [each for each in found if each is not None]
        if not failed:
            return None
        # A login helps only where it would satisfy both.
        hopeless = next((each for each in failed if each.demand is None), None)
        held = [held_by(entries, facts, now) for entries, _ in of_both]
        return hopeless or _joined(failed, [demand for demand in held if demand is not None])

    def login_demand(self, rule: Rule) -> Demand | None:
        """What every login has to meet that a rule admits; None if that is nothing, or if it
        depends on the user.
        """
        demand: Demand | None = Demand()
        for entries in (self.allow, rule.allow):
            if demand is not None and len({entry.demand for entry in entries}) == 1:
                demand = demand.joined(entries[0].demand)
        return demand if demand != Demand() else None

    def audience(self, rule: str, shadow: str = "") -> str:
        """What an assertion has to name in `aud`, so that Envoy admits a request of a rule.

        Rules that ask the same of a user have the same audience, so that an assertion stays short
        where there are many rules. It is the name of the application where the settings say nothing
        about access. It has neither a slash nor a colon, because jwt_authn cuts `https://` and a
        slash at the end from audiences.

        Args:
            rule: the deciding rule, "" for DEFAULT.
            shadow: the shadow rule beside it, or "".
        """
        if not self.digest:
            return self.application
        asked = [self._asked(rule), *([self._asked(shadow)] if shadow else [])]
        text = "\n".join((self.application, self.digest, *asked))
        return b64encode(hashlib.sha256(text.encode()).digest()[:_AUDIENCE_BYTES])

    def _asked(self, name: str) -> str:
        """The first rule that asks the same of a user as this one."""
        rule = self._by_name[name]
        return next(each.name for each in (DEFAULT, *self.rules) if each.asks_as(rule))

    @cached_property
    def audiences(self) -> tuple[tuple[str, str, str], ...]:
        """Every audience, as (rule, shadow rule or "", audience)."""
        deciding = (DEFAULT, *(rule for rule in self.rules if not rule.shadow))
        beside = ("", *(rule.name for rule in self.rules if rule.shadow))
        return tuple(
            (rule.name, shadow, self.audience(rule.name, shadow))
            for rule in deciding
            if not rule.deny and rule.login != "none" and rule.accepts_session
            for shadow in beside
            if not shadow or rule.meets(self._by_name[shadow])
        )

    def granted(self, facts: Facts, now: int, until: int) -> tuple[str, ...]:
        """The audiences of the rules that a user satisfies, from now until the assertion ends.

        Args:
            facts: the user.
            now: seconds since the epoch.
            until: the end of the assertion, in seconds since the epoch.
        """
        held = {rule.name: self._holds(rule, facts, now, until) for rule in (DEFAULT, *self.rules)}
        granted = (
            audience
            for rule, shadow, audience in self.audiences
            if held[rule] and (not shadow or held[shadow])
        )
        return tuple(dict.fromkeys(granted))

    def _holds(self, rule: Rule, facts: Facts, now: int, until: int) -> bool:
        if self.missing(rule, facts, now) is not None:
            return False
        ends = [holds_until(entries, facts, now) for entries in (self.allow, rule.allow) if entries]
        if rule.max_claims_age is not None:
            ends.append(facts.claims_at + rule.max_claims_age)
        return all(end is None or until <= end for end in ends)


def _joined(failed: list[Missing], held: list[Demand]) -> Missing:
    """The login that satisfies all of them, if there is one; each of them has a demand.

    held: what the user has met already, and has to meet after the login as well. Otherwise two
        demands could send a browser back and forth.
    """
    demand: Demand | None = Demand()
    for more in (*(each.demand or Demand() for each in failed), *held):
        demand = demand.joined(more) if demand is not None else None
    return Missing(failed[0].key, demand)


# access where the settings say nothing about it
EVERYBODY = Access()
