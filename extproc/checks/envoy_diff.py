"""Compares an Envoy configuration with the generated one, and explains each difference.

`compare` looks twice. `_compared` takes each generated listener and its counterpart apart
(`comparable`) and lets `envoy_rules.py` judge the differences; `envoy_bypasses.py` looks for
listeners, hosts and routes that the generated configuration does not have.
"""

from collections.abc import Iterator
from typing import Any

from extproc.checks.envoy_bypasses import bypasses
from extproc.checks.envoy_rules import AGAIN, RuleMatch, judge
from extproc.checks.findings import Finding, error, ok, warning
from extproc.envoyconfig.filters.chain import DECIDE, GATE
from extproc.envoyconfig.snapshot import EnvoySnapshot, HttpListener, VirtualHost
from extproc.envoyconfig.tree import Path, Tree, branch, differences, kind, within
from extproc.settings import Settings

_PROCESSOR = "ExternalProcessor"


def compare(
    settings: Settings, wanted: EnvoySnapshot, actual: EnvoySnapshot, source: str
) -> list[Finding]:
    """Findings about an Envoy configuration; a single one of level ok where all is as generated.

    Args:
        settings: the settings that the generated configuration is made from.
        wanted: the generated configuration.
        actual: the configuration to check.
        source: the name of the checked configuration, for the operator.
    """
    findings: list[Finding] = []
    counterparts: list[HttpListener] = []
    for listener in wanted.listeners:
        counterpart = _counterpart(listener, actual)
        if counterpart is None:
            what = f"no listener is like the generated {listener.name} at {listener.address}"
            findings.append(error(source, what, AGAIN))
            continue
        counterparts.append(counterpart)
        findings += _compared(listener, counterpart, source)
    findings += _clusters(wanted, actual, source)
    findings += bypasses(settings, wanted, actual, counterparts, source)
    return findings or [
        ok(source, "is as the settings make it: the processor, the gate and every route in place")
    ]


def _counterpart(wanted: HttpListener, actual: EnvoySnapshot) -> HttpListener | None:
    """The listener at that address, of that name, or else the first that calls the processor."""
    for listener in actual.listeners:
        if listener.address == wanted.address:
            return listener
    for listener in actual.listeners:
        if listener.name == wanted.name:
            return listener
    if _calls_processor(wanted):
        return next((each for each in actual.listeners if _calls_processor(each)), None)
    return None


def _calls_processor(listener: HttpListener) -> bool:
    return any(True for _ in within(listener.manager, _PROCESSOR))


def _clusters(wanted: EnvoySnapshot, actual: EnvoySnapshot, source: str) -> Iterator[Finding]:
    """Only clusters of the generated names are compared: others are the operator's own."""
    generated = {cluster.name: cluster.config for cluster in wanted.clusters}
    present = {each.name: each.config for each in actual.clusters if each.name in generated}
    for match in judge(list(differences({"clusters": generated}, {"clusters": present}))):
        yield _finding(match, source)


def _compared(wanted: HttpListener, actual: HttpListener, source: str) -> Iterator[Finding]:
    part = f"{source}, listener {actual.name}"
    if wanted.address != actual.address:
        what = f"listens on {actual.address}, and the settings name {wanted.address}"
        yield warning(part, what, AGAIN)
    for match in judge(list(differences(comparable(wanted), comparable(actual, wanted)))):
        yield _finding(match, part)
    yield from _filter_order(wanted, actual, part)
    yield from _route_order(wanted, actual, part)


def _finding(match: RuleMatch, part: str) -> Finding:
    place = f"{part}, {_place(match.about)}"
    if match.gone:
        return Finding(match.level, place, match.rule.missing or match.rule.what, AGAIN)
    first, more = match.differences[0], len(match.differences) - 1
    field = ".".join(first.path[len(match.about) :])
    values = f"generated {first.wanted or 'nothing'}, here {first.found or 'nothing'}"
    if field:
        values = f"{field}: {values}"
    if more:
        values = f"{values}; {more} more"
    return Finding(match.level, place, f"{match.rule.what} ({values})", AGAIN)


