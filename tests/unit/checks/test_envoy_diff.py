"""The generated configuration, edited in every way that opens a door: each edit is an error with a
remedy.
"""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from harness.envoy_parts import settings

from extproc.checks.envoy_diff import compare
from extproc.checks.findings import Finding
from extproc.envoyconfig import to_yaml
from extproc.envoyconfig.snapshot import generated, read

Tree = dict[str, Any]
UP = "http://127.0.0.1:9600"
MADE = settings(
    gateway={"listen": "127.0.0.1:8443", "url": "https://app.example", "trusted_hops": 1, "redirect_listen": "127.0.0.1:8080", "tls": {"certificate": "c", "key": "k"}},
    applications={
        "app": {"hosts": ["app.example"], "upstream": UP, "provider": "main", "public_paths": ["/public/"]},
        "wiki": {"hosts": ["app.example"], "path_prefix": "/wiki/", "upstream": "http://127.0.0.1:9601", "provider": "main"},
        "idp": {"hosts": ["idp.example"], "upstream": "http://127.0.0.1:9602", "exclude": True},
    },
)  # fmt: skip
GENERATED: Tree = yaml.safe_load(to_yaml(MADE))
WANTED = generated(MADE)
PASSTHROUGH = {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute",
    "disabled": True,
}
OPEN_GATE = {"@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute"}


def manager(tree: Tree) -> Tree:
    return tree["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0][
        "typed_config"
    ]


def named(entries: list[Tree], name: str) -> Tree:
    return next(each for each in entries if each["name"] == name)


def http(tree: Tree, name: str) -> Tree:
    return named(manager(tree)["http_filters"], name)


def processor(tree: Tree) -> Tree:
    ask = http(tree, "decide")["typed_config"]["xds_matcher"]["on_no_match"]["action"][
        "typed_config"
    ]
    return ask["typed_config"]["typed_config"]


def host(tree: Tree, domain: str = "app.example") -> Tree:
    return next(
        each for each in manager(tree)["route_config"]["virtual_hosts"] if domain in each["domains"]
    )


def route(tree: Tree, name: str) -> Tree:
    return named(host(tree)["routes"], name)


def cluster(tree: Tree, name: str) -> Tree:
    return named(tree["static_resources"]["clusters"], name)


def without(name: str) -> Callable[[Tree], object]:
    return lambda tree: manager(tree)["http_filters"].remove(http(tree, name))


def backdoor(**config: Any) -> Tree:
    return {
        "name": "backdoor",
        "match": {"prefix": "/back/"},
        "route": {"cluster": "application-app"},
        "typed_per_filter_config": config,
    }


def listening(name: str, filter_: Tree) -> Tree:
    address = {"socket_address": {"address": "0.0.0.0", "port_value": 9999}}
    return {
        "name": name,
        "address": address,
        "filter_chains": [{"filters": [{"name": "x", "typed_config": filter_}]}],
    }


def plain_listener(cluster_name: str) -> Tree:
    routes = [{"name": "all", "match": {"prefix": "/"}, "route": {"cluster": cluster_name}}]
    kind = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    hosts = {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]}
    return listening(
        "side", {"@type": kind, "stat_prefix": "side", "route_config": hosts, "http_filters": []}
    )


def another_cluster(tree: Tree) -> None:
    other = copy.deepcopy(cluster(tree, "application-app")) | {"name": "innocent"}
    tree["static_resources"]["clusters"].append(other)
    tree["static_resources"]["listeners"].append(plain_listener("innocent"))


def tunnel(tree: Tree) -> None:
    kind = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
    proxy = {"@type": kind, "stat_prefix": "t", "cluster": "application-app"}
    tree["static_resources"]["listeners"].append(listening("side", proxy))


def swapped(tree: Tree) -> None:
    filters = manager(tree)["http_filters"]
    a, b = filters.index(http(tree, "decide")), filters.index(http(tree, "gate"))
    filters[a], filters[b] = filters[b], filters[a]


def said_of(tree: Tree, name: str, key: str, value: str) -> None:
    said = route(tree, name)["typed_per_filter_config"]["decide"]["overrides"][
        "grpc_initial_metadata"
    ]
    said[:] = [each for each in said if each["key"] != key] + [{"key": key, "value": value}]


