"""The routes of an application's rules (core/access.py): the route that Envoy chooses names the
rule.

They stand before the route of the application's other pages, in this order:

1. 400 for paths that the upstream may read as a path of a rule although they are spelled otherwise
   (spellings.py), unless upstream_paths is exact: another rule would decide them, or `allow` alone;
2. 405 for a method that HTTP and its extensions do not define, or that is not in upper case: an
   upstream may read it as another;
3. the rules in their order, for each path a route; where a rule in shadow mode takes some of its
   requests as well, a route of its own stands before it;
4. 405 for the paths of rules for whose method there is no rule.

A path is matched by whole segments (path_separated_prefix), after Envoy normalised it.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher, Route, RouteMatch
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher

from extproc.core.access_rules import METHODS, covers
from extproc.envoyconfig import spellings
from extproc.envoyconfig.builders import exact, header, regex
from extproc.envoyconfig.direct import direct
from extproc.envoyconfig.regexes import MAX_PROGRAM
from extproc.envoyconfig.sharing import folded
from extproc.settings import ApplicationSettings, RuleSettings

_SPELLING = "Another spelling of a path is not accepted here."
_METHOD = "This method is not accepted here."
# Characters of a pattern of spellings.py, of which RE2 makes about half as many instructions.
_LONGEST = 19 * MAX_PROGRAM // 10
# A path with 300 encoded characters or signs in a row, or with 100 semicolons: RE2 would follow
# every name of a rule through all of them, about 0.1 s for 10 kB and 50 rules. A title of 85
# Chinese characters, the longest of a wiki, has 255.
_ENDLESS = r".*(?:%[0-9A-Fa-fuU]*|[^0-9A-Za-z%]){300}.*|(?:[^;]*;){100}.*"
# A path that an upstream may read as another one: with a character that is no lower-case letter, no
# digit and none of `_ . ~ - /`, or with a dot at the end of a segment. The header has the query as
# well.
_ODD = HeaderMatcher(name=":path", string_match=regex(r"[^?]*(?:[^a-z0-9_.~?/-]|\.[/?]).*|[^?]*\."))
# The ends of the names of routes that refuse.
SPELLED = "spelled"
METHOD = "method"
DENIED = "denied"


@dataclass(frozen=True, slots=True)
class RuleRoute:
    """The requests of one route: those that a rule decides, None where no rule does.

    shadow: the rule in shadow mode that takes them as well.
    """

    match: RouteMatch
    rule: RuleSettings | None
    shadow: RuleSettings | None = None


def _enforced(application: ApplicationSettings) -> list[RuleSettings]:
    return [rule for rule in application.rules if rule.mode == "enforce"]


def _shadows(application: ApplicationSettings) -> list[RuleSettings]:
    return [rule for rule in application.rules if rule.mode == "shadow"]


def refused_requests(application: ApplicationSettings, name: str) -> Iterator[Route]:
    """400 for other spellings of the paths of an application's rules, and 405 for odd methods."""
    if not _enforced(application):
        return
    if application.upstream_paths == "folds":
        if application.dot_segments == "keep":
            pattern = spellings.pieces(application.path_prefix)
            yield _direct(name, RouteMatch(safe_regex=RegexMatcher(regex=pattern)))
        yield from _spelled(application, name)
    odd = HeaderMatcher(name=":method", string_match=regex("|".join(METHODS)), invert_match=True)
    yield _no_method(name, RouteMatch(prefix=application.path_prefix, headers=[odd]), METHODS)


def _spelled(application: ApplicationSettings, name: str) -> Iterator[Route]:
    """Routes for the paths below each parent: the path of another rule, or the application's."""
    children: dict[str, list[str]] = {}
    for path in _paths(application):
        children.setdefault(_parent(application, path), []).append(path)
    if children:
        # Before the patterns, whose cost grows with what this refuses.
        pattern = rf"{re.escape(application.path_prefix)}(?:{_ENDLESS})"
        endless = RouteMatch(safe_regex=RegexMatcher(regex=pattern), headers=[_ODD])
        yield _direct(name, endless)
    for parent, paths in children.items():
        known = len(folded(parent))
        for pattern in _patterns(parent, [folded(path)[known:] for path in paths]):
            # Envoy looks at the headers first, and few paths are odd: the pattern is for them.
            headers = [_outside(paths)]
            if all(path == path.lower() for path in paths):
                headers.insert(0, _ODD)
            match = RouteMatch(safe_regex=RegexMatcher(regex=pattern), headers=headers)
            yield _direct(name, match)


def _patterns(parent: str, paths: Sequence[Sequence[str]]) -> Iterator[str]:
    """As few patterns of other spellings as RE2 compiles within Envoy's bound."""
    part: list[Sequence[str]] = []
    for path in paths:
        if part and len(spellings.readings(parent, *part, path)) > _LONGEST:
            yield spellings.readings(parent, *part)
            part = []
        part.append(path)
    if part:
        yield spellings.readings(parent, *part)


