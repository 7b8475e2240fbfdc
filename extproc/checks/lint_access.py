"""Warns of rules that do something else than they seem to: those that never decide, those that an
earlier one takes requests from, and those that open what an outer rule closes.

Which rule decides is asked of core/access.py, for one request of each kind: two paths that the same
paths of the settings cover are decided alike, and so are two methods that no rule names.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from extproc.checks.findings import Finding, warning
from extproc.checks.strictness import opens
from extproc.core.access_rules import DEFAULT, METHODS, Match, Rule, covers
from extproc.envoyconfig.virtual_hosts import served
from extproc.settings import ApplicationSettings, Settings
from extproc.settings.domain_access import access

# paths that a finding shows
_SHOWN = 3


def lint_access(settings: Settings) -> Iterator[Finding]:
    """A warning for each rule that is seldom meant as it stands."""
    for name, application in settings.applications.items():
        if application.rules:
            table = _Table(settings, name)
            yield from _never(settings, name, table)
            yield from _partly(name, table)
            yield from _openings(name, application, table)
            yield from _whole(name, application, table)
    yield from _certificates(settings)


class _Table:
    """Which rule decides each kind of request of an application."""

    def __init__(self, settings: Settings, name: str) -> None:
        application, allowed = settings.applications[name], access(settings, name)
        self.rules = allowed.rules
        named = {"HEAD", *(method for rule in self.rules for method in rule.methods)}
        # One of the others stands for all of them.
        others = [method for method in METHODS if method not in named]
        self.methods = [*(method for method in METHODS if method in named), *others[:1]]
        paths = {path.rstrip("/") for rule in self.rules for path in rule.paths}
        self.paths = sorted(paths | {application.path_prefix.rstrip("/")})
        self._cells = {
            (path, method): allowed.match(path or "/", method)
            for path in self.paths
            for method in self.methods
        }

    def match(self, path: str, method: str) -> Match:
        """What decides a request of a path of the settings."""
        return self._cells[path.rstrip("/"), method]

    def all_of(self, rule: Rule) -> list[Match]:
        """What decides the requests that a rule takes by itself, for each kind of them."""
        return [
            match
            for (path, method), match in self._cells.items()
            if rule.names(path or "/") and rule.takes(method)
        ]

    def of_path(self, rule: Rule, path: str) -> Iterator[tuple[str, Match]]:
        """The methods that a rule takes on one of its paths, and what decides them."""
        for method in self.methods:
            if rule.takes(method):
                yield method, self.match(path, method)


def _never(settings: Settings, name: str, table: _Table) -> Iterator[Finding]:
    """Rules that no request comes to."""
    for rule in table.rules:
        part = f"applications.{name}.rules.{rule.name}"
        taken = table.all_of(rule)
        if rule.shadow:
            if not any(_tries(match, rule) for match in taken):
                yield warning(
                    part,
                    "is in shadow mode and tries nothing: another shadow rule takes all of its "
                    "requests, or they are refused or open to everybody before it counts",
                    "put it before that rule, or correct its paths and methods",
                )
            continue
        if not any(match.rule is rule for match in taken):
            yield warning(
                part,
                "can never match: all of its requests are decided before it, by "
                f"{_names(match.rule for match in taken)}",
                "put it before that rule, or remove it",
            )
            continue
        yield from _inner(settings, name, rule)


def _tries(match: Match, rule: Rule) -> bool:
    """Whether a shadow rule is evaluated: beside a rule, or none, that looks at the user."""
    deciding = match.rule
    if match.shadow is not rule or deciding is None:
        return False
    return not deciding.deny and deciding.login != "none"


def _inner(settings: Settings, name: str, rule: Rule) -> Iterator[Finding]:
    """Paths of a rule that Envoy gives to another application on every host."""
    for path in rule.paths:
        hosts = settings.applications[name].hosts
        takers = dict.fromkeys(_taker(settings, host, path) for host in hosts)
        if name not in takers:
            others = " and ".join(takers)
            yield warning(
                f"applications.{name}.rules.{rule.name}.paths",
                f"{path} is a path of the application {others}, so this rule never decides it",
                f"move the rule to {others}, or remove the path",
            )


def _taker(settings: Settings, host: str, path: str) -> str:
    """The application that a path reaches on a host."""
    return next(
        name
        for name in served(settings, host)
        if covers(settings.applications[name].path_prefix, path.rstrip("/"))
    )


def _partly(name: str, table: _Table) -> Iterator[Finding]:
    """Rules of which an earlier rule takes a path, or a method that the rule names."""
    for rule in table.rules:
        if rule.shadow or not any(match.rule is rule for match in table.all_of(rule)):
            continue
        for path in rule.paths:
            taken = {method: match.rule for method, match in table.of_path(rule, path)}
            lost = {method: other for method, other in taken.items() if other is not rule}
            # A rule for all methods after rules for some is how the others are meant.
            if not lost or (len(lost) < len(taken) and not rule.methods):
                continue
            which = path if len(lost) == len(taken) else f"{', '.join(lost)} of {path}"
            yield warning(
                f"applications.{name}.rules.{rule.name}",
                f"does not decide {which}: that is decided before it, by {_names(lost.values())}",
                "put the rule for fewer requests first, or correct its paths and methods",
            )


@dataclass(frozen=True, slots=True)
class _Opening:
    """A rule, the rule above it, and what the one does without."""

    rule: str
    outer: str
    without: tuple[str, ...]


def _openings(name: str, application: ApplicationSettings, table: _Table) -> Iterator[Finding]:
    """Rules for a path below the path of another rule, which ask less than that one."""
    by_name = {rule.name: rule for rule in application.rules}
    found: dict[_Opening, list[str]] = {}
    for rule in table.rules:
        for path in rule.paths:
            for method, match in table.of_path(rule, path):
                outer = _outer(table, rule, path, method)
                if match.rule is not rule or outer is None:
                    continue
                without = opens(by_name[rule.name], by_name[outer.name])
                if without:
                    opening = _Opening(rule.name, outer.name, without)
                    found.setdefault(opening, []).append(path)
    for opening, paths in found.items():
        shown = ", ".join(list(dict.fromkeys(paths))[:_SHOWN])
        yield warning(
            f"applications.{name}.rules.{opening.rule}",
            f"opens {shown} without {' and '.join(opening.without)}, which {opening.outer} asks "
            "for on the path above",
            "ask for it in this rule, too; ignore this if the path is meant to be open",
        )


def _outer(table: _Table, rule: Rule, path: str, method: str) -> Rule | None:
    """The rule that decides the requests of the nearest path above one, by the same method."""
    own = path.rstrip("/")
    above = [each for each in table.paths if each != own and covers(each or "/", own)]
    if not above:
        return None
    outer = table.match(max(above, key=len), method).rule
    return None if outer in (None, DEFAULT, rule) else outer


def _whole(name: str, application: ApplicationSettings, table: _Table) -> Iterator[Finding]:
    """A rule without a login for every path that no other rule names."""
    by_name = {rule.name: rule for rule in application.rules}
    rest = table.match(application.path_prefix, "GET").rule
    if rest is None or rest is DEFAULT or rest.login != "none":
        return
    if by_name[rest.name].networks or by_name[rest.name].client_certificate is not None:
        return
    yield warning(
        f"applications.{name}.rules.{rest.name}.login",
        f"is none for {application.path_prefix}, so whatever no rule before it names is open "
        "without a login",
        "name the paths that are open, and leave the rest to allow of the application",
    )


def _certificates(settings: Settings) -> Iterator[Finding]:
    """Client certificates that no rule looks at, or that are a proxy's."""
    asking = [
        f"applications.{name}.rules.{rule.name}.client_certificate"
        for name, application in settings.applications.items()
        for rule in application.rules
        if rule.client_certificate is not None
    ]
    if settings.gateway.client_ca_file is not None and not asking:
        yield warning(
            "gateway.tls.client_ca_file",
            "Envoy asks every client for a certificate, and no rule has client_certificate",
            "add it to a rule, or leave client_ca_file out",
        )
    if settings.gateway.trusted_hops > 0 and asking:
        yield warning(
            asking[0],
            "gateway.trusted_hops says that proxies stand in front of Envoy: the certificate is "
            "that of the last proxy, whoever its client is, unless they pass TLS through",
            "ignore this if the rule is for the proxy; otherwise have TLS end at Envoy",
        )


def _names(rules: Iterable[Rule | None]) -> str:
    """The names of rules, for a sentence."""
    return " and ".join(dict.fromkeys(rule.name for rule in rules if rule is not None))
