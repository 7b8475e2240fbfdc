"""The conditions of an `allow`: what is known of a user, and which of the conditions hold."""

from collections.abc import Iterator
from dataclasses import dataclass

from extproc.core.access_values import Scalar, matches
from extproc.core.expression import Expression
from extproc.core.oidc.claims import Claims
from extproc.core.step_up import Demand

# the keys that a new login may satisfy
OF_LOGIN = frozenset(("acr_values", "max_age"))
# the key that another access token may satisfy
SCOPES = "scopes"


@dataclass(frozen=True, slots=True)
class Facts:
    """What conditions see of a signed-in user. Times are seconds since the epoch.

    Attributes:
        subject: `sub`.
        issuer: the provider that signed the user in.
        claims: the user's claims.
        address: the claim `email`, as access_values.email_address() has it; None if it is none.
        email_is_verified: whether the claim `email` counts without `unverified_email`.
        groups: the user's groups.
        acr: how the user signed in, if the provider reported it.
        auth_time: when the user authenticated at the provider, if the provider reported it.
        claims_at: when the claims were received.
        leeway: seconds by which the provider's clock may differ.
        scopes: of the access token; none of a session.
        holding: the texts of the expressions that hold for the claims, as Access.holding() finds
            them.
    """

    subject: str
    issuer: str
    claims: Claims
    address: tuple[str, str] | None
    email_is_verified: bool
    groups: frozenset[str]
    acr: str | None
    auth_time: int | None
    claims_at: int
    leeway: float = 0
    scopes: frozenset[str] = frozenset()
    holding: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an `allow`: what is set has to hold. The keys are those of the settings.

    Attributes:
        emails: local part and domain, as access_values.email_address() has them.
        email_domains: as access_values.email_domain() has them.
        claims: the values that count, by the name or path of the claim.
        max_age: seconds since the user authenticated.
        issuers: the issuers of the setting `providers`.
        scopes: sets of scopes, of which one has to be granted as a whole.
    """

    users: frozenset[str] | None = None
    emails: frozenset[tuple[str, str]] | None = None
    email_domains: frozenset[str] | None = None
    unverified_email: bool = False
    groups: frozenset[str] | None = None
    claims: tuple[tuple[str, tuple[Scalar, ...]], ...] = ()
    expression: Expression | None = None
    acr_values: tuple[str, ...] = ()
    max_age: int | None = None
    issuers: frozenset[str] | None = None
    scopes: tuple[frozenset[str], ...] = ()

    def conditions(self, facts: Facts, now: int) -> Iterator[tuple[str, bool]]:
        """Each key that is set, and whether it holds; those that a new login may change last."""
        if self.users is not None:
            yield "users", facts.subject in self.users
        if self.issuers is not None:
            yield "providers", facts.issuer in self.issuers
        if self.emails is not None or self.email_domains is not None:
            yield from self._email(facts)
        if self.groups is not None:
            yield "groups", not self.groups.isdisjoint(facts.groups)
        for claim, wanted in self.claims:
            yield f"claims.{claim}", matches(facts.claims.get(claim), wanted)
        if self.expression is not None:
            yield "expression", self.expression.text in facts.holding
        if self.scopes:
            yield SCOPES, any(wanted <= facts.scopes for wanted in self.scopes)
        if self.acr_values:
            yield "acr_values", facts.acr in self.acr_values
        if self.max_age is not None:
            recent = Demand(max_age=self.max_age)
            yield "max_age", recent.met(None, facts.auth_time, now, facts.leeway)

    def _email(self, facts: Facts) -> Iterator[tuple[str, bool]]:
        address = None
        if facts.email_is_verified or self.unverified_email:
            address = facts.address
        if self.emails is not None:
            yield "emails", address in self.emails
        if self.email_domains is not None:
            yield "email_domains", address is not None and address[1] in self.email_domains

    def missing(self, facts: Facts, now: int) -> str | None:
        """The first key that does not hold; None if all hold."""
        return next((key for key, holds in self.conditions(facts, now) if not holds), None)

    def holds_until(self, facts: Facts) -> int | None:
        """When the first condition that holds may fail, by time alone; None: never."""
        return Demand(max_age=self.max_age).not_after(facts.auth_time)

    @property
    def demand(self) -> Demand:
        """What the entry demands of a login."""
        return Demand(acr_values=self.acr_values, max_age=self.max_age)


Entries = tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a rule refuses a user.

    Attributes:
        key: the key of the settings that does not hold, such as rules.admin.allow.groups.
        demand: the login that would help, if one would.
        stale: whether fresh claims would help.
    """

    key: str
    demand: Demand | None = None
    stale: bool = False


def missing(entries: Entries, name: str, facts: Facts, now: int) -> Missing | None:
    """Why no entry holds; None if one does, or if there is none."""
    if not entries:
        return None
    failed: list[tuple[Entry, str]] = []
    for entry in entries:
        key = entry.missing(facts, now)
        if key is None:
            return None
        failed.append((entry, key))
    for entry, key in failed:
        # The keys that a login may satisfy are the last ones, so all others hold.
        if key in OF_LOGIN:
            return Missing(f"{name}.{key}", entry.demand)
    return Missing(f"{name}.{failed[0][1]}")


def claims_of(entries: Entries, groups_claim: str) -> frozenset[str]:
    """The claims that conditions are about, by name or path.

    Args:
        entries: the entries with the conditions.
        groups_claim: the claim with the groups.
    """
    named = {claim for entry in entries for claim, _ in entry.claims}
    for entry in entries:
        if entry.expression is not None:
            named |= entry.expression.claims
    if any(entry.groups is not None for entry in entries):
        named.add(groups_claim)
    if any(entry.emails is not None or entry.email_domains is not None for entry in entries):
        named.add("email")
    return frozenset(named)


def held_by(entries: Entries, facts: Facts, now: int) -> Demand | None:
    """What the first entry that holds demands of a login; None if none holds, or if there is
    none.
    """
    held = (entry for entry in entries if entry.missing(facts, now) is None)
    return next((entry.demand for entry in held), None)


def holds_until(entries: Entries, facts: Facts, now: int) -> int | None:
    """Until when one of the entries that hold now holds; None: for ever."""
    ends = [entry.holds_until(facts) for entry in entries if entry.missing(facts, now) is None]
    lasting = [end for end in ends if end is not None]
    return max(lasting) if len(lasting) == len(ends) and lasting else None
