"""The filters that look at clients' certificates stand where a rule names some, and only there."""

from typing import Any

from harness.envoy_config import tree, typed
from harness.ruled import certified

from extproc.envoyconfig.filters.chain import filters

SANS = {"name": "sans", "paths": ["/s/"], "client_certificate": {"sans": ["a.b-c.example", "x:y"]}}
SUBJECTS = {"name": "subs", "paths": ["/n/"], "client_certificate": {"subjects": ["CN=a", "O=b"]}}
OPEN = {"name": "open", "paths": ["/o/"]}


def names(*rules: dict[str, Any]) -> list[str]:
    return [each.name for each in filters(certified(*rules))]


def configured(*rules: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The configuration of both filters by the name of the route."""
    made = certified(*rules)
    (manager,) = typed(made, "HttpConnectionManager")
    assert tree(made)
    return {
        route["name"]: {
            name: config["rbac"]
            for name, config in route.get("typed_per_filter_config", {}).items()
            if name in ("certificate", "subject")
        }
        for route in manager["route_config"]["virtual_hosts"][0]["routes"]
    }


def test_they_stand_before_the_assertion_is_looked_at() -> None:
    chain = names(SANS, SUBJECTS)
    assert chain.index("certificate") < chain.index("subject") < chain.index("assertion")
    assert "certificate" in names(SANS) and "subject" not in names(SANS)
    assert not {"certificate", "subject"} & set(names(OPEN))


def test_a_route_has_each_alternative_name_with_its_type() -> None:
    made = configured(SANS, OPEN)
    assert made["app:rule:open"] == made["app"] == {}
    config = made["app:rule:sans"]
    (policy,) = config["certificate"]["rules"]["policies"].values()
    found = [each["custom"]["typed_config"]["san_matcher"] for each in policy["principals"]]
    # An exact matcher would read a DNS name as servers' names are read.
    assert found == [
        {"san_type": "DNS", "matcher": {"safe_regex": {"regex": r"a\.b\-c\.example"}}},
        {"san_type": "URI", "matcher": {"exact": "x:y"}},
    ]
    assert "subject" not in config


def test_a_route_of_subjects_asks_for_a_verified_certificate_as_well() -> None:
    config = configured(SUBJECTS)["app:rule:subs"]
    (policy,) = config["certificate"]["rules"]["policies"].values()
    (principal,) = policy["principals"]
    assert principal["custom"]["typed_config"]["any_validated_client_certificate"] is True
    matcher = config["subject"]["matcher"]
    assert list(matcher["matcher_tree"]["exact_match_map"]["map"]) == ["CN=a", "O=b"]
    assert "on_no_match" not in matcher
