"""Finds ways around the processor: listeners, hosts and routes by which an application can be
reached without a login, and which the generated configuration does not have.
"""

from collections.abc import Iterator

from extproc.checks.envoy_rules import AGAIN, NO_LOGIN
from extproc.checks.findings import Finding, error, warning
from extproc.contract import APPLICATION
from extproc.envoyconfig.clusters import PROCESSOR, application_cluster
from extproc.envoyconfig.filters.chain import DECIDE, GATE
from extproc.envoyconfig.snapshot import EnvoySnapshot, HttpListener, VirtualHost
from extproc.envoyconfig.tree import Tree, at, branch, items
from extproc.settings import Settings


def bypasses(
    settings: Settings,
    wanted: EnvoySnapshot,
    actual: EnvoySnapshot,
    counterparts: list[HttpListener],
    source: str,
) -> Iterator[Finding]:
    """Findings about what the generated configuration does not have.

    Args:
        settings: the settings that the generated configuration is made from.
        wanted: the generated configuration.
        actual: the configuration to check.
        counterparts: the listeners of `actual` that correspond to generated ones.
        source: the name of the checked configuration, for the operator.
    """
    protected = _protected_clusters(settings, wanted, actual)
    generated = {
        (domain, name)
        for listener in wanted.listeners
        for host in listener.hosts
        for domain in host.domains
        for name in host.route_names
    }
    for proxy in actual.tcp_proxies:
        if proxy.cluster in protected:
            yield error(
                f"{source}, listener {proxy.listener}",
                f"passes connections on to the application {protected[proxy.cluster]}, {NO_LOGIN}",
                "remove it, or let only Envoy reach it",
            )
    for listener in actual.listeners:
        for host in listener.hosts:
            yield from _host_config(host, f"{source}, listener {listener.name}")
            for name, route in zip(host.route_names, host.routes, strict=True):
                known = all((domain, name) in generated for domain in host.domains)
                # Of several routes with one name, Envoy takes the first that matches, and the
                # comparison with the generated one sees a single one.
                known = known and host.route_names.count(name) == 1
                if listener in counterparts and known:
                    continue
                part = (
                    f"{source}, listener {listener.name}, route {name or 'without a name'} on "
                    f"{', '.join(host.domains)}"
                )
                yield _other_route(listener, route, protected, part)


def _host_config(host: VirtualHost, part: str) -> Iterator[Finding]:
    """A virtual host can switch filters off for all its routes."""
    for name in (DECIDE, GATE):
        if name in host.filter_config:
            what = f"the virtual host changes the filter {name} for all its routes"
            yield error(f"{part}, virtual host {host.name}", what, f"remove it; {AGAIN}")


def _other_route(
    listener: HttpListener, route: Tree, protected: dict[str, str], part: str
) -> Finding:
    """A finding about a route that is not generated.

    Args:
        listener: the listener that the route is on.
        route: the route's configuration.
        protected: the applications with a login, by the names of the clusters that reach them.
        part: the place of the route, for the operator.
    """
    application = next((protected[name] for name in _clusters(route) if name in protected), None)
    config = branch(route, "typed_per_filter_config")
    decided = listener.filter(DECIDE) is not None and not at(config, DECIDE, "disabled")
    gated = listener.filter(GATE) is not None and GATE not in config
    if application is not None and not (decided and gated):
        return error(
            part,
            f"leads to the application {application}, {NO_LOGIN}",
            f"remove the route, or add what it is for to the application's settings; {AGAIN}",
        )
    if decided and "route" in route and not _names_application(config):
        return error(
            part,
            "does not name its application to the processor: its requests end in a 503",
            f"give it the typed_per_filter_config of a generated route; {AGAIN}",
        )
    return warning(
        part,
        "is not one of the generated routes",
        f"put it after them if it is meant to be there; otherwise {AGAIN}",
    )


def _clusters(route: Tree) -> list[str]:
    weighted = items(route, "route", "weighted_clusters", "clusters")
    names = [at(route, "route", "cluster"), *(cluster.get("name") for cluster in weighted)]
    return [str(name) for name in names if name]


def _names_application(config: Tree) -> bool:
    metadata = items(config, DECIDE, "overrides", "grpc_initial_metadata")
    return any(entry.get("key") == APPLICATION for entry in metadata)


def _protected_clusters(
    settings: Settings, wanted: EnvoySnapshot, actual: EnvoySnapshot
) -> dict[str, str]:
    """The applications with a login, by the names of the clusters that reach them.

    A cluster of any name counts, if it leads to the addresses of such an application and no
    excluded application is at those addresses.
    """
    by_endpoints = {_endpoints(wanted, name): name for name in settings.protected}
    open_to_all = {
        _endpoints(wanted, name)
        for name, application in settings.applications.items()
        if application.exclude
    }
    protected = {application_cluster(name): name for name in settings.protected}
    for cluster in actual.clusters:
        endpoints = cluster.endpoints
        if not endpoints or endpoints in open_to_all or cluster.name == PROCESSOR:
            continue
        if endpoints in by_endpoints:
            protected[cluster.name] = by_endpoints[endpoints]
    return protected


def _endpoints(wanted: EnvoySnapshot, application: str) -> frozenset[str]:
    cluster = wanted.cluster(application_cluster(application))
    return cluster.endpoints if cluster is not None else frozenset()
