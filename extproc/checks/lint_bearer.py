"""Warns of settings of access tokens that do something else than they seem to."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from extproc.checks.findings import Finding, warning
from extproc.checks.known_providers import plain_tokens
from extproc.settings import ApplicationSettings, ProviderSettings, Settings
from extproc.settings.access_tokens import AccessTokenSettings
from extproc.settings.allow import Allow, entries_of

# audiences that a provider writes into tokens that are for no API at all
_OF_EVERYBODY = {"account": "Keycloak", "api://default": "Okta"}


def lint_bearer(settings: Settings) -> Iterator[Finding]:
    """Findings about providers whose access tokens count, and about applications that accept
    them.
    """
    for name, provider in settings.providers.items():
        yield from _provider(settings, name, provider)
    for name, application in settings.applications.items():
        if name in settings.accepted:
            yield from _audiences(settings, name)
            yield from _scopes(name, application)
            yield from _cors(name, application)


def _provider(settings: Settings, name: str, provider: ProviderSettings) -> Iterator[Finding]:
    part, tokens = f"providers.{name}.access_tokens", provider.access_tokens
    takers = [each for each in settings.accepted.values() if name in each.providers]
    if not takers:
        if tokens != AccessTokenSettings():
            yield warning(
                part,
                "no application accepts access tokens of this provider",
                "give a rule accept: [bearer], or name the provider in bearer.providers",
            )
        return
    if tokens.introspection is not None and not any(each.opaque == name for each in takers):
        yield warning(
            f"{part}.introspection",
            "no application has its opaque tokens introspected",
            f"set applications.NAME.bearer.opaque to {name}, or remove it",
        )
    kind = plain_tokens(provider.issuer)
    if kind and "jwt" not in (each.lower() for each in tokens.types):
        yield warning(
            f"{part}.types",
            f"access tokens of {kind} are plain JWTs unless it was set up otherwise, so each would "
            "be refused (bearer_token_type)",
            "set types and required_claims as docs/api-callers.md says for it",
        )


def _audiences(settings: Settings, name: str) -> Iterator[Finding]:
    accepted = settings.accepted[name]
    issuers = [settings.providers[each].issuer for each in accepted.providers]
    for audience in accepted.audiences:
        if audience in _OF_EVERYBODY:
            whose = _OF_EVERYBODY[audience]
        elif any(_at_provider(audience, issuer) for issuer in issuers):
            whose = "the provider"
        else:
            continue
        yield warning(
            f"applications.{name}.bearer.audiences",
            f"{whose} writes the audience {audience} into tokens of clients that asked for no API: "
            "each of them passes",
            "choose an audience that is this application's alone",
        )


def _at_provider(audience: str, issuer: str) -> bool:
    """Whether an audience is the provider itself, or an endpoint of it."""
    return f"{audience}/".startswith(f"{issuer.rstrip('/')}/") and bool(urlsplit(issuer).netloc)


def _scopes(name: str, application: ApplicationSettings) -> Iterator[Finding]:
    """Rules that look at sessions and refuse each of them, because no session has scopes."""
    for rule in application.rules:
        if "session" not in rule.accept or rule.login == "none" or rule.deny:
            continue
        if _asks_scopes(rule.allow) or _asks_scopes(application.allow):
            yield warning(
                f"applications.{name}.rules.{rule.name}.accept",
                "has session, and allow asks for scopes, which no session has: every user of a "
                "browser is refused",
                "give users an entry of their own in allow, or remove session",
            )


def _asks_scopes(allow: Allow) -> bool:
    entries = entries_of(allow)
    return bool(entries) and all(entry.scopes for entry in entries)


def _cors(name: str, application: ApplicationSettings) -> Iterator[Finding]:
    cors = application.cors
    if cors is not None and "authorization" not in (each.lower() for each in cors.headers):
        yield warning(
            f"applications.{name}.cors.headers",
            "does not list authorization, so pages of other origins can send no access token",
            "add it, if they shall",
        )
