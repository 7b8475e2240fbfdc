"""The path of protected resource metadata."""

import pytest

from extproc.core.bearer_access import metadata_path

WELL_KNOWN = "/.well-known/oauth-protected-resource"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://app.example/", WELL_KNOWN),
        ("https://app.example:8443/", WELL_KNOWN),
        ("https://app.example/wiki/", f"{WELL_KNOWN}/wiki/"),
    ],
)
def test_the_well_known_path_stands_before_that_of_the_resource(url, path):
    assert metadata_path(url) == path
