"""Headers that no client may send."""

import re

import pytest
from harness.envoy_config import APP, http_filter, simple, typed

from extproc.envoyconfig.filters.header_mutation import drops_trailers


@pytest.mark.parametrize("name", ["x-auth-sub", "x_auth_sub", "x.auth.sub", "x-auth-anything"])
def test_identity_headers_are_removed_in_any_spelling(name: str) -> None:
    (clean,) = typed(simple(), "early_header_mutation.header_mutation.v3.HeaderMutation")
    unwanted, handed_on = clean["mutations"]
    pattern = unwanted["remove_on_match"]["key_matcher"]["safe_regex"]["regex"]
    assert re.fullmatch(pattern, name)
    assert not re.fullmatch(pattern, "x-author")
    assert handed_on == {"remove": "x-extproc-cookies"}


def test_the_prefix_is_that_of_the_settings() -> None:
    made = simple(identity={"header_prefix": "x-remote-", "headers": {"x-remote-sub": "sub"}})
    (clean,) = typed(made, "early_header_mutation.header_mutation.v3.HeaderMutation")
    pattern = clean["mutations"][0]["remove_on_match"]["key_matcher"]["safe_regex"]["regex"]
    assert re.fullmatch(pattern, "x_remote_user") and not re.fullmatch(pattern, "x-auth-sub")


@pytest.mark.parametrize(
    ("name", "removed"),
    [
        ("x-webauth-user", True),
        ("x_webauth_user", True),
        ("remote.user", True),
        ("x-auth-sub", True),
        ("x-webauth-users", False),
        ("x-webauth", False),
        ("remoteuser", False),
    ],
)
def test_the_names_of_every_application_are_removed_in_any_spelling(
    name: str, removed: bool
) -> None:
    own = {"preset": "grafana", "headers": {"remote-user": "sub"}}
    other = {**APP, "hosts": ["other.example"], "url": "http://other.example/", "identity": own}
    made = simple(applications={"app": APP, "other": other})
    (clean,) = typed(made, "early_header_mutation.header_mutation.v3.HeaderMutation")
    pattern = clean["mutations"][0]["remove_on_match"]["key_matcher"]["safe_regex"]["regex"]
    assert bool(re.fullmatch(pattern, name)) is removed


def test_trailers_are_dropped_where_an_application_gets_http_2() -> None:
    assert not drops_trailers(simple())
    made = simple(applications={"app": {**APP, "upstream_http2": True}})
    assert drops_trailers(made)
    (dropped,) = http_filter(made, "trailers")["mutations"]["request_trailers_mutations"]
    assert dropped["remove_on_match"]["key_matcher"]["safe_regex"]["regex"] == ".*"