def outside_closed_paths(application: ApplicationSettings) -> list[HeaderMatcher]:
    """Matches requests for other paths than those of rules that deny, or that name networks or
    client certificates.
    """
    closed = [
        rule
        for rule in _enforced(application)
        if rule.deny or rule.networks or rule.client_certificate is not None
    ]
    paths = sorted({path.rstrip("/") for rule in closed for path in rule.paths})
    return [_outside(paths)] if paths else []


def _outside(paths: Sequence[str]) -> HeaderMatcher:
    """Matches requests for other paths than these, which have no slash at the end."""
    # The header has the query as well.
    return HeaderMatcher(name=":path", string_match=regex(_below(paths, "/?")), invert_match=True)


def _below(paths: Iterable[str], ends: str = "/") -> str:
    """A pattern of paths, by whole segments, that have no slash at the end; `ends` are the
    characters by which a path ends.
    """
    return rf"(?:{'|'.join(map(re.escape, paths))})(?:[{ends}].*)?"


def _paths(application: ApplicationSettings) -> list[str]:
    """The paths of the rules without a slash at the end, but for that of the whole application."""
    paths = {path.rstrip("/") for rule in _enforced(application) for path in rule.paths}
    return sorted(path for path in paths if not covers(path, application.path_prefix))


def _parent(application: ApplicationSettings, path: str) -> str:
    """The longest path of a rule above a path, or path_prefix; it ends with a slash."""
    above = [each for each in _paths(application) if each != path and covers(each, path)]
    return max(above, key=len) + "/" if above else application.path_prefix


def rule_routes(application: ApplicationSettings) -> Iterator[RuleRoute]:
    """The routes of an application's rules, in their order."""
    for rule in _enforced(application):
        for path in rule.paths:
            for shadow in _shadows(application):
                yield from _shadowed(application, rule, path, shadow)
            for match in _matches(application, path, rule.methods):
                yield RuleRoute(match, rule)


def shadow_routes(application: ApplicationSettings) -> Iterator[RuleRoute]:
    """The routes of requests that no rule decides, and that a rule in shadow mode takes."""
    for shadow in _shadows(application):
        for path in shadow.paths:
            for match in _matches(application, path, shadow.methods):
                yield RuleRoute(match, None, shadow)


def _shadowed(
    application: ApplicationSettings, rule: RuleSettings, path: str, shadow: RuleSettings
) -> Iterator[RuleRoute]:
    """The requests of one path of a rule that a rule in shadow mode takes as well."""
    methods: Collection[str] = shadow.methods or rule.methods
    if shadow.methods and rule.methods:
        methods = _with_head(shadow.methods) & _with_head(rule.methods)
        if not methods:
            return
    for other in shadow.paths:
        if covers(path, other) or covers(other, path):
            inner = max(path, other, key=lambda each: len(each.rstrip("/")))
            for match in _matches(application, inner, methods):
                yield RuleRoute(match, rule, shadow)


def refused_methods(application: ApplicationSettings, name: str) -> Iterator[Route]:
    """405 for the paths of rules for whose method there is no rule: a route for those with the same
    methods.
    """
    enforced = _enforced(application)
    by_methods: dict[tuple[str, ...], list[str]] = {}
    for path in dict.fromkeys(path.rstrip("/") for rule in enforced for path in rule.paths):
        taking = [rule for rule in enforced if any(covers(each, path) for each in rule.paths)]
        if all(rule.methods for rule in taking):
            methods = _with_head({method for rule in taking for method in rule.methods})
            allowed = tuple(each for each in METHODS if each in methods)
            by_methods.setdefault(allowed, []).append(path)
    # A path below another one has all methods of that one, and comes first if it has more.
    for allowed, paths in sorted(by_methods.items(), key=lambda each: -len(each[0])):
        pattern = RegexMatcher(regex=_below(paths))
        yield _no_method(name, RouteMatch(safe_regex=pattern), allowed)


def denied(name: str, route: RuleRoute, rule: RuleSettings) -> Route:
    """403 for a rule that refuses everybody."""
    text = "This page is not open to anybody."
    return direct(f"{name}:rule:{rule.name}:{DENIED}", route.match, 403, text)


def _matches(
    application: ApplicationSettings, path: str, methods: Collection[str]
) -> Iterator[RouteMatch]:
    """The requests of a path, by whole segments, and of these methods; all methods without any.

    One match for each method: Envoy compares a method faster than it evaluates a pattern, and every
    request of the application passes by here.
    """
    headers = [
        [HeaderMatcher(name=":method", string_match=exact(method))]
        for method in METHODS
        if method in _with_head(methods)
    ]
    for each in headers or [[]]:
        if covers(path, application.path_prefix):
            yield RouteMatch(prefix=application.path_prefix, headers=each)
        else:
            yield RouteMatch(path_separated_prefix=path.rstrip("/"), headers=each)


def _with_head(methods: Collection[str]) -> set[str]:
    return {*methods, "HEAD"} if "GET" in methods else set(methods)


def _no_method(name: str, match: RouteMatch, allowed: tuple[str, ...]) -> Route:
    route = direct(f"{name}:{METHOD}", match, 405, _METHOD)
    route.response_headers_to_add = [header("allow", ", ".join(allowed))]
    return route


def _direct(name: str, match: RouteMatch) -> Route:
    return direct(f"{name}:{SPELLED}", match, 400, _SPELLING)
