"""A configuration of Envoy against the one that the settings make: what differs, in words, and what
opens a door.

Two looks. `compared` takes both apart (anatomy) and judges each difference by rules.py. `bypasses`
looks for what the generated configuration knows nothing of: listeners, hosts and routes by which an
application is reached with nobody asked.
"""

from collections.abc import Iterator
from typing import Any

from extproc.checks.envoy_rules import AGAIN, RuleMatch, judge
from extproc.checks.findings import Finding, error, ok, warning
from extproc.contract import APPLICATION
from extproc.envoyconfig.clusters import PROCESSOR, application_cluster
from extproc.envoyconfig.filters.chain import DECIDE, GATE
from extproc.envoyconfig.snapshot import EnvoySnapshot, HttpListener
from extproc.envoyconfig.tree import Tree, at, branch, differences, items, kind, within
from extproc.settings import Settings


def compare(
    settings: Settings, wanted: EnvoySnapshot, seen: EnvoySnapshot, source: str
) -> list[Finding]:
    """source: whose configuration it is, for the operator."""
    findings: list[Finding] = []
    matched: list[HttpListener] = []
    for front in wanted.listeners:
        other = _counterpart(front, seen)
        if other is None:
            what = f"nothing listens as the generated listener {front.name} at {front.place} does"
            findings.append(error(source, what, AGAIN))
            continue
        matched.append(other)
        findings += compared(front, other, source)
    apart = differences({"clusters": wanted.clusters}, {"clusters": _known(wanted, seen)})
    findings += [_said(each, source) for each in judge(list(apart))]
    findings += bypasses(settings, wanted, seen, matched, source)
    return findings or [
        ok(source, "is as the settings make it: the processor, the gate and every route in place")
    ]


def _counterpart(front: HttpListener, seen: EnvoySnapshot) -> HttpListener | None:
    """By address, by name, or the one with a processor, where filters are wanted."""
    asks = any(True for _ in within(front.manager, "ExternalProcessor"))
    return (
        next((each for each in seen.listeners if each.place == front.place), None)
        or next((each for each in seen.listeners if each.name == front.name), None)
        or next(
            (
                each
                for each in seen.listeners
                if asks and any(within(each.manager, "ExternalProcessor"))
            ),
            None,
        )
    )


def _known(wanted: EnvoySnapshot, seen: EnvoySnapshot) -> dict[str, Tree]:
    """Clusters of its own are Envoy's own business."""
    return {name: seen.clusters[name] for name in wanted.clusters if name in seen.clusters}


def compared(wanted: HttpListener, seen: HttpListener, source: str) -> Iterator[Finding]:
    part = f"{source}, listener {seen.name}"
    if wanted.place != seen.place:
        yield warning(part, f"listens on {seen.place}, and the settings say {wanted.place}", AGAIN)
    for judged in judge(list(differences(_comparable(wanted), _comparable(seen, wanted)))):
        yield _said(judged, part)
    yield from _order(wanted, seen, part)


def _said(judged: RuleMatch, part: str) -> Finding:
    rule, first = judged.rule, judged.differences[0]
    where = " ".join(
        judged.about[1:] if judged.about[:1] in (("manager",), ("routing",)) else judged.about
    )
    where = {"filters": "filter", "routes": "route on", "clusters": "cluster"}.get(
        judged.about[0], ""
    ) + where.removeprefix(judged.about[0])
    what = rule.missing if judged.gone and rule.missing else rule.what
    detail = ""
    if not judged.gone:
        below = ".".join(first.path[len(judged.about) :])
        detail = (
            f" ({f'{below}: ' if below else ''}generated {first.wanted or 'nothing'}, here "
            f"{first.found or 'nothing'}"
        )
        detail += f"; {len(judged.differences) - 1} more)" if len(judged.differences) > 1 else ")"
    return Finding(judged.level, f"{part}, {where.strip()}", what + detail, AGAIN)


def _comparable(front: HttpListener, only: HttpListener | None = None) -> Tree:
    """What the rules speak of. only: leave out filters, hosts and routes that this one has not:
    bypasses looks at those.
    """
    names = [str(each.get("name")) for each in (only or front).filters]
    manager = {
        key: value
        for key, value in front.manager.items()
        if key not in ("http_filters", "route_config", "rds", "@type")
    }
    routing = {
        key: value
        for key, value in front.routes.items()
        if key not in ("virtual_hosts", "name", "@type")
    }
    filters = {name: _filter(found) for name in names if (found := front.filter(name)) is not None}
    return {
        "filters": filters,
        "manager": manager,
        "routing": routing,
        "routes": _routes(front, only),
    }


def _filter(tree: Tree) -> Tree:
    if tree.get("name") != DECIDE:
        return {key: value for key, value in tree.items() if key != "name"}
    processor = next(within(tree, "ExternalProcessor"), None)
    config = branch(tree, "typed_config")
    wrapped = kind(config) == "ExtensionWithMatcher"
    matcher = (
        _without(config.get("xds_matcher") or config.get("matcher"), processor)
        if wrapped
        else "none"
    )
    return {**tree, "name": None, "typed_config": None, "processor": processor, "matcher": matcher}


def _without(tree: Any, gone: Tree | None) -> Any:
    if tree is gone and gone is not None:
        return "the processor"
    if isinstance(tree, dict):
        return {key: _without(value, gone) for key, value in tree.items()}
    return [_without(each, gone) for each in tree] if isinstance(tree, list) else tree


def _routes(front: HttpListener, only: HttpListener | None) -> Tree:
    """By host, then by the route's name."""
    found: Tree = {}
    known = {
        domain: _names(host) for host in (only or front).hosts for domain in host.get("domains", [])
    }
    for host in front.hosts:
        for domain in host.get("domains", []):
            if domain in known:
                routes = {
                    name: each
                    for each in items(host, "routes")
                    if (name := str(each.get("name", ""))) in known[domain]
                }
                found[domain] = routes
    return found