DOORS: dict[str, tuple[Callable[[Tree], object], str, str]] = {
    "failure_mode_allow": (lambda t: processor(t).update(failure_mode_allow=True), "decide", "failure_mode_allow is on"),
    "failure_mode_allow_in_camel_case": (lambda t: processor(t).update(failureModeAllow=True), "decide", "failure_mode_allow is on"),
    "observability_mode": (lambda t: processor(t).update(observability_mode=True), "decide", "observability_mode is on"),
    "allow_mode_override": (lambda t: processor(t).update(allow_mode_override=True), "decide", "allow_mode_override is on"),
    "no_immediate_response": (lambda t: processor(t).update(disable_immediate_response=True), "decide", "disable_immediate_response"),
    "headers_not_sent": (lambda t: processor(t)["processing_mode"].update(request_header_mode="SKIP"), "decide", "does not send"),
    "another_processor": (lambda t: processor(t)["grpc_service"]["envoy_grpc"].update(cluster_name="x"), "decide", "another way"),
    "looser_mutations": (lambda t: processor(t).pop("mutation_rules"), "decide", "may change other parts"),
    "no_word_for_the_gate": (lambda t: processor(t).pop("metadata_options"), "decide", "gate does not receive"),
    "fewer_headers": (lambda t: processor(t)["forward_rules"]["allowed_headers"]["patterns"].pop(), "decide", "other headers"),
    "no_matcher": (lambda t: http(t, "decide")["typed_config"].pop("xds_matcher"), "decide matcher", "has no matcher"),
    "wider_matcher": (
        lambda t: http(t, "decide")["typed_config"]["xds_matcher"]["matcher_list"]["matchers"][0]["predicate"]["single_predicate"]["input"]["typed_config"].update(header_name="user-agent"),
        "decide", "is left out for other requests",
    ),
    "nobody_asked_without_a_match": (lambda t: http(t, "decide")["typed_config"]["xds_matcher"].pop("on_no_match"), "decide", "no filter calls"),
    "decide_disabled": (lambda t: http(t, "decide").update(disabled=True), "decide", "is disabled"),
    "decide_gone": (without("decide"), "decide", "no filter calls the processor"),
    "decide_renamed": (lambda t: http(t, "decide").update(name="envoy.filters.http.ext_proc"), "decide", "no filter"),
    "gate_gone": (without("gate"), "gate", "there is no gate"),
    "gate_disabled": (lambda t: http(t, "gate").update(disabled=True), "gate", "does not require"),
    "gate_without_rules": (lambda t: http(t, "gate")["typed_config"].pop("rules"), "gate", "does not require"),
    "gate_in_shadow": (lambda t: http(t, "gate")["typed_config"].update(shadow_rules=http(t, "gate")["typed_config"].pop("rules")), "gate", "does not require"),
    "gate_for_anybody": (lambda t: http(t, "gate")["typed_config"]["rules"]["policies"]["decided"].update(principals=[{"any": True}]), "gate", "does not require"),
    "gate_denies_only": (lambda t: http(t, "gate")["typed_config"]["rules"].update(action="LOG"), "gate", "does not require"),
    "assertion_gone": (without("assertion"), "assertion", "verifies no assertion"),
    "cookies_gone": (without("cookies"), "cookies", "not removed"),
    "order": (swapped, "listener gateway", "another order"),
    "identity_headers": (lambda t: manager(t).pop("early_header_mutation_extensions"), "early_header", "can claim to be any user"),
    "underscores": (lambda t: manager(t)["common_http_protocol_options"].pop("headers_with_underscores_action"), "underscores", "x_auth_sub"),
    "paths": (lambda t: manager(t).update(normalize_path=False), "normalize_path", "not normalised"),
    "slashes": (lambda t: manager(t).pop("merge_slashes"), "merge_slashes", "not merged"),
    "hops": (lambda t: manager(t).update(xff_num_trusted_hops=3), "xff_num_trusted_hops", "trusted_hops"),
    "no_issuer": (lambda t: http(t, "assertion")["typed_config"]["providers"]["app"].update(issuer="x"), "providers app", "verifies assertions of this application differently"),
    "no_audience": (lambda t: http(t, "assertion")["typed_config"]["providers"]["wiki"].pop("audiences"), "providers wiki", "verifies assertions of this application differently"),
    "bearer": (lambda t: http(t, "assertion")["typed_config"]["providers"]["app"].pop("from_headers"), "providers app", "verifies assertions of this application differently"),
    "requirement_gone": (lambda t: http(t, "assertion")["typed_config"]["requirement_map"].pop("wiki"), "requirement_map wiki", "no requirement"),
    "route_disabled": (lambda t: route(t, "app")["typed_per_filter_config"].update(decide=PASSTHROUGH), "route on app.example app", "differently"),
    "route_without_gate": (lambda t: route(t, "app")["typed_per_filter_config"].update(gate=OPEN_GATE), "route on app.example app", "changes the gate"),
    "route_of_another": (lambda t: said_of(t, "wiki", "x-extproc-application", "app"), "route on app.example wiki", "differently"),
    "route_public": (lambda t: said_of(t, "wiki", "x-extproc-public", "1"), "route on app.example wiki", "differently"),
    "route_of_another_assertion": (lambda t: route(t, "wiki")["typed_per_filter_config"]["assertion"].update(requirement_name="app"), "wiki", "another application's"),
    "route_wider": (lambda t: route(t, "app:public:/public/").update(match={"prefix": "/"}), "app:public", "matches other requests"),
    "route_gone": (lambda t: host(t)["routes"].remove(route(t, "wiki:own")), "wiki:own", "is missing"),
    "route_elsewhere": (lambda t: route(t, "wiki")["route"].update(cluster="application-app"), "wiki", "leads elsewhere"),
    "routes_in_another_order": (lambda t: host(t)["routes"].reverse(), "host app.example", "another order"),
    "host_gone": (lambda t: manager(t)["route_config"]["virtual_hosts"].remove(host(t)), "app.example", "is not served"),
    "host_opened": (lambda t: host(t).update(typed_per_filter_config={"decide": PASSTHROUGH, "gate": OPEN_GATE}), "virtual host", "for all its routes"),
    "every_route_opened": (lambda t: manager(t)["route_config"].update(typed_per_filter_config={"decide": PASSTHROUGH}), "typed_per_filter_config", "every route"),
    "a_route_around": (lambda t: host(t)["routes"].insert(0, backdoor(decide=PASSTHROUGH, gate=OPEN_GATE)), "route backdoor", "leads to the application app"),
    "a_route_without_a_name": (lambda t: host(t)["routes"].insert(0, backdoor()), "route backdoor", "does not name its application"),
    "another_host_around": (lambda t: manager(t)["route_config"]["virtual_hosts"].append({"name": "b", "domains": ["b.example"], "routes": [backdoor(decide=PASSTHROUGH, gate=OPEN_GATE)]}), "b.example", "leads to the application app"),
    "a_listener_around": (lambda t: t["static_resources"]["listeners"].append(plain_listener("application-app")), "listener side", "leads to the application app"),
    "a_listener_and_a_cluster_around": (another_cluster, "listener side", "leads to the application app"),
    "a_tunnel": (tunnel, "listener side", "passes connections on to the application app"),
    "listener_gone": (lambda t: t["static_resources"]["listeners"].pop(1), "envoy.yaml", "no listener is like the generated redirect"),
    "processor_elsewhere": (lambda t: cluster(t, "processor")["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"].update(port_value=1), "cluster processor", "other addresses"),
    "application_elsewhere": (lambda t: cluster(t, "application-app").pop("load_assignment"), "cluster application-app", "other addresses"),
    "cluster_gone": (lambda t: t["static_resources"]["clusters"].remove(cluster(t, "application-wiki")), "cluster application-wiki", "leads to other addresses|is missing"),
}  # fmt: skip


