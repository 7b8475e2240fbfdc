"""What the cors filter is told about an application."""

from harness.envoy_config import APP, http_filter, routes, simple

from extproc.envoyconfig.filters.cors import ANSWERS, policy
from extproc.settings.cors import Cors

PORTAL = "https://portal.test"


def test_a_policy_has_exact_origins_and_forwards_no_preflight() -> None:
    made = policy(Cors(origins=(PORTAL, "null"), headers=("content-type",), max_age=60))
    assert [each.exact for each in made.allow_origin_string_match] == [PORTAL, "null"]
    assert made.forward_not_matching_preflights is False and made.allow_credentials is False
    assert (made.allow_methods, made.allow_headers) == ("GET, HEAD, POST", "content-type")
    assert (made.max_age, made.expose_headers) == ("60", "")


def test_the_filter_is_there_only_where_an_application_has_it() -> None:
    cors = {"origins": [PORTAL]}
    other = {**APP, "path_prefix": "/other/"}
    made = simple(applications={"app": {**APP, "cors": cors}, "other": other})
    assert http_filter(made, "cors")
    found = routes(made)
    assert found["app"]["response_headers_to_remove"] == list(ANSWERS)
    assert "cors" not in found["other"]["typed_per_filter_config"]
    vary = {"key": "vary", "value": "Origin"}
    added = [each["header"] for each in found["app"]["response_headers_to_add"]]
    assert vary in added
    assert vary not in [each["header"] for each in found["other"]["response_headers_to_add"]]