def _names(host: Tree) -> list[str]:
    return [str(each.get("name", "")) for each in items(host, "routes")]


def _order(wanted: HttpListener, seen: HttpListener, part: str) -> Iterator[Finding]:
    """What comes first decides: of filters, and of routes."""
    mine, theirs = ([str(each.get("name")) for each in front.filters] for front in (wanted, seen))
    if (order := [name for name in theirs if name in mine]) != [
        name for name in mine if name in order
    ]:
        yield error(
            part,
            f"its filters stand in another order: {', '.join(order)}",
            f"the order is {', '.join(mine)}; {AGAIN}",
        )
    for name in theirs:
        if name not in mine and GATE in theirs and theirs.index(name) < theirs.index(GATE):
            what = (
                f"the filter {name} stands before the gate: it sees every request with our "
                "cookies, and may write identity headers"
            )
            yield warning(
                f"{part}, filter {name}",
                what,
                "put it between gate and router, if it is meant to be there at all",
            )
    hosts = {domain: host for host in seen.hosts for domain in host.get("domains", [])}
    for host in wanted.hosts:
        domain = host.get("domains", ["?"])[0]
        here, generated = _names(hosts.get(domain, {})), _names(host)
        if (kept := [name for name in here if name in generated]) != [
            name for name in generated if name in kept
        ]:
            what = "its routes stand in another order: one takes requests that are another's"
            yield error(f"{part}, host {domain}", what, AGAIN)


def bypasses(
    settings: Settings,
    wanted: EnvoySnapshot,
    seen: EnvoySnapshot,
    matched: list[HttpListener],
    source: str,
) -> Iterator[Finding]:
    """Routes that the generated configuration has not, and where they lead."""
    protected = _leading_to(settings, wanted, seen)
    generated = {
        (domain, name)
        for front in wanted.listeners
        for host in front.hosts
        for domain in host.get("domains", [])
        for name in _names(host)
    }
    for listener, cluster in seen.tcp_proxies:
        if cluster in protected:
            what = (
                f"passes connections on to the application {protected[cluster]}, and nobody has "
                "to sign in"
            )
            yield error(
                f"{source}, listener {listener}", what, "remove it, or let only Envoy reach it"
            )
    for front in seen.listeners:
        for host in front.hosts:
            yield from _hooks(front, host, f"{source}, listener {front.name}")
            domains = host.get("domains", [])
            for route in items(host, "routes"):
                name = str(route.get("name", ""))
                if front in matched and all((domain, name) in generated for domain in domains):
                    continue
                part = (
                    f"{source}, listener {front.name}, route {name or 'without a name'} on "
                    f"{', '.join(domains)}"
                )
                yield from _foreign(front, host, route, protected, part)


def _hooks(front: HttpListener, host: Tree, part: str) -> Iterator[Finding]:
    """A virtual host may switch filters off for all its routes."""
    for name in (DECIDE, GATE):
        if name in branch(host, "typed_per_filter_config"):
            what = f"the virtual host changes the filter {name} for all its routes"
            yield error(f"{part}, virtual host {host.get('name')}", what, f"remove it; {AGAIN}")


def _foreign(
    front: HttpListener, host: Tree, route: Tree, protected: dict[str, str], part: str
) -> Iterator[Finding]:
    clusters = [str(at(route, "route", "cluster") or "")]
    clusters += [
        str(each.get("name")) for each in items(route, "route", "weighted_clusters", "clusters")
    ]
    leads = next((protected[each] for each in clusters if each in protected), None)
    config = branch(route, "typed_per_filter_config")
    asks = front.filter(DECIDE) is not None and not at(config, DECIDE, "disabled")
    gated = front.filter(GATE) is not None and GATE not in config
    if leads is not None and not (asks and gated):
        yield error(
            part,
            f"leads to the application {leads}, and nobody has to sign in",
            f"remove the route, or make the application's settings say what it is for; {AGAIN}",
        )
    elif asks and "route" in route and not _names_application(config):
        yield error(
            part,
            "does not name its application to the processor: its requests end in a 503",
            f"give it the typed_per_filter_config of a generated route; {AGAIN}",
        )
    else:
        yield warning(
            part,
            "is not one of the generated routes",
            f"see that it stands behind them and is meant; or {AGAIN}",
        )


def _names_application(config: Tree) -> bool:
    said = items(config, DECIDE, "overrides", "grpc_initial_metadata")
    return any(each.get("key") == APPLICATION for each in said)


def _leading_to(settings: Settings, wanted: EnvoySnapshot, seen: EnvoySnapshot) -> dict[str, str]:
    """The clusters, whatever they are called, that reach an application whose users sign in."""
    places = {
        _endpoints(wanted.clusters[application_cluster(name)]): name for name in settings.protected
    }
    open_to_all = {
        _endpoints(wanted.clusters[application_cluster(n)])
        for n, a in settings.applications.items()
        if a.exclude
    }
    found = {application_cluster(name): name for name in settings.protected}
    for cluster, tree in seen.clusters.items():
        place = _endpoints(tree)
        if place and place in places and place not in open_to_all and cluster != PROCESSOR:
            found[cluster] = places[place]
    return found


def _endpoints(cluster: Tree) -> frozenset[str]:
    found = [
        branch(each, "endpoint", "address", "socket_address")
        for group in items(cluster, "load_assignment", "endpoints")
        for each in items(group, "lb_endpoints")
    ]
    return frozenset(f"{each.get('address')}:{each.get('port_value')}" for each in found)
