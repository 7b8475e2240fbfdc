"""A rule: the paths and methods that it takes."""

import pytest

from extproc.core.access_rules import METHODS, covers


@pytest.mark.parametrize(
    ("path", "requested", "expected"),
    [
        ("/admin/", "/admin/x", True),
        ("/admin/", "/admin/", True),
        ("/admin/", "/admin", True),
        ("/admin", "/admin/x", True),
        ("/admin", "/administrator", False),
        ("/admin/", "/Admin/", False),
        ("/", "/", True),
        ("/", "/x", True),
        ("/a/b", "/a", False),
        ("/X/", "/a", False),
    ],
)
def test_a_path_takes_itself_and_what_is_below_it(path, requested, expected):
    assert covers(path, requested) is expected


def test_every_method_that_http_defines_is_known_and_in_upper_case():
    assert {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} < set(METHODS)
    assert all(method.isupper() for method in METHODS) and "TRACE" not in METHODS
