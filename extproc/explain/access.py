"""Which rule decides a request, and which of its conditions hold, in the words of the settings.

What is shown of a user is whether a condition holds, and nothing else: the values are those of the
settings.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from extproc.core.access_conditions import Entries, Facts
from extproc.core.access_rules import Rule
from extproc.core.application import Application
from extproc.core.http import Request
from extproc.explain.route import ChosenRoute
from extproc.settings import ApplicationSettings, Settings
from extproc.settings.allow import Allow, entries_of

# values of a condition that a line shows
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: its key, the values that the settings list, and whether it holds."""

    key: str
    wanted: str
    holds: bool

    def __str__(self) -> str:
        return f"{self.key} {'holds' if self.holds else 'does not hold'} ({self.wanted})"


def of_rule(application: Application, route: ChosenRoute) -> Iterator[str]:
    """Which rule decides the requests of a route, and what it asks for beside the user."""
    access = application.access
    if not access.digest:
        return
    rule = access.rule(route.rule)
    if rule is None:
        yield f"Envoy's route names the rule {route.rule}, which these settings do not have"
        return
    if rule.name:
        methods = f" for {', '.join(rule.methods)}" if rule.methods else ""
        yield f"the rule {rule.name} decides: {', '.join(rule.paths)}{methods}{_asks(rule)}"
    elif access.rules:
        yield "no rule names the path: allow of the application decides"
    else:
        yield "allow of the application decides"
    if route.shadow:
        yield f"the rule {route.shadow}, in shadow mode, takes it as well"


def _asks(rule: Rule) -> str:
    match rule.login:
        case "optional":
            return "; a login is optional"
        case "none":
            return "; nobody has to sign in"
        case _:
            return ""


def of_client(route: ChosenRoute) -> Iterator[str]:
    """Whose requests Envoy lets in by their address and their certificate, which nothing here
    knows.
    """
    if route.networks:
        yield (
            f"Envoy answers 403 unless the client's address is in {_listed(route.networks)} "
            f"(networks of the rule {route.rule})"
        )
    if route.certificate is not None:
        asked = " and ".join(
            f"one of the {key} {_listed(values)}" for key, values in route.certificate.missing(None)
        )
        yield (
            f"Envoy answers 403 unless the client shows a certificate with {asked} "
            f"(client_certificate of the rule {route.rule})"
        )


def conditions(
    settings: Settings, application: Application, user: Facts, rule: Rule, now: int
) -> Iterator[Condition]:
    """Every condition of a rule and of `allow` of its application, and whether it holds for a user.

    Args:
        settings: the settings, which have the values.
        application: the application.
        user: the facts of the user, or of a caller's access token.
        rule: the rule.
        now: seconds since the epoch.
    """
    access, own = application.access, settings.applications[application.name]
    prefix = f"rules.{rule.name}."
    if rule.max_claims_age is not None:
        holds = now < user.claims_at + rule.max_claims_age
        yield Condition(f"{prefix}max_claims_age", f"{rule.max_claims_age} s", holds)
    yield from _entries("allow", access.allow, own.allow, user, now)
    yield from _entries(f"{prefix}allow", rule.allow, _allow_of(own, rule), user, now)


def of_conditions(
    settings: Settings, application: Application, request: Request, user: Facts, now: int
) -> Iterator[str]:
    """What the deciding rule, and the rule in shadow mode beside it, ask of the user.

    Args:
        settings: the settings.
        application: the application that the processor decides for.
        request: the request, with the names of the rules.
        user: the facts of the user, or of a caller's access token.
        now: seconds since the epoch.
    """
    names = [request.rule, *([request.shadow] if request.shadow else [])]
    found: dict[str, Condition] = {}
    for rule in map(application.access.rule, names):
        if rule is not None:
            each = conditions(settings, application, user, rule, now)
            found.update((condition.key, condition) for condition in each)
    yield from map(str, found.values())


def _allow_of(application: ApplicationSettings, rule: Rule) -> Allow:
    return next((each.allow for each in application.rules if each.name == rule.name), ())


def _entries(
    key: str, entries: Entries, written: Allow, user: Facts, now: int
) -> Iterator[Condition]:
    """The conditions of each entry of an `allow`, of which one has to hold.

    Args:
        key: its key.
        entries: as the core compares them.
        written: as the settings have them, in the same order.
        user: the facts of the user.
        now: seconds since the epoch.
    """
    of_settings = entries_of(written)
    for number, (entry, texts) in enumerate(zip(entries, of_settings, strict=True)):
        place = key if len(entries) == 1 else f"{key}[{number}]"
        values = texts.model_dump(exclude_none=True)
        for name, holds in entry.conditions(user, now):
            yield Condition(f"{place}.{name}", _wanted(values, name), holds)


def _wanted(values: Mapping[str, object], name: str) -> str:
    """The values of a condition, as the settings list them."""
    key, _, claim = name.partition(".")
    value = values[key]
    if claim and isinstance(value, Mapping):
        value = value[claim]
    if isinstance(value, str):
        return value
    return _listed(value) if isinstance(value, list | tuple) else f"{value:g} s"


def _listed(values: list[object] | tuple[object, ...]) -> str:
    shown = ", ".join(str(value) for value in values[:_SHOWN])
    more = len(values) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
