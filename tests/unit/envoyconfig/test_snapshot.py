"""Reading a configuration: a bootstrap, a config dump, and what is neither."""

from typing import Any

import pytest
from harness.envoy_config import simple, tree

from extproc.envoyconfig.snapshot import NoConfiguration, TcpProxy, generated, read

HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
TCP = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"


def test_a_document_that_is_nobody_s_is_refused() -> None:
    for document in (None, [], {"configs": []}, {"static_resources": {}}):
        with pytest.raises(NoConfiguration):
            read(document)


def test_the_generated_configuration_is_read_as_it_is_written() -> None:
    snapshot = generated(simple())
    assert snapshot == read(tree(simple()))
    (listener,) = snapshot.listeners
    assert (listener.name, listener.address) == ("gateway", "127.0.0.1:8080")
    assert listener.filter_names[0] == "cookies" and listener.filter_names[-1] == "router"
    assert [host.domains for host in listener.hosts] == [("localhost",), ("*",)]
    assert "app" in listener.hosts[0].route_names
    application = snapshot.cluster("application-app")
    assert application is not None and application.endpoints == {"127.0.0.1:9600"}
    assert snapshot.cluster("nothing") is None and listener.filter("nothing") is None


def listener(name: str, kind: str, **config: Any) -> dict[str, Any]:
    filters = [{"name": "x", "typed_config": {"@type": kind, **config}}]
    return {
        "name": name,
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": 80}},
        "filter_chains": [{"filters": filters}],
    }


def test_a_config_dump_has_its_routes_by_rds() -> None:
    rds = listener("front", HCM, rds={"route_config_name": "r"})
    routes = {"name": "r", "virtual_hosts": [{"name": "h", "domains": ["a"], "routes": []}]}
    snapshot = read(
        {
            "configs": [
                {
                    "@type": "x.ListenersConfigDump",
                    "dynamic_listeners": [{"active_state": {"listener": rds}}],
                    "static_listeners": [{"listener": listener("tcp", TCP, cluster="c")}],
                },
                {
                    "@type": "x.RoutesConfigDump",
                    "dynamic_route_configs": [{"route_config": routes}],
                },
                {
                    "@type": "x.ClustersConfigDump",
                    "dynamic_active_clusters": [{"cluster": {"@type": "x.Cluster", "name": "c"}}],
                },
            ]
        }
    )
    (front,) = snapshot.listeners
    assert (front.name, front.hosts[0].domains) == ("front", ("a",))
    assert snapshot.tcp_proxies == (TcpProxy("tcp", "c"),)
    (cluster,) = snapshot.clusters
    assert (cluster.name, cluster.config) == ("c", {"name": "c"})


def test_a_default_filter_chain_counts() -> None:
    made = listener("front", HCM)
    made["default_filter_chain"] = made.pop("filter_chains")[0]
    snapshot = read({"static_resources": {"listeners": [made]}})
    assert [each.name for each in snapshot.listeners] == ["front"]