def _place(about: Path) -> str:
    """A path of `comparable`, or of the clusters, in words."""
    section, names = about[0], " ".join(about[1:])
    if section == "routes":
        return f"route on {names}" if len(about) > 2 else f"host {names}"
    if section in ("filters", "clusters"):
        return f"{section.removesuffix('s')} {names}"
    return names or section


def comparable(listener: HttpListener, like: HttpListener | None = None) -> Tree:
    """The parts of a listener that the rules name.

    Args:
        listener: the listener to take apart.
        like: leave out filters, hosts and routes that this listener does not have; the checks for
            bypasses look at those.
    """
    like = like or listener
    filters: Tree = {}
    for name in like.filter_names:
        config = listener.filter(name)
        if config is not None:
            filters[name] = _comparable_filter(config)
    return {
        "filters": filters,
        "manager": _except(listener.manager, "http_filters", "route_config", "rds", "@type"),
        "routing": _except(listener.routes, "virtual_hosts", "name", "@type"),
        "routes": _comparable_routes(listener, like),
    }


def _except(tree: Tree, *keys: str) -> Tree:
    return {key: value for key, value in tree.items() if key not in keys}


def _comparable_filter(config: Tree) -> Tree:
    """The filter's configuration; of `decide`, the processor and its matcher side by side."""
    if config.get("name") != DECIDE:
        return _except(config, "name")
    processor = next(within(config, _PROCESSOR), None)
    wrapper = branch(config, "typed_config")
    matcher: Any = "none"
    if kind(wrapper) == "ExtensionWithMatcher":
        matcher = _without(wrapper.get("xds_matcher") or wrapper.get("matcher"), processor)
    return {
        **_except(config, "name", "typed_config"),
        "processor": processor,
        "matcher": matcher,
    }


def _without(tree: Any, part: Tree | None) -> Any:
    """The tree with a placeholder where the part was."""
    if part is not None and tree is part:
        return "the processor"
    if isinstance(tree, dict):
        return {key: _without(value, part) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_without(value, part) for value in tree]
    return tree


def _comparable_routes(listener: HttpListener, like: HttpListener) -> Tree:
    """The routes by domain, then by name."""
    generated = _by_domain(like)
    routes: Tree = {}
    for domain, host in _by_domain(listener).items():
        if domain not in generated:
            continue
        names = generated[domain].route_names
        routes[domain] = {
            name: route
            for name, route in zip(host.route_names, host.routes, strict=True)
            if name in names
        }
    return routes


def _by_domain(listener: HttpListener) -> dict[str, VirtualHost]:
    return {domain: host for host in listener.hosts for domain in host.domains}


def _filter_order(wanted: HttpListener, actual: HttpListener, part: str) -> Iterator[Finding]:
    """Filters run in their order, so a filter before the gate sees what the gate would refuse."""
    generated, names = wanted.filter_names, actual.filter_names
    order = [name for name in names if name in generated]
    if order != [name for name in generated if name in order]:
        yield error(
            part,
            f"its filters are in another order: {', '.join(order)}",
            f"the order is {', '.join(generated)}; {AGAIN}",
        )
    before_gate = names[: names.index(GATE)] if GATE in names else []
    for name in before_gate:
        if name not in generated:
            yield warning(
                f"{part}, filter {name}",
                f"the filter {name} is before the gate: it sees every request with the processor's "
                "cookies, and can write identity headers",
                "put it between gate and router, if it is meant to be there at all",
            )


def _route_order(wanted: HttpListener, actual: HttpListener, part: str) -> Iterator[Finding]:
    """Envoy takes the first route that matches, so their order decides."""
    hosts = _by_domain(actual)
    for host in wanted.hosts:
        domain = host.domains[0] if host.domains else "?"
        names = hosts[domain].route_names if domain in hosts else ()
        kept = [name for name in names if name in host.route_names]
        if kept != [name for name in host.route_names if name in kept]:
            what = "its routes are in another order: a route takes requests of another route"
            yield error(f"{part}, host {domain}", what, AGAIN)
