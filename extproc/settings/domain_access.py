"""Settings of access as values of the core: the entries of `allow`, and the rules."""

from collections.abc import Mapping

from extproc.core.access import Access
from extproc.core.access_conditions import Entries, Entry
from extproc.core.access_rules import Rule
from extproc.core.access_values import email_address, email_domain
from extproc.settings.access import RuleSettings, access_digest
from extproc.settings.allow import Allow, AllowSettings, entries_of
from extproc.settings.expression import compile_expression
from extproc.settings.root import Settings


def access(settings: Settings, name: str) -> Access:
    """Access to an application."""
    application = settings.applications[name]
    issuers = {each: provider.issuer for each, provider in settings.providers.items()}
    return Access(
        application=name,
        allow=_entries(application.allow, issuers),
        rules=tuple(_rule(rule, issuers) for rule in application.rules),
        digest=access_digest(application.allow, application.rules, application.public_paths),
    )


def _rule(rule: RuleSettings, issuers: Mapping[str, str]) -> Rule:
    return Rule(
        name=rule.name,
        paths=rule.paths,
        methods=rule.methods,
        allow=_entries(rule.allow, issuers),
        login=rule.login,
        deny=rule.deny,
        networks=bool(rule.networks),
        client_certificate=rule.client_certificate is not None,
        max_claims_age=int(rule.max_claims_age) if rule.max_claims_age is not None else None,
        shadow=rule.mode == "shadow",
        accept=rule.accept,
    )


def _entries(allow: Allow, issuers: Mapping[str, str]) -> Entries:
    return tuple(_entry(entry, issuers) for entry in entries_of(allow))


def _entry(entry: AllowSettings, issuers: Mapping[str, str]) -> Entry:
    addresses = (email_address(email) for email in entry.emails or ())
    domains = (email_domain(domain) for domain in entry.email_domains or ())
    return Entry(
        users=_set(entry.users),
        emails=None if entry.emails is None else frozenset(a for a in addresses if a is not None),
        email_domains=None if entry.email_domains is None else frozenset(d for d in domains if d),
        unverified_email=entry.unverified_email,
        groups=_set(entry.groups),
        claims=tuple((entry.claims or {}).items()),
        expression=None if entry.expression is None else compile_expression(entry.expression),
        acr_values=entry.acr_values or (),
        max_age=int(entry.max_age) if entry.max_age is not None else None,
        scopes=tuple(frozenset(scope.split(" ")) for scope in entry.scopes or ()),
        issuers=None if entry.providers is None else frozenset(issuers[p] for p in entry.providers),
    )


def _set(values: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(values)
