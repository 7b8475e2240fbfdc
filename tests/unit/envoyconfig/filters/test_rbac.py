"""The gate admits explicit decisions alone."""

from harness.envoy_config import http_filter, simple

DECISION = {
    "filter": "envoy.filters.http.ext_proc",
    "path": [{"key": "decision"}],
    "value": {"string_match": {"exact": "continue"}},
}


VERIFIED = {
    "filter": "envoy.filters.http.jwt_authn",
    "path": [{"key": "assertion"}, {"key": "session"}],
    "value": {"present_match": True},
}


def test_a_verified_assertion_or_the_processor_s_decision_opens_the_gate_and_no_header() -> None:
    rules = http_filter(simple(), "gate")["rules"]
    (policy,) = rules["policies"].values()
    assert rules.get("action", "ALLOW") == "ALLOW"
    assert policy["principals"] == [
        {"sourced_metadata": {"metadata_matcher": VERIFIED}},
        {"sourced_metadata": {"metadata_matcher": DECISION}},
    ]


def test_without_a_fast_path_the_decision_alone_opens_it() -> None:
    rules = http_filter(simple(identity={"assertion_lifetime": 0}), "gate")["rules"]
    (policy,) = rules["policies"].values()
    assert policy["principals"] == [{"sourced_metadata": {"metadata_matcher": DECISION}}]
