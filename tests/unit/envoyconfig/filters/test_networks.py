"""The filter that compares clients' addresses stands where a rule names networks, and only there."""

from harness.envoy_config import APP, simple, tree, typed

from extproc.envoyconfig.filters.chain import filters

RULES = [
    {"name": "in", "paths": ["/in/"], "networks": ["10.0.0.0/8", "2001:db8::/32"]},
    {"name": "out", "paths": ["/out/"]},
]


def names(**changes: object) -> list[str]:
    return [each.name for each in filters(simple(applications={"app": {**APP, **changes}}))]


def test_it_stands_before_the_assertion_is_looked_at() -> None:
    chain = names(rules=RULES)
    assert chain.index("networks") < chain.index("assertion") < chain.index("decide")
    assert "networks" not in names(rules=RULES[1:]) and "networks" not in names()


def test_a_route_of_the_rule_has_its_networks() -> None:
    made = simple(applications={"app": {**APP, "rules": RULES}})
    (manager,) = typed(made, "HttpConnectionManager")
    routes = manager["route_config"]["virtual_hosts"][0]["routes"]
    configured = {
        route["name"]: route["typed_per_filter_config"]["networks"]
        for route in routes
        if "networks" in route.get("typed_per_filter_config", {})
    }
    assert list(configured) == ["app:rule:in"] and tree(made)
    (policy,) = configured["app:rule:in"]["rbac"]["rules"]["policies"].values()
    assert policy["principals"] == [
        {"remote_ip": {"address_prefix": "10.0.0.0", "prefix_len": 8}},
        {"remote_ip": {"address_prefix": "2001:db8::", "prefix_len": 32}},
    ]
