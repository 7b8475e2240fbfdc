"""What decides who gets in, read from an Envoy configuration: HTTP listeners with their filters and
routes, clusters, and TCP proxies.

The configuration may be the generated one, a file, or what a running Envoy answers at
/config_dump; its routes may come by RDS.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from betterproto2 import Casing

from extproc.envoyconfig.bootstrap import bootstrap
from extproc.envoyconfig.tree import Tree, at, branch, items, kind, plain, within
from extproc.settings import Settings

HCM = "HttpConnectionManager"


class NoConfiguration(Exception):
    """A document that is no Envoy configuration; the text is for the operator."""


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """One virtual host: the domains that it serves, and its routes in their order."""

    name: str
    domains: tuple[str, ...]
    routes: tuple[Tree, ...]
    # typed_per_filter_config, which changes filters for all routes of the host
    filter_config: Tree

    @property
    def route_names(self) -> tuple[str, ...]:
        """The names of the routes in their order; '' for a route without a name."""
        return tuple(str(route.get("name", "")) for route in self.routes)


@dataclass(frozen=True, slots=True)
class HttpListener:
    """One HTTP connection manager, and the listener that it serves.

    `address` is host:port as Envoy has it, `routes` the route configuration.
    """

    name: str
    address: str
    manager: Tree
    routes: Tree

    @property
    def filters(self) -> list[Tree]:
        """The HTTP filters, in the order in which requests pass them."""
        return items(self.manager, "http_filters")

    @property
    def filter_names(self) -> list[str]:
        """The names of the HTTP filters, in order."""
        return [str(config.get("name")) for config in self.filters]

    def filter(self, name: str) -> Tree | None:
        """The HTTP filter of that name, or None."""
        return next((config for config in self.filters if config.get("name") == name), None)

    @property
    def hosts(self) -> list[VirtualHost]:
        """The virtual hosts of the route configuration."""
        return [
            VirtualHost(
                name=str(host.get("name", "")),
                domains=tuple(str(domain) for domain in host.get("domains", [])),
                routes=tuple(items(host, "routes")),
                filter_config=branch(host, "typed_per_filter_config"),
            )
            for host in items(self.routes, "virtual_hosts")
        ]


@dataclass(frozen=True, slots=True)
class EnvoyCluster:
    """One cluster: its name, and its configuration without the type."""

    name: str
    config: Tree

    @property
    def endpoints(self) -> frozenset[str]:
        """The addresses that it leads to, as host:port."""
        addresses = [
            branch(endpoint, "endpoint", "address", "socket_address")
            for locality in items(self.config, "load_assignment", "endpoints")
            for endpoint in items(locality, "lb_endpoints")
        ]
        return frozenset(
            f"{address.get('address')}:{address.get('port_value')}" for address in addresses
        )


@dataclass(frozen=True, slots=True)
class TcpProxy:
    """A TCP proxy: the listener that it is part of, and the cluster that gets its connections."""

    listener: str
    cluster: str


@dataclass(frozen=True, slots=True)
class EnvoySnapshot:
    """The parts of a whole Envoy configuration that decide who gets in."""

    listeners: tuple[HttpListener, ...]
    clusters: tuple[EnvoyCluster, ...]
    tcp_proxies: tuple[TcpProxy, ...] = ()

    def cluster(self, name: str) -> EnvoyCluster | None:
        """The cluster of that name, or None; the last of several, which Envoy refuses."""
        return next((each for each in reversed(self.clusters) if each.name == name), None)


def generated(settings: Settings) -> EnvoySnapshot:
    """The snapshot of the configuration that `extproc envoy` prints for these settings."""
    return read(bootstrap(settings).to_dict(casing=Casing.SNAKE))


def read(document: Any) -> EnvoySnapshot:
    """The snapshot of a bootstrap or of a config dump.

    Raises:
        NoConfiguration: the document is neither.
    """
    if not isinstance(document, dict):
        raise NoConfiguration("is no mapping")
    if isinstance(document.get("configs"), list):
        return _of_dump([plain(config) for config in items(document, "configs")])
    static = branch(plain(document), "static_resources")
    if not static:
        raise NoConfiguration(
            "has neither static_resources, as a bootstrap has, nor configs, as a config dump has"
        )
    return _snapshot(items(static, "listeners"), {}, items(static, "clusters"))


def _of_dump(configs: list[Tree]) -> EnvoySnapshot:
    listeners: list[Tree] = []
    clusters: list[Tree] = []
    routes: dict[str, Tree] = {}
    for config in configs:
        match kind(config):
            case "ListenersConfigDump":
                listeners += [
                    branch(entry, "listener") for entry in items(config, "static_listeners")
                ]
                listeners += [
                    branch(entry, "active_state", "listener")
                    for entry in items(config, "dynamic_listeners")
                ]
            case "ClustersConfigDump":
                for key in ("static_clusters", "dynamic_active_clusters"):
                    clusters += [branch(entry, "cluster") for entry in items(config, key)]
            case "RoutesConfigDump":
                for entry in items(config, "dynamic_route_configs"):
                    route_config = branch(entry, "route_config")
                    routes[str(route_config.get("name"))] = route_config
    if not listeners:
        raise NoConfiguration("has no listeners")
    return _snapshot(listeners, routes, clusters)


def _snapshot(
    listeners: list[Tree], routes: dict[str, Tree], clusters: list[Tree]
) -> EnvoySnapshot:
    return EnvoySnapshot(
        listeners=tuple(
            front for listener in listeners for front in _http_listeners(listener, routes)
        ),
        clusters=tuple(
            EnvoyCluster(
                name=str(cluster.get("name")),
                config={key: value for key, value in cluster.items() if key != "@type"},
            )
            for cluster in clusters
        ),
        tcp_proxies=tuple(
            TcpProxy(listener=str(listener.get("name")), cluster=str(proxy.get("cluster")))
            for listener in listeners
            for proxy in within(listener, "TcpProxy")
        ),
    )


def _http_listeners(listener: Tree, routes: dict[str, Tree]) -> Iterator[HttpListener]:
    """The HTTP connection managers of a listener, one for each filter chain that has one.

    Args:
        listener: the listener's configuration.
        routes: the route configurations that came by RDS, by name.
    """
    socket = branch(listener, "address", "socket_address")
    address = f"{socket.get('address', '?')}:{socket.get('port_value', '?')}"
    chains = items(listener, "filter_chains")
    if isinstance(listener.get("default_filter_chain"), dict):
        chains.append(listener["default_filter_chain"])
    for chain in chains:
        for network_filter in items(chain, "filters"):
            manager = branch(network_filter, "typed_config")
            if kind(manager) != HCM:
                continue
            by_rds = routes.get(str(at(manager, "rds", "route_config_name")), {})
            yield HttpListener(
                name=str(listener.get("name", address)),
                address=address,
                manager=manager,
                routes=branch(manager, "route_config") or by_rds,
            )
