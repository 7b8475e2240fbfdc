"""The gate admits explicit decisions alone."""

from harness.envoy_config import http_filter, simple

DECISION = {
    "filter": "envoy.filters.http.ext_proc",
    "path": [{"key": "decision"}],
    "value": {"string_match": {"exact": "continue"}},
}


def test_an_identity_header_or_the_processor_s_decision_opens_the_gate() -> None:
    rules = http_filter(simple(), "gate")["rules"]
    (policy,) = rules["policies"].values()
    assert rules.get("action", "ALLOW") == "ALLOW"
    assert policy["principals"] == [
        {"header": {"name": "x-auth-sub", "present_match": True}},
        {"sourced_metadata": {"metadata_matcher": DECISION}},
    ]


def test_without_a_fast_path_the_header_opens_nothing() -> None:
    rules = http_filter(simple(identity={"assertion_lifetime": 0}), "gate")["rules"]
    (policy,) = rules["policies"].values()
    assert policy["principals"] == [{"sourced_metadata": {"metadata_matcher": DECISION}}]