def edited(edit: Callable[[Tree], object]) -> list[Finding]:
    tree = copy.deepcopy(GENERATED)
    edit(tree)
    return compare(MADE, WANTED, read(tree), "envoy.yaml")


def test_what_was_generated_is_right() -> None:
    (only,) = edited(lambda tree: None)
    assert only.level == "ok"


@pytest.mark.attack("EXTP-16")
@pytest.mark.parametrize("name", DOORS)
def test_each_edit_that_opens_a_door_is_an_error_with_a_remedy(name: str) -> None:
    edit, part, what = DOORS[name]
    found = [each for each in edited(edit) if each.level == "error"]
    assert any(
        part in each.part and any(w in each.what for w in what.split("|")) for each in found
    ), found
    assert all(each.remedy for each in found)


HARMLESS: dict[str, Callable[[Tree], object]] = {
    "timeouts": lambda t: processor(t).update(message_timeout="3s"),
    "limit_gone": without("limit"),
    "ports": lambda t: manager(t)["early_header_mutation_extensions"].pop(0),
    "log": lambda t: manager(t).pop("access_log"),
    "idle": lambda t: manager(t).update(stream_idle_timeout="7s"),
    "a_filter_of_theirs": lambda t: manager(t)["http_filters"].insert(0, {"name": "theirs", "typed_config": {}}),
    "a_route_of_theirs": lambda t: host(t)["routes"].append({"name": "theirs", "match": {"prefix": "/x"}, "direct_response": {"status": 200}}),
}  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
def test_what_opens_nothing_is_a_warning(name: str) -> None:
    found = edited(HARMLESS[name])
    assert (
        found
        and {each.level for each in found} == {"warning"}
        and all(each.remedy for each in found)
    )


