"""What a route of an application brings to the processor."""

from typing import Any

from envoy_data_plane.envoy.config.route.v3 import RouteMatch
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import ExtProcPerRoute
from harness.envoy_config import APP, simple

from extproc.envoyconfig.forwarding import processor_config
from extproc.envoyconfig.rules import RuleRoute
from extproc.settings.domain_access import access

RULES = [
    {"name": "admin", "paths": ["/admin/"]},
    {"name": "tried", "paths": ["/admin/"], "mode": "shadow"},
]


def metadata(changes: dict[str, Any], *names: str) -> dict[str, str]:
    made = simple(applications={"app": {**APP, **changes}})
    rules = {rule.name: rule for rule in made.applications["app"].rules}
    route = RuleRoute(RouteMatch(prefix="/"), *(rules[name] for name in names)) if names else None
    config = processor_config(made, "app", route=route).unpack()
    assert isinstance(config, ExtProcPerRoute) and config.overrides is not None
    return {each.key: each.value for each in config.overrides.grpc_initial_metadata}


def test_the_route_names_the_rules_and_the_digest_of_the_access_section() -> None:
    digest = access(simple(applications={"app": {**APP, "rules": RULES}}), "app").digest
    sent = metadata({"rules": RULES}, "admin", "tried")
    assert sent["x-extproc-access"] == digest
    assert (sent["x-extproc-rule"], sent["x-extproc-shadow"]) == ("admin", "tried")
    plain = metadata({"rules": RULES})
    assert plain["x-extproc-access"] == digest and "x-extproc-rule" not in plain


def test_where_nothing_is_said_about_access_the_route_brings_no_digest() -> None:
    assert set(metadata({})) == {"x-extproc-application", "x-extproc-fingerprint"}
