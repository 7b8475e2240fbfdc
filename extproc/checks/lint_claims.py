"""Says how long a user keeps what a claim opened that the provider has taken away, and warns of
settings of claims that nothing reads, and of users whom an application cannot tell apart.
"""

from collections.abc import Iterator

from extproc.checks.findings import Finding, ok, warning
from extproc.envoyconfig.filters.jwt_authn import asserted
from extproc.settings import ApplicationSettings, Settings
from extproc.settings.allow import Allow, AllowSettings, entries_of

_UNITS = (("d", 86_400), ("h", 3600), ("m", 60))  # seconds


def lint_claims(settings: Settings) -> Iterator[Finding]:
    """Findings about the claims that applications get, and that `allow` of them and rules reads."""
    for name in settings.protected:
        yield from _lost(settings, name)
        yield from _whose(settings, name)
    yield from _unread(settings)


def asks_groups(settings: Settings, provider: str) -> bool:
    """Whether an `allow` names groups of a provider's users."""
    return any(
        entry.groups
        for name in settings.protected
        if settings.applications[name].provider == provider
        for allow in _allows(settings.applications[name])
        for entry in entries_of(allow)
    )


def _allows(application: ApplicationSettings) -> Iterator[Allow]:
    yield application.allow
    for rule in application.rules:
        yield rule.allow


def _lost(settings: Settings, name: str) -> Iterator[Finding]:
    """The longest time for which an application lets in a user who has lost a group or another
    claim: until the claims are renewed, and until Envoy no longer accepts the last assertion.
    """
    application, session = settings.applications[name], settings.session_at(name)
    rules = [rule for rule in application.rules if rule.mode == "enforce"]
    ages = {
        rule.name: rule.max_claims_age for rule in rules if rule.max_claims_age and not rule.deny
    }
    unbounded = _may_change(application.allow) or any(
        _may_change(rule.allow) for rule in rules if rule.name not in ages
    )
    aged = ", ".join(f"{rule} {written(age)}" for rule, age in ages.items())
    part = f"applications.{name}.{'allow' if application.allow else 'rules'}"
    if not unbounded:
        if aged:
            yield ok(part, f"a user who loses a group keeps what it opens for: {aged}")
        return
    but = f"; where max_claims_age says so: {aged}" if aged else ""
    if session.refresh == "never":
        yield warning(
            part,
            "a user who loses a group keeps what it opens until the session ends, "
            f"{written(session.lifetime)} after the login, because session.refresh is never{but}",
            "set session.refresh to auto, or max_claims_age in rules",
        )
        return
    more = settings.identity.assertion_lifetime if name in asserted(settings) else 0
    yield ok(
        part,
        "a user who loses a group keeps what it opens until the tokens are renewed, which is "
        f"before each access token ends, and {written(more)} more; {written(session.lifetime)} at "
        f"the longest, if the provider {_not_renewed(settings, str(application.provider))}{but}",
    )


def _whose(settings: Settings, name: str) -> Iterator[Finding]:
    """A warning of users of several issuers whom the application cannot tell apart."""
    application, accepted = settings.applications[name], settings.accepted.get(name)
    named = [application.provider, *(accepted.providers if accepted is not None else ())]
    issuers = {settings.providers[each].issuer for each in named if each is not None}
    if len(issuers) > 1 and "iss" not in settings.identity_headers(name).values():
        yield warning(
            f"applications.{name}.bearer.providers",
            "users of several issuers come with the same headers, and two of them may have the "
            "same sub, or the same address",
            "map iss, such as x-auth-issuer: iss in identity.headers, and let the application "
            "know its users by both",
        )


def _not_renewed(settings: Settings, provider: str) -> str:
    """What a provider does where claims stay as they were at the login."""
    reasons = ["issues no refresh token", "sends no ID token with renewed tokens"]
    if settings.providers[provider].claims_at_refresh == "keep":
        reasons.append(f"leaves the claim out (providers.{provider}.claims_at_refresh: keep)")
    if settings.providers[provider].userinfo == "login":
        reasons.append(f"names groups in UserInfo alone (providers.{provider}.userinfo: refresh)")
    *others, last = reasons
    return f"{', '.join(others)}, or {last}"


def _may_change(allow: Allow) -> bool:
    """Whether an `allow` reads what a provider may take away from a user."""
    return any(_reads_claims(entry) for entry in entries_of(allow))


def _reads_claims(entry: AllowSettings) -> bool:
    return bool(
        entry.groups or entry.claims or entry.expression or entry.emails or entry.email_domains
    )


def written(seconds: float) -> str:
    """A duration as the settings have it, in the largest unit of which it is a whole number."""
    for unit, size in _UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def _unread(settings: Settings) -> Iterator[Finding]:
    """A claim with groups that no rule reads."""
    for name, provider in settings.providers.items():
        if "groups_claim" in provider.model_fields_set and not asks_groups(settings, name):
            yield warning(
                f"providers.{name}.groups_claim",
                "is never read: allow of no application names groups of this provider's users",
                "remove it, or name groups in allow",
            )