def test_the_same_in_other_words_is_the_same() -> None:
    def reworded(tree: Tree) -> None:
        processor(tree).update(
            message_timeout="10.000s", failure_mode_allow=False, allowModeOverride=False
        )
        processor(tree)["statusOnError"] = processor(tree).pop("status_on_error")
        manager(tree)["stream_idle_timeout"] = "300.0s"
        tree["static_resources"]["clusters"].append({"name": "of-their-own"})

    assert [each.level for each in edited(reworded)] == ["ok"]


def test_keys_of_another_secret_are_found() -> None:
    # so that the keys stand in the configuration
    here = {"identity": {}, "gateway": {"processors": ["10.0.0.1:9500"]}}
    apps = {"app": {"hosts": ["localhost"], "upstream": UP, "provider": "main"}}
    mine, other = (settings(applications=apps, secret=secret * 32, **here) for secret in "ab")
    found = compare(mine, generated(mine), generated(other), "envoy.yaml")
    assert [(each.level, "of another secret" in each.what) for each in found] == [("error", True)]


def test_no_text_of_a_foreign_configuration_is_repeated() -> None:
    def leaky(tree: Tree) -> None:
        route(tree, "app")["response_headers_to_add"][0]["header"]["value"] = "canary"
        route(tree, ":none")["direct_response"]["body"]["inline_string"] = "canary"

    found = edited(leaky)
    assert found and "canary" not in repr(found)


@pytest.mark.parametrize("name", ["none", "connect", "unlisted", "odd-host", "dot-segments"])
def test_an_opened_route_is_found_whatever_its_application_is_called(name: str) -> None:
    application = {"hosts": ["app.example"], "upstream": UP, "provider": "main"}
    url = {"url": "https://app.example"}
    made = settings(gateway=url, applications={name: application})
    tree = yaml.safe_load(to_yaml(made))
    route(tree, name)["typed_per_filter_config"]["gate"] = OPEN_GATE
    found = compare(made, generated(made), read(tree), "envoy.yaml")
    assert [(each.level, each.what.partition(" (")[0]) for each in found] == [
        ("error", "the route changes the gate")
    ]


def test_a_second_route_of_a_generated_name_hides_nothing() -> None:
    def doubled(tree: Tree) -> None:
        first = copy.deepcopy(route(tree, "app"))
        first["typed_per_filter_config"] = {"decide": PASSTHROUGH, "gate": OPEN_GATE}
        host(tree)["routes"].insert(0, first)

    found = edited(doubled)
    assert any(each.level == "error" and "without a login" in each.what for each in found)
