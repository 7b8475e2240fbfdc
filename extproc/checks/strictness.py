"""Compares two rules: what the one asks of a request that the other does not."""

from collections.abc import Collection, Mapping
from ipaddress import IPv4Network, IPv6Network

from extproc.core.access_values import Scalar
from extproc.settings import RuleSettings
from extproc.settings.allow import Allow, AllowSettings, entries_of
from extproc.settings.client_certificate import ClientCertificate

_Network = IPv4Network | IPv6Network


def opens(rule: RuleSettings, outer: RuleSettings) -> tuple[str, ...]:
    """What a rule does without, of what another rule asks for, in the words of the settings.

    A rule that asks for something else, such as another group, opens nothing by that.
    """
    if rule.deny:
        return ()
    if outer.deny:
        return ("deny",)
    without: list[str] = []
    if outer.login == "required" != rule.login:
        without.append("a login")
    elif rule.login != "none":
        without += _of_user(rule, outer)
    if outer.networks and not _within(rule.networks, outer.networks):
        without.append("networks")
    if outer.client_certificate is not None and (
        rule.client_certificate is None
        or not _implies(rule.client_certificate, outer.client_certificate)
    ):
        without.append("client_certificate")
    return tuple(without)


def _implies(certificate: ClientCertificate, outer: ClientCertificate) -> bool:
    """Whether every certificate that the one admits is one that the other admits."""
    return _among(certificate.subjects, outer.subjects) and _among(certificate.sans, outer.sans)


def _of_user(rule: RuleSettings, outer: RuleSettings) -> list[str]:
    """What a rule that looks at the user does not ask for."""
    without: list[str] = []
    if admits_all(rule.allow, outer.allow) and not admits_all(outer.allow, rule.allow):
        without.append("allow")
    else:
        if _asks_acr(outer.allow) and not _asks_acr(rule.allow):
            without.append("acr_values")
        if _asks_age(outer.allow) and not _asks_age(rule.allow):
            without.append("max_age")
    age = rule.max_claims_age
    if outer.max_claims_age is not None and (age is None or age > outer.max_claims_age):
        without.append("max_claims_age")
    return without


def _asks_acr(allow: Allow) -> bool:
    entries = entries_of(allow)
    return bool(entries) and all(entry.acr_values for entry in entries)


def _asks_age(allow: Allow) -> bool:
    entries = entries_of(allow)
    return bool(entries) and all(entry.max_age is not None for entry in entries)


def admits_all(allow: Allow, other: Allow) -> bool:
    """Whether an `allow` admits every user whom the other one admits, as far as the settings alone
    can tell.
    """
    entries, others = entries_of(allow), entries_of(other)
    if not entries:
        return True
    return bool(others) and all(any(_follows(entry, each) for entry in entries) for each in others)


def _only(value: str | None) -> tuple[str, ...] | None:
    return None if value is None else (value,)


def _follows(entry: AllowSettings, from_: AllowSettings) -> bool:
    """Whether an entry holds wherever another one holds."""
    pairs: tuple[tuple[Collection[Scalar] | None, Collection[Scalar] | None], ...] = (
        (entry.users, from_.users),
        (entry.emails, from_.emails),
        (entry.email_domains, from_.email_domains),
        (entry.groups, from_.groups),
        (entry.acr_values, from_.acr_values),
        (_only(entry.expression), _only(from_.expression)),
        (entry.providers, from_.providers),
    )
    asks_address = entry.emails is not None or entry.email_domains is not None
    if asks_address and from_.unverified_email and not entry.unverified_email:
        return False
    if entry.max_age is not None and (from_.max_age is None or from_.max_age > entry.max_age):
        return False
    return all(_among(values, wanted) for wanted, values in pairs) and _claims_follow(
        entry.claims or {}, from_.claims or {}
    )


def _claims_follow(
    wanted: Mapping[str, Collection[Scalar]], values: Mapping[str, Collection[Scalar]]
) -> bool:
    return all(_among(values.get(claim), those) for claim, those in wanted.items())


def _among(values: Collection[Scalar] | None, wanted: Collection[Scalar] | None) -> bool:
    """Whether a user with one of the values has one of the wanted ones; None asks for nothing."""
    if wanted is None:
        return True
    # True equals 1 in Python, and is another value of a claim.
    kinds = {(type(each), each) for each in wanted}
    return values is not None and all((type(each), each) in kinds for each in values)


def _within(networks: Collection[_Network], outer: Collection[_Network]) -> bool:
    """Whether a rule has networks, and each is inside one of the outer rule's."""
    return bool(networks) and all(any(_inside(each, one) for one in outer) for each in networks)


def _inside(network: _Network, outer: _Network) -> bool:
    if isinstance(network, IPv4Network) and isinstance(outer, IPv4Network):
        return network.subnet_of(outer)
    if isinstance(network, IPv6Network) and isinstance(outer, IPv6Network):
        return network.subnet_of(outer)
    return False
