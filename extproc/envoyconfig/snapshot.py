"""What of an Envoy configuration decides who gets in: each HTTP listener with its filters and
routes, and the clusters behind.

It may be the generated one, a file somebody wrote, or what a running Envoy says at /config_dump;
routes may come by RDS.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from betterproto2 import Casing

from extproc import envoyconfig
from extproc.envoyconfig.tree import Tree, at, branch, items, kind, plain, within
from extproc.settings import Settings

HCM = "HttpConnectionManager"


@dataclass(frozen=True, slots=True)
class HttpListener:
    """One listener's http connection manager. `place` is its address as Envoy has it; routes: its
    route configuration.
    """

    name: str
    place: str
    manager: Tree
    routes: Tree

    @property
    def filters(self) -> list[Tree]:
        return items(self.manager, "http_filters")

    def filter(self, name: str) -> Tree | None:
        return next((each for each in self.filters if each.get("name") == name), None)

    @property
    def hosts(self) -> list[Tree]:
        return items(self.routes, "virtual_hosts")


@dataclass(frozen=True, slots=True)
class EnvoySnapshot:
    """A whole configuration."""

    listeners: tuple[HttpListener, ...]
    clusters: dict[str, Tree]
    tcp_proxies: tuple[tuple[str, str], ...] = ()  # listener and cluster of each TCP proxy


class NoConfiguration(Exception):
    """It is none of Envoy's; the text is for the operator."""


def read(document: Any) -> EnvoySnapshot:
    """A bootstrap, or a config dump. Raises NoConfiguration."""
    if not isinstance(document, dict):
        raise NoConfiguration("is no mapping")
    if isinstance(document.get("configs"), list):
        return _dumped([plain(each) for each in document["configs"] if isinstance(each, dict)])
    tree = plain(document)
    static = branch(tree, "static_resources")
    if not static:
        raise NoConfiguration(
            "has neither static_resources, as a bootstrap has, nor configs, as a config dump has"
        )
    return _seen(items(static, "listeners"), {}, items(static, "clusters"))


def _dumped(configs: list[Tree]) -> EnvoySnapshot:
    listeners, clusters, routes = [], [], {}
    for config in configs:
        match kind(config):
            case "ListenersConfigDump":
                listeners += [
                    branch(each, "listener") for each in items(config, "static_listeners")
                ]
                listeners += [
                    branch(each, "active_state", "listener")
                    for each in items(config, "dynamic_listeners")
                ]
            case "ClustersConfigDump":
                for key in ("static_clusters", "dynamic_active_clusters"):
                    clusters += [branch(each, "cluster") for each in items(config, key)]
            case "RoutesConfigDump":
                for each in items(config, "dynamic_route_configs"):
                    found = branch(each, "route_config")
                    routes[str(found.get("name"))] = found
    if not listeners:
        raise NoConfiguration("has no listeners")
    return _seen(listeners, routes, clusters)


def _seen(listeners: list[Tree], routes: dict[str, Tree], clusters: list[Tree]) -> EnvoySnapshot:
    http = tuple(found for listener in listeners for found in _http_listeners(listener, routes))
    tcp_proxies = tuple(
        (str(listener.get("name")), str(each.get("cluster")))
        for listener in listeners
        for each in within(listener, "TcpProxy")
    )
    bare = {
        str(each.get("name")): {key: value for key, value in each.items() if key != "@type"}
        for each in clusters
    }
    return EnvoySnapshot(http, bare, tcp_proxies)


def _http_listeners(listener: Tree, routes: dict[str, Tree]) -> Iterator[HttpListener]:
    socket = branch(listener, "address", "socket_address")
    place = f"{socket.get('address', '?')}:{socket.get('port_value', '?')}"
    chains = items(listener, "filter_chains")
    if isinstance(listener.get("default_filter_chain"), dict):
        chains.append(listener["default_filter_chain"])
    for chain in chains:
        for each in items(chain, "filters"):
            manager = branch(each, "typed_config")
            if kind(manager) == HCM:
                by_name = routes.get(str(at(manager, "rds", "route_config_name")), {})
                yield HttpListener(
                    str(listener.get("name", place)),
                    place,
                    manager,
                    branch(manager, "route_config") or by_name,
                )


def generated(settings: Settings) -> EnvoySnapshot:
    return read(envoyconfig.bootstrap(settings).to_dict(casing=Casing.SNAKE))
