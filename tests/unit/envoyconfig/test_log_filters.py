"""Conditions on an answer."""

from betterproto2 import Casing
from envoy_data_plane.envoy.config.accesslog.v3 import ComparisonFilterOp

from extproc.envoyconfig.builders import exact
from extproc.envoyconfig.log_filters import all_of, metadata_is, status


def test_a_status_has_a_runtime_key_as_envoy_demands() -> None:
    made = status(503, ComparisonFilterOp.EQ).to_dict(casing=Casing.SNAKE)
    value = {"default_value": 503, "runtime_key": "extproc.status_503"}
    assert made["status_code_filter"]["comparison"]["value"] == value


def test_a_value_that_is_absent_matches_by_the_missing_key() -> None:
    absent = metadata_is("reason", None).to_dict(casing=Casing.SNAKE)["metadata_filter"]
    present = metadata_is("reason", exact("x")).to_dict(casing=Casing.SNAKE)["metadata_filter"]
    assert (absent["match_if_key_not_found"], present["match_if_key_not_found"]) == (True, False)


def test_several_conditions_are_one() -> None:
    made = all_of(status(400), status(500)).to_dict(casing=Casing.SNAKE)
    assert len(made["and_filter"]["filters"]) == 2
